"""Settings: everything comes from the environment, is read once, and is documented in the README."""

import ipaddress
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from app.errors import WrongSetting

MEGABYTE = 1_000_000
GIGABYTE = 1_000 * MEGABYTE


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How this instance runs. Sizes are in bytes, `max_days` in days."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8000
    base_url: str
    database_url: str = field(repr=False)
    storage_url: str | None = None
    metrics_token: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    master_key: str | None = field(default=None, repr=False)
    trusted_proxies: int = 0
    contact: str = ""
    quota: int = 50 * GIGABYTE
    file_limit: int = 500 * MEGABYTE
    max_days: int = 365
    workers: int = 1
    threads: int = 32
    log: str = "plain"
    language: str = "en"
    phones: int = 3
    guest_quota: int = 2 * GIGABYTE
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str = ""
    quiet_hours: tuple[int, int] = (21, 8)
    push: bool = False
    push_services: tuple[str, ...] = ()
    check_command: str = ""
    development: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read `KINFOLD_*`. Raises `WrongSetting` with a sentence that says which one is wrong and why."""
        data = Path(env.get("KINFOLD_DATA") or "var").resolve()
        host = env.get("KINFOLD_HOST") or cls.host
        port = _number(env, "KINFOLD_PORT", cls.port, least=1)
        shown_host = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        base_url = (env.get("KINFOLD_BASE_URL") or f"http://{shown_host}:{port}").rstrip("/").lower()
        _check_base_url(base_url)
        storage_url = secret_setting(env, "KINFOLD_STORAGE_URL")
        if storage_url is not None and not storage_url.startswith("s3://"):
            raise WrongSetting(
                "KINFOLD_STORAGE_URL needs to look like s3://bucket/prefix?endpoint=https://s3.example.org. Unset it to keep photos in the "
                "data folder."
            )
        database_url = secret_setting(env, "KINFOLD_DATABASE_URL") or f"sqlite:///{data / 'kinfold.sqlite3'}"
        if not database_url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise WrongSetting(
                "KINFOLD_DATABASE_URL needs to look like postgresql+psycopg://user:password@host/database, or sqlite:////folder/file. "
                "Unset it to use the data folder."
            )
        log = env.get("KINFOLD_LOG") or cls.log
        if log not in ("plain", "json"):
            raise WrongSetting(f"KINFOLD_LOG is {log!r}; it can be 'plain' or 'json'.")
        smtp_url, mail_from = secret_setting(env, "KINFOLD_SMTP_URL"), env.get("KINFOLD_MAIL_FROM") or ""
        _check_mail(smtp_url, mail_from)
        return cls(
            data=data,
            host=host,
            port=port,
            base_url=base_url,
            database_url=database_url,
            storage_url=storage_url,
            metrics_token=secret_setting(env, "KINFOLD_METRICS_TOKEN"),
            secret_key=secret_setting(env, "KINFOLD_SECRET_KEY"),
            master_key=secret_setting(env, "KINFOLD_MASTER_KEY"),
            trusted_proxies=_number(env, "KINFOLD_TRUSTED_PROXIES", cls.trusted_proxies),
            contact=env.get("KINFOLD_CONTACT") or "",
            quota=_size(env, "KINFOLD_QUOTA", cls.quota),
            file_limit=_size(env, "KINFOLD_FILE_LIMIT", cls.file_limit),
            max_days=_number(env, "KINFOLD_MAX_DAYS", cls.max_days, least=1, most=365),
            workers=_number(env, "KINFOLD_WORKERS", cls.workers, most=64),
            threads=_number(env, "KINFOLD_THREADS", cls.threads, least=2, most=512),
            log=log,
            language=env.get("KINFOLD_LANGUAGE") or cls.language,
            phones=_number(env, "KINFOLD_PHONES", cls.phones, least=1, most=20),
            guest_quota=_size(env, "KINFOLD_GUEST_QUOTA", cls.guest_quota),
            smtp_url=smtp_url,
            mail_from=mail_from,
            quiet_hours=_quiet_hours(env.get("KINFOLD_QUIET_HOURS") or "21-8"),
            push=_yes(env, "KINFOLD_PUSH"),
            push_services=_hosts(env, "KINFOLD_PUSH_SERVICES"),
            check_command=_command(env, "KINFOLD_CHECK_COMMAND"),
            development=_yes(env, "KINFOLD_DEVELOPMENT"),
        )

    @property
    def https(self) -> bool:
        """Whether people reach us by https: decides about Secure cookies and HSTS."""
        return self.base_url.startswith("https://")

    @property
    def embedded(self) -> bool:
        """Whether everything lives in the data folder: only then may a first start make its own keys."""
        return self.database_url.startswith("sqlite") and self.storage_url is None

    @cached_property
    def allowed_hosts(self) -> list[str]:
        """The host names that requests may name; any other gets a 400."""
        return sorted({urlsplit(self.base_url).netloc, f"127.0.0.1:{self.port}", f"localhost:{self.port}"})


def _number(env: Mapping[str, str], name: str, default: int, *, least: int = 0, most: int = 65_535) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise WrongSetting(f"{name} is {text!r}; it needs a whole number.") from None
    if not least <= value <= most:
        raise WrongSetting(f"{name} is {value}; it can be from {least} to {most}.")
    return value


def _yes(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "").strip().lower()
    if text not in ("", "yes", "no"):
        raise WrongSetting(f"{name} is {text!r}; it can be 'yes' or 'no'.")
    return text == "yes"


def _hosts(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Host names, or `*.` and the name that they are under."""
    hosts = tuple((env.get(name) or "").lower().split())
    for host in hosts:
        if not re.fullmatch(r"(\*\.)?([a-z0-9-]+\.)+[a-z][a-z0-9-]*", host):
            raise WrongSetting(
                f"{name} has {host!r} in it; it needs names of hosts, such as push.example.org or *.push.example.org."
            )
    return hosts


def _command(env: Mapping[str, str], name: str) -> str:
    """A program with its arguments, as a shell would take them apart; it gets no PATH, so it is named whole."""
    text = env.get(name, "").strip()
    try:
        words = shlex.split(text)
    except ValueError:
        raise WrongSetting(f"{name} has a quotation mark that is not closed.") from None
    if words and not (words[0].startswith("/") and os.access(words[0], os.X_OK) and Path(words[0]).is_file()):
        raise WrongSetting(f"{name} begins with {words[0]!r}; it needs the whole path of a program that may be run.")
    return text


def _quiet_hours(text: str) -> tuple[int, int]:
    """From which hour to which nobody is told anything by mail or push: (21, 8)."""
    first, _, last = text.partition("-")
    if not (first.strip().isdecimal() and last.strip().isdecimal() and int(first) < 24 and int(last) < 24):
        raise WrongSetting(f"KINFOLD_QUIET_HOURS is {text!r}; it needs two hours, as 21-8.")
    return int(first), int(last)


def _size(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, "").strip().upper()
    if not text:
        return default
    units = {"KB": 1_000, "MB": MEGABYTE, "GB": GIGABYTE, "TB": 1_000 * GIGABYTE}
    unit = units.get(text[-2:], 1)
    digits = text[:-2] if unit > 1 else text
    try:
        value = int(float(digits) * unit)
    except (ValueError, OverflowError):
        raise WrongSetting(f"{name} is {text!r}; write it as 200MB, 50GB or as a number of bytes.") from None
    if value <= 0:
        raise WrongSetting(f"{name} is {text!r}; it must be more than nothing.")
    return value


def secret_setting(env: Mapping[str, str], name: str) -> str | None:
    """A secret, from the variable itself or from the file that `<name>_FILE` points to. Raises `WrongSetting`."""
    direct, path = env.get(name, "").strip(), env.get(f"{name}_FILE", "").strip()
    if direct and path:
        raise WrongSetting(f"Both {name} and {name}_FILE are set. Keep one of them.")
    if not path:
        return direct or None
    try:
        content = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise WrongSetting(f"{name}_FILE points to {path}, which can't be read: {error.strerror}.") from None
    if not content:
        raise WrongSetting(f"{name}_FILE points to {path}, which is empty.")
    return content


def _check_base_url(base_url: str) -> None:
    parts = urlsplit(base_url)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path
        or parts.query
        or parts.fragment
        or parts.username
    ):
        raise WrongSetting(f"KINFOLD_BASE_URL is {base_url!r}; it needs to look like https://photos.example.org, without a path.")
    if parts.scheme == "http" and not is_private(parts.hostname):
        raise WrongSetting(
            f"KINFOLD_BASE_URL is {base_url!r}. Plain http is only for this machine and the home network; "
            "give it an https address before others open it."
        )


def _check_mail(smtp_url: str | None, mail_from: str) -> None:
    if smtp_url is None:
        return
    try:
        parts = urlsplit(smtp_url)
        understood = parts.scheme in ("smtp", "smtps") and parts.hostname and parts.path in ("", "/") and parts.port != 0
    except ValueError:
        understood = False
    if not understood:
        raise WrongSetting(
            "KINFOLD_SMTP_URL needs to look like smtp://user:password@mail.example.org:587, or smtps://... Write special characters in "
            "the password as %40. Unset it to send no mail."
        )
    if not re.fullmatch(r"(?!\.|.*\.[.@])[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+", mail_from):
        raise WrongSetting(
            f"KINFOLD_MAIL_FROM is {mail_from!r}; it needs the address that mail comes from, such as photos@example.org. What can't be "
            "delivered comes back to it."
        )


def is_private(host: str) -> bool:
    """Whether a host is this machine or in the home network, as far as its name tells."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith((".local", ".lan", ".home.arpa", ".internal"))
