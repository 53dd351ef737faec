"""From a recording to what every phone plays, by the real worker and ffmpeg behind its walls; and who hears it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from io import BytesIO

import pytest
import sqlalchemy as sa

from app.albums import service as albums
from app.albums.jobs import enqueue_forgotten_removals
from app.answers import jobs as answers_jobs
from app.answers import service
from app.answers.models import Voice, VoiceState
from app.house import House
from app.ingest import service as ingest
from app.ingest import voicing
from app.ingest.decoding import Decoder, NotDecoded
from app.ingest.filming import Filming
from app.ingest.receiving import FileOnItsWay
from app.ingest.voicing import FRAME, HEADER, MadeVoice, container_of, is_clean, make_voice
from app.jobs import port
from app.jobs.memory import InMemoryJobs
from app.media import service as media
from app.ops import proving
from app.ops.doctor import check_proof
from app.ops.proving import Flaw, Unproven
from app.ops.worker import handlers
from app.security.tokens import cookie_digest
from app.sharing import service as sharing
from app.storage.port import StorageFailed
from tests.conftest import Family
from tests.lint import LintingClient
from tests.made_films import CANARY, film
from tests.service.test_ingest import commits_fail

BRITTANY = "Brittany 2026"
HIDE = (
    "-map",
    "1:a",
    "-metadata",
    f"title={CANARY}",
    "-metadata",
    "location=+51.4778-000.0015/",
    "-metadata:s:a",
    f"title={CANARY}",
)
KINDS = {
    "webm": ("-c:a", "libopus"),
    "ogg": ("-c:a", "libopus"),
    "m4a": ("-c:a", "aac"),
    "mp3": ("-c:a", "libmp3lame"),
    "wav": (),
    "flac": (),
}


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    made = Decoder()
    yield made
    made.close()


def recording(ending: str = "webm", seconds: int = 1) -> bytes:
    return film(*HIDE, *KINDS[ending], ending=ending, sound=f"sine=duration={seconds}")


def say(family: Family, content: bytes, name: str = "Rose") -> str:
    """Somebody has spoken about the first photo; no worker has listened yet."""
    house, album, photo = family.house, family.albums[BRITTANY], family.photos[BRITTANY][0]
    file = FileOnItsWay(house.storage, album, "voice", limit=voicing.LARGEST, room=voicing.LARGEST)
    file.add(content)
    arrived = file.finish()
    with house.database.writing() as session:
        guest = family.people[name].id
        return service.receive_voice(
            session, album=album, photo=photo, guest=guest, arrived=arrived, jobs=house.jobs, at=house.clock.now()
        )


def row(house: House, voice: str) -> Voice:
    with house.database.reading() as session:
        return session.get_one(Voice, voice)


def rooms(house: House, *families: Family) -> list[int]:
    """How much each of these may still store."""
    with house.database.reading() as session:
        return [ingest.room_left(session, group=family.owner.group, quota=10**9) for family in families]


def work(house: House, decoder: Decoder) -> InMemoryJobs:
    assert isinstance(house.jobs, InMemoryJobs)
    house.jobs.run_all(handlers(house, decoder))
    return house.jobs


def address(family: Family, voice: str, *, member: str = "", device: str = "") -> str:
    kind, cookie = ("member", member) if member else ("device", device)
    tokens, at = family.house.tokens, family.house.clock.now()
    return f"/m/{tokens.media(photo=voice, rendition='voice', kind=kind, cookie=cookie_digest(cookie), at=at)}"


@pytest.mark.parametrize("ending", KINDS)
def test_whatever_a_phone_records_becomes_clean_sound(decoder: Decoder, ending: str) -> None:
    plain = recording(ending)
    assert CANARY.encode() in plain
    made = make_voice(Filming(decoder), plain)
    assert isinstance(made, MadeVoice) and is_clean(made.data)
    assert CANARY.encode() not in made.data and abs(made.duration - 1000) < 120


def test_no_more_than_twenty_seconds_are_kept(decoder: Decoder) -> None:
    made = make_voice(Filming(decoder), recording(seconds=25))
    assert isinstance(made, MadeVoice) and made.duration == pytest.approx(20_000, abs=100)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"hello", "unsupported"), (b"OggS" + bytes(4000), "broken"), (b"ID3" + bytes(4000), "broken"), (b"\xff\xfb", "broken")],
)
def test_what_is_no_recording_is_refused(decoder: Decoder, content: bytes, reason: str) -> None:
    assert make_voice(Filming(decoder), content) == NotDecoded(reason)


def test_a_playlist_is_no_recording() -> None:
    for text in (
        b"#EXTM3U\nfile:///etc/passwd",
        b"ffconcat version 1.0\nfile /etc/passwd",
        b"[playlist]",
        b"<?xml",
        b"RIFF\0\0\0\0AVI ",
    ):
        assert container_of(text) is None


def test_the_proof_lets_nothing_through_but_our_own_frames() -> None:
    clean = (HEADER + bytes(FRAME - 4)) * 3
    assert is_clean(clean)
    for dirty in (
        b"",
        clean + b"x",
        clean[:-1],
        b"ID3" + clean,
        clean + b"TAG" + bytes(125),
        clean.replace(HEADER, b"\xff\xfb\x90\xc4"),
        clean * 1000,
    ):
        assert not is_clean(dirty)


def test_a_voice_is_prepared_sealed_and_its_recording_destroyed(
    cast: Family, marcs: Family, house: House, decoder: Decoder
) -> None:
    room, alone = rooms(house, cast, marcs)
    voice = say(cast, recording())
    before = row(house, voice)
    assert work(house, decoder).failures == []
    after = row(house, voice)
    assert (before.state, after.state, after.hidden_at) == (VoiceState.RECEIVED, VoiceState.READY, None)
    assert after.duration == pytest.approx(1000, abs=120) and after.object_name != before.object_name
    stored = {stored.name for stored in house.storage.list("albums/")}
    assert after.object_name in stored and before.object_name not in stored
    assert rooms(house, cast, marcs) == [room - after.size, alone], (
        "what is said takes room of the family's, and of nobody else's"
    )
    sealed = b"".join(house.storage.read(str(after.object_name)))
    assert HEADER not in sealed[:200]
    with house.database.reading() as session:
        assert after.object_name in media.claimed_objects(session)


def test_a_recording_that_can_not_be_used_is_destroyed_and_told(cast: Family, house: House, decoder: Decoder) -> None:
    voice = say(cast, b"OggS" + bytes(4000))
    name = row(house, voice).object_name
    work(house, decoder)
    after = row(house, voice)
    assert (after.state, after.object_name, after.wrapped_key) == (VoiceState.REFUSED, None, None)
    with house.database.reading() as session:
        assert name not in media.claimed_objects(session)


@pytest.mark.parametrize("what", ["read", "create"])
def test_a_storage_that_is_away_or_full_costs_no_attempt_and_the_sweep_asks_again(
    cast: Family, house: House, decoder: Decoder, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    voice = say(cast, recording())

    def away(*_: object) -> Iterator[bytes]:
        raise StorageFailed("unreachable")

    with monkeypatch.context() as broken:
        broken.setattr(type(house.storage), what, away)
        assert work(house, decoder).failures
    assert (row(house, voice).state, row(house, voice).attempts) == (VoiceState.RECEIVED, 0)
    house.clock.move(timedelta(minutes=1))  # type: ignore[attr-defined]
    answers_jobs.enqueue_forgotten_voices(house)
    work(house, decoder)
    assert row(house, voice).state is VoiceState.READY


@pytest.mark.parametrize("kept", [False, True], ids=["nothing is kept", "only the answer is lost"])
def test_a_database_that_fails_when_the_outcome_is_written_costs_no_recording(
    cast: Family, house: House, decoder: Decoder, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    monkeypatch.setattr(port, "ASK_AGAIN", 0.01)
    voice, made, fails = say(cast, recording()), list[MadeVoice | NotDecoded](), ExitStack()

    def then_the_database_fails(filming: Filming, sent: bytes) -> MadeVoice | NotDecoded:
        made.append(make_voice(filming, sent))
        fails.enter_context(commits_fail(house, 1 if kept else 4, kept=kept))
        return made[-1]

    monkeypatch.setattr(answers_jobs, "make_voice", then_the_database_fails)
    with fails:
        assert work(house, decoder).failures == []
    after = row(house, voice)
    assert (after.state, len(made)) == (VoiceState.READY, 1)
    assert after.object_name is not None and house.storage.size(after.object_name) > 0


def test_a_recording_that_kills_its_worker_is_given_up(cast: Family, house: House, decoder: Decoder) -> None:
    voice = say(cast, recording())
    for _ in range(3):
        with house.database.writing() as session:
            assert service.take_voice(session, voice=voice, master=house.master, at=house.clock.now())
    work(house, decoder)
    assert row(house, voice).state is VoiceState.REFUSED


def test_a_voice_that_was_deleted_meanwhile_leaves_nothing_behind(cast: Family, house: House, decoder: Decoder) -> None:
    voice = say(cast, recording())
    with house.database.writing() as session:
        waiting = service.take_voice(session, voice=voice, master=house.master, at=house.clock.now())
        assert waiting is not None
        session.execute(sa.delete(Voice).where(Voice.id == voice))
    with house.database.writing() as session:
        removal = service.make_heard(
            session, waiting=waiting, object_name="x", sealed=waiting.sealed, duration=1, at=house.clock.now()
        )
    assert removal is None


def test_who_hears_a_voice(
    cast: Family, marcs: Family, house: House, decoder: Decoder, browser_of: Callable[..., LintingClient]
) -> None:
    june = cast.share(BRITTANY, "June")
    voice = say(cast, recording())
    rose, jim, olga, egon = (cast.people[name].cookie for name in ("Rose", "Jim", "Olga", "Egon"))

    def heard(**whose: str) -> int:
        return browser_of(**whose).get(address(cast, voice, **whose)).status_code

    assert heard(device=rose) == 404, "nobody has prepared it yet"
    work(house, decoder)
    answer = browser_of(device=rose).get(address(cast, voice, device=rose))
    assert (answer.status_code, answer.mimetype, answer.headers["Cache-Control"]) == (200, "audio/mpeg", "no-store")
    assert is_clean(answer.data)
    part = browser_of(device=rose).get(address(cast, voice, device=rose), headers={"Range": "bytes=0-191"})
    assert (part.status_code, part.data) == (206, answer.data[:192])
    assert heard(member=cast.cookie) == 200 and heard(member=marcs.cookie) == 404
    assert [heard(device=who) for who in (june.cookie, jim, olga, egon)] == [404] * 4
    with house.database.writing() as session:
        album = albums.get_album(session, cast.owner, album=cast.albums[BRITTANY].id, master=house.master)
        album.row.shows_answers = True
    assert [heard(device=who) for who in (june.cookie, jim, olga, egon)] == [200, 404, 404, 404]
    with house.database.writing() as session:
        service.set_hidden(session, cast.owner, Voice, said=voice, hidden=True, at=house.clock.now())
    assert [heard(device=rose), heard(device=june.cookie), heard(member=cast.cookie)] == [200, 404, 200]
    with house.database.writing() as session:
        grant = sharing.get_grant(session, cast.owner, grant=cast.people["Rose"].grant)
        sharing.end_grant(session, cast.owner, grant=grant, at=house.clock.now())
    assert heard(device=rose) == 404


def test_an_address_of_a_photo_hears_nothing_and_that_of_a_voice_shows_nothing(
    cast: Family, house: House, decoder: Decoder, browser_of: Callable[..., LintingClient]
) -> None:
    voice, photo, rose = say(cast, recording()), cast.photos[BRITTANY][0], cast.people["Rose"].cookie
    work(house, decoder)
    token = address(cast, voice, device=rose)
    assert browser_of(device=rose).get(token.replace(voice, photo)).status_code == 404
    assert browser_of(device=rose).get(token.replace(f"{voice}v", f"{voice}s")).status_code == 404
    assert browser_of(device=cast.people["Jim"].cookie).get(token).status_code == 404
    with house.database.reading() as session:
        tokens, at = house.tokens, house.clock.now()
        assert session.get(Voice, voice) is not None
    for rendition in ("grid", "full"):  # rightly signed, but no photo has this name
        claim = tokens.media(photo=voice, rendition=rendition, kind="device", cookie=cookie_digest(rose), at=at)
        assert browser_of(device=rose).get(f"/m/{claim}").status_code == 404


@pytest.mark.parametrize("what", ["photo", "guest", "album"])
def test_deleting_what_it_belongs_to_destroys_a_voice(cast: Family, house: House, decoder: Decoder, what: str) -> None:
    voice = say(cast, recording())
    work(house, decoder)
    name, at = row(house, voice).object_name, house.clock.now()
    with house.database.writing() as session:
        album = albums.get_album(session, cast.owner, album=cast.albums[BRITTANY].id, master=house.master)
        if what == "photo":
            photos = [cast.photos[BRITTANY][0]]
            media.delete_photos(session, cast.owner, album=album.id, photos=photos, jobs=house.jobs, at=at)
        elif what == "guest":
            guest = sharing.get_guest(session, cast.owner, guest=cast.people["Rose"].id)
            sharing.delete_guest(session, cast.owner, guest=guest, at=at)
        else:
            albums.delete_album(session, cast.owner, album=album, confirm=BRITTANY, jobs=house.jobs, at=at)
    house.clock.move(timedelta(minutes=2))  # type: ignore[attr-defined]
    enqueue_forgotten_removals(house)
    work(house, decoder)
    with house.database.reading() as session:
        assert session.get(Voice, voice) is None
    assert name not in {stored.name for stored in house.storage.list("albums/")}


def test_the_page_offers_what_can_be_heard(
    cast: Family, house: House, decoder: Decoder, browser_of: Callable[..., LintingClient]
) -> None:
    rose, anna = browser_of(device=cast.people["Rose"].cookie), browser_of(member=cast.cookie)
    album, photo = cast.albums[BRITTANY].id, cast.photos[BRITTANY][0]
    anna.send(f"/albums/{album}/edit", title=BRITTANY, choices="y", takes_voice="y")
    data = {"csrf_token": rose.any_token(), "voice": (BytesIO(recording("m4a")), "voice.m4a")}
    assert rose.post(f"/shared/{album}/{photo}/voices", data=data).status_code == 303
    work(house, decoder)
    for browser, page in ((rose, f"/shared/{album}/{photo}"), (anna, f"/photos/{photo}")):
        text = browser.get(page).text
        played = text.split('<audio controls preload="none" src="')[1].split('"')[0]
        assert browser.get(played).mimetype == "audio/mpeg"
        assert "The voice of Rose, 0:01" in text


def test_the_doctor_proves_voices_too_and_silences_what_fails(cast: Family, house: House, decoder: Decoder) -> None:
    voice = say(cast, recording())
    work(house, decoder)
    mine = [each for each in proving.prove_stored(house) if each.voice]
    assert mine == []
    unclean = cast.voice(BRITTANY, "Rose")
    (found,) = [each for each in proving.prove_stored(house) if each.voice]
    assert found == Unproven(cast.photos[BRITTANY][0], None, Flaw.NOT_CLEAN, unclean)
    assert "voice" in check_proof(found, hidden=True).says
    proving.hide(house, found)
    assert (row(house, unclean).state, row(house, voice).state) == (VoiceState.REFUSED, VoiceState.READY)
