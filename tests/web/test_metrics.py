"""What `/metrics` tells, whom, and what it never says."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from werkzeug.test import Client, TestResponse

from app import create_app
from app.clock import HandClock
from app.errors import WrongSetting
from app.house import House
from app.instance import Instance
from app.media.models import Photo
from app.ops import metrics
from app.ops.status import count_up
from app.security.permissions import Asks
from app.web.viewer import cookie_name
from tests.conftest import PASSWORD, Family

TOKEN = "a word for the one who counts"


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    return make_house(KINFOLD_METRICS_TOKEN=TOKEN)


@pytest.fixture
def client(cast: Family) -> Client:
    return Client(create_app(cast.house.settings, cast.house).wsgi_app, use_cookies=False)


def ask(client: Client, sent: str | None = f"Bearer {TOKEN}", **more: str) -> TestResponse:
    headers = {"Host": "127.0.0.1:8000"} | ({"Authorization": sent} if sent is not None else {}) | more
    return client.get("/metrics", headers=headers)


def told(client: Client) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in ask(client).text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


@pytest.mark.parametrize("sent", [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer \xff\xfe"])
def test_without_the_word_it_is_an_address_that_there_is_not(client: Client, sent: str | None) -> None:
    nowhere = client.get("/no-such-page", headers={"Host": "127.0.0.1:8000"})
    answer = ask(client, sent)
    assert answer.status_code == 404
    assert re.sub(r"\s", "", answer.text) == re.sub(r"\s", "", nowhere.text)
    assert set(answer.headers.keys()) == set(nowhere.headers.keys())


def test_it_is_off_unless_it_is_asked_for(make_house: Callable[..., House]) -> None:
    house = make_house()
    app = create_app(house.settings, house)
    assert not isinstance(app.wsgi_app, metrics.Metrics) and metrics._note_route not in app.after_request_funcs.get(None, [])
    assert ask(Client(app.wsgi_app)).status_code == 404
    assert ask(Client(app.wsgi_app), "Bearer None").status_code == 404


def test_a_word_that_can_be_guessed_refuses_the_start(make_house: Callable[..., House]) -> None:
    house = make_house(KINFOLD_METRICS_TOKEN="prometheus")
    with pytest.raises(WrongSetting, match="20 characters"):
        create_app(house.settings, house)


def test_each_node_can_be_asked_at_its_own_address(client: Client) -> None:
    assert ask(client, Host="10.0.0.7:8000").status_code == 200


def test_it_tells_how_things_stand(client: Client, cast: Family, clock: HandClock) -> None:
    cast.upload("Tom is six", b"not looked at yet")
    clock.move(timedelta(minutes=3))
    with cast.house.database.writing() as session:
        session.execute(sa.update(Instance).values(exposed_at=clock.now(), backed_up_at=clock.now() - timedelta(days=2)))
        stored = session.scalar(sa.select(sa.func.sum(Photo.stored)))
    found = told(client)
    assert found['kinfold_photos{state="ready"}'] == 5
    assert found['kinfold_photos{state="received"}'] == 1
    assert found['kinfold_photos{state="refused"}'] == 0
    assert found["kinfold_oldest_waiting_seconds"] == 180
    assert found["kinfold_stored_bytes"] == stored
    assert (found["kinfold_groups"], found["kinfold_sessions"], found["kinfold_devices"]) == (2, 2, 3)  # Olga's was ended
    assert (found["kinfold_exposed"], found["kinfold_backup_age_seconds"], found["kinfold_up"]) == (1, 2 * 86400, 1)
    assert found["kinfold_workers"] == 0
    assert found['kinfold_build_info{version="0.1.0"}'] == 1


def test_requests_are_counted_by_template_and_status(client: Client, cast: Family, brittany: str) -> None:
    cookie = f"{cookie_name(Asks.MEMBER, https=False)}={cast.cookie}"
    page = client.get(f"/albums/{brittany}", headers={"Host": "127.0.0.1:8000", "Cookie": cookie})
    assert page.status_code == 200
    media = re.findall(r"/m/[\w.~-]+", page.text)[0]
    client.get(media, headers={"Host": "127.0.0.1:8000", "Cookie": cookie})
    client.get("/m/garbage", headers={"Host": "127.0.0.1:8000"})
    client.get("/nowhere/at/all", headers={"Host": "127.0.0.1:8000"})
    client.post("/sign-in", headers={"Host": "elsewhere.example"})
    client.open("/", method="BREW", headers={"Host": "127.0.0.1:8000"})
    found = told(client)

    def count(method: str, route: str, status: int) -> float:
        return found[f'kinfold_request_seconds_count{{method="{method}",route="{route}",status="{status}"}}']

    assert count("GET", "/albums/<album>", 200) == 1
    assert count("GET", "/m/<token>", 200) == count("GET", "/m/<token>", 404) == 1
    assert count("GET", "-", 404) == 1
    assert count("POST", "-", 400) == count("other", "-", 404) == 1
    for secret in (
        brittany,
        media,
        cast.cookie,
        "nowhere",
        "elsewhere",
        "BREW",
        "anna",
        "Anna",
        "Rose",
        "Smith",
        PASSWORD,
        TOKEN,
    ):
        assert secret not in ask(client).text


def test_rows_are_counted_once_in_a_while_however_often_somebody_asks(
    client: Client, cast: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now[0])
    before = told(client)["kinfold_groups"]
    with cast.house.database.writing() as session:
        session.execute(sa.delete(Photo))
    assert told(client)['kinfold_photos{state="ready"}'] == 5
    now[0] += metrics.FRESH + 1
    assert told(client)['kinfold_photos{state="ready"}'] == 0
    assert told(client)["kinfold_groups"] == before


def test_without_a_database_it_says_just_that(client: Client, cast: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ops.metrics.count_up", lambda *_, **__: 1 / 0)
    found = told(client)
    assert found["kinfold_up"] == 0 and "kinfold_groups" not in found


def test_counting_uses_indexes_and_the_same_few_statements_for_any_number_of_photos(cast: Family) -> None:
    statements: list[str] = []
    engine = cast.house.database.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    with cast.house.database.reading() as session:
        count_up(session, at=cast.house.clock.now())
        on_sqlite = [each for each in statements if "FROM photo" in each and "?" not in each and engine.dialect.name == "sqlite"]
        for statement in on_sqlite:
            plan = " ".join(row[3] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}"))
            assert "USING COVERING INDEX" in plan, plan
    assert len([each for each in statements if each.startswith("SELECT")]) <= 12
