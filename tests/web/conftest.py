"""Browsers of the cast, and a decoder that answers what a test wants."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from werkzeug.test import TestResponse

from app.house import House
from app.ingest.decoding import Decoded, Decoder, MadeRendition, NotDecoded
from app.ops.worker import handlers
from app.security.tokens import cookie_digest
from tests.conftest import Family, tiny_jpeg
from tests.lint import LintingClient

BRITTANY = "Brittany 2026"
TOM = "Tom is six"


@pytest.fixture
def anna(cast: Family, browser_of: Callable[..., LintingClient]) -> LintingClient:
    """The browser in which Anna is signed in."""
    return browser_of(member=cast.cookie)


@pytest.fixture
def phone(smiths: Family, browser_of: Callable[..., LintingClient]) -> LintingClient:
    """A browser in which a member of a family without albums is signed in."""
    return browser_of(member=smiths.cookie)


@pytest.fixture
def album(smiths: Family) -> str:
    """The id of that family's one album, which is empty."""
    return smiths.album("Picnic").id


@pytest.fixture
def rose(cast: Family, browser_of: Callable[..., LintingClient]) -> LintingClient:
    """Rose's phone."""
    return browser_of(device=cast.people["Rose"].cookie)


@pytest.fixture
def stranger(cast: Family, browser_of: Callable[..., LintingClient]) -> LintingClient:
    """A browser without any power."""
    return browser_of()


@pytest.fixture
def brittany(cast: Family) -> str:
    """The id of the album that Rose may see."""
    return cast.albums[BRITTANY].id


@dataclass
class Says:
    """A decoder that makes no picture of anything: it gives the same answer to every file."""

    answer: Decoded | NotDecoded = field(default_factory=lambda: made())

    def stand_by(self) -> None:
        pass

    def decode(self, data: bytes | Iterable[bytes], *, group: str, size: int) -> Decoded | NotDecoded:
        arrived = data if isinstance(data, bytes) else b"".join(data)
        assert group and len(arrived) == size
        return self.answer


def made() -> Decoded:
    """A photo, as a decoder makes one."""
    content = tiny_jpeg()
    return Decoded(
        taken_at=None,
        width=64,
        height=48,
        thumbhash=b"\x1a\x08\x02\x05\x00\x77\x88\x88\x88\x88\x88\x88",
        removed=("place", "device"),
        renditions=tuple(MadeRendition(name, "image/jpeg", 64, 48, content) for name in ("grid", "screen", "full")),
    )


def work(house: House, answer: Decoded | NotDecoded | None = None) -> None:
    """Let a worker do everything that waits."""
    jobs: Any = house.jobs
    jobs.run_all(handlers(house, cast(Decoder, Says(answer or made()))))
    assert jobs.failures == []


def refused_with(response: TestResponse, status: int, reason: str) -> None:
    """A script was told no, and why."""
    assert (response.status_code, response.get_json()) == (status, {"error": reason} | response.get_json())


def photo_address(family: Family, photo: str, rendition: str, *, member: str = "", device: str = "", save: bool = False) -> str:
    """The address that a page would name for the browser that holds this cookie."""
    house = family.house
    kind, cookie = ("member", member) if member else ("device", device)
    token = house.tokens.media(
        photo=photo, rendition=rendition, kind=kind, cookie=cookie_digest(cookie), at=house.clock.now(), save=save
    )
    return f"/m/{token}"
