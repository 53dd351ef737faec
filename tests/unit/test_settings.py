"""Settings come from the environment, and a wrong one is told in a sentence that names it."""

from pathlib import Path

import pytest

from app.config import Settings
from app.errors import WrongSetting


def settings(**env: str) -> Settings:
    return Settings.from_env({f"KINFOLD_{name}": value for name, value in env.items()})


def test_nothing_needs_to_be_set() -> None:
    found = settings()
    assert (found.host, found.port, found.base_url) == ("127.0.0.1", 8000, "http://127.0.0.1:8000")
    assert found.data == Path("var").resolve()
    assert found.database_url == f"sqlite:///{found.data}/kinfold.sqlite3"
    assert (found.quota, found.file_limit, found.max_days, found.threads) == (50_000_000_000, 500_000_000, 365, 32)
    assert (found.trusted_proxies, found.https, found.embedded) == (0, False, True)


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert settings(DATA="", PORT="", BASE_URL="", QUOTA="", LOG="", TRUSTED_PROXIES=" ") == settings()


def test_the_address_follows_host_and_port_until_it_is_set() -> None:
    assert settings(PORT="9000").base_url == "http://127.0.0.1:9000"
    assert settings(HOST="0.0.0.0").base_url == "http://127.0.0.1:8000"
    assert settings(BASE_URL="https://photos.example.org/").base_url == "https://photos.example.org"


@pytest.mark.parametrize(
    ("text", "size"),
    [("5", 5), ("200MB", 200_000_000), ("1.5gb", 1_500_000_000), (" 2 TB ", 2_000_000_000_000), ("10 kb", 10_000)],
)
def test_sizes_are_written_as_people_write_them(text: str, size: int) -> None:
    assert settings(QUOTA=text).quota == settings(FILE_LIMIT=text).file_limit == size


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "70000"),
        ("PORT", "http"),
        ("QUOTA", "much"),
        ("QUOTA", "0"),
        ("QUOTA", "-5GB"),
        ("QUOTA", "inf"),
        ("QUOTA", "nan"),
        ("FILE_LIMIT", "1e999MB"),
        ("MAX_DAYS", "0"),
        ("MAX_DAYS", "366"),
        ("MAX_DAYS", "never"),
        ("WORKERS", "65"),
        ("THREADS", "1"),
        ("TRUSTED_PROXIES", "-1"),
        ("LOG", "loud"),
        ("STORAGE_URL", "https://bucket.example.org"),
        ("DATABASE_URL", "mysql://x"),
        ("BASE_URL", "photos.example.org"),
        ("BASE_URL", "ftp://photos.example.org"),
        ("BASE_URL", "https://photos.example.org/kinfold"),
        ("BASE_URL", "https://photos.example.org?x=1"),
        ("BASE_URL", "https://photos.example.org#x"),
        ("BASE_URL", "https://anna:secret@photos.example.org"),
        ("BASE_URL", "https://"),
        ("BASE_URL", "http://photos.example.org"),
        ("BASE_URL", "http://8.8.8.8"),
        ("SECRET_KEY_FILE", "/nowhere/secret"),
    ],
)
def test_a_wrong_setting_is_told_by_its_name(name: str, value: str) -> None:
    with pytest.raises(WrongSetting, match=f"KINFOLD_{name}"):
        settings(**{name: value})


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "192.168.1.20:8000", "10.0.0.5", "localhost", "nas", "nas.local", "photos.home.arpa"]
)
def test_plain_http_is_for_this_machine_and_the_home_network(host: str) -> None:
    assert settings(BASE_URL=f"http://{host}").https is False


def test_requests_may_name_our_own_hosts_only() -> None:
    assert settings(BASE_URL="https://photos.example.org").allowed_hosts == [
        "127.0.0.1:8000",
        "localhost:8000",
        "photos.example.org",
    ]


def test_a_secret_comes_from_a_variable_or_from_a_file_but_not_from_both(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("  from the file\n")
    (tmp_path / "empty").write_text("\n")
    assert settings(MASTER_KEY="direct").master_key == "direct"
    assert settings(MASTER_KEY_FILE=str(tmp_path / "key")).master_key == "from the file"
    with pytest.raises(WrongSetting, match="Both"):
        settings(MASTER_KEY="direct", MASTER_KEY_FILE=str(tmp_path / "key"))
    with pytest.raises(WrongSetting, match="empty"):
        settings(MASTER_KEY_FILE=str(tmp_path / "empty"))
    assert settings().master_key is None


def test_a_secret_is_not_in_what_a_debugger_prints() -> None:
    assert "a canary" not in repr(settings(SECRET_KEY="a canary", MASTER_KEY="a canary"))
