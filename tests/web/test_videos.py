"""Videos on pages: how long they are, how they are played and saved, and that nothing starts by itself."""

import re
from collections.abc import Callable

import pytest

from app.ingest import service as ingest
from app.models import Photo, Upload
from app.web.i18n import clock_length
from tests.conftest import Family
from tests.lint import LintingClient
from tests.web.conftest import BRITTANY, photo_address


@pytest.fixture
def video(cast: Family) -> str:
    return cast.film(BRITTANY, duration=62_400)


def test_a_tile_says_that_it_is_a_video_and_how_long(cast: Family, rose: LintingClient, brittany: str, video: str) -> None:
    page = rose.get(f"/shared/{brittany}").text
    tile = page.split(f'id="photo-{video}"')[1].split("</li>")[0]
    assert '<span class="length" aria-hidden="true">1:02</span>' in tile
    said = " ".join(re.sub(r"<[^>]+>", "", tile.split('class="unseen">')[1]).split())
    assert said == "Video, 1 minute, 2 seconds"
    assert f'alt="Video {len(cast.photos[BRITTANY])} of {len(cast.photos[BRITTANY])}, ' in tile
    assert page.count('class="length"') == 1, "pictures have none"
    assert "<video" not in page, "nothing is loaded on an album's page but pictures"


def test_videos_are_counted_for_themselves(cast: Family, anna: LintingClient, rose: LintingClient, brittany: str) -> None:
    def said() -> set[str]:
        pages = anna.get("/albums"), anna.get(f"/albums/{brittany}"), rose.get("/shared"), rose.get(f"/shared/{brittany}")
        assert {page.status_code for page in pages} == {200}
        counted = [set(re.findall(r"\d+ photos?(?: and \d+ videos?)?|\d+ videos?", page.text)) for page in pages]
        return set.intersection(*counted)

    photos = len(cast.photos[BRITTANY])
    assert said() == {f"{photos} photos"}
    cast.film(BRITTANY)
    assert said() == {f"{photos} photos and 1 video"}
    cast.film(BRITTANY)
    for photo in cast.photos[BRITTANY][:photos]:
        anna.send(f"/photos/{photo}/delete")
    assert said() == {"2 videos"}


@pytest.mark.parametrize(("seconds", "shown"), [(1, "0:01"), (42, "0:42"), (600, "10:00"), (3753, "1:02:33")])
def test_a_length_is_shown_as_players_do(seconds: int, shown: str) -> None:
    assert clock_length(seconds) == shown


def test_the_pages_of_a_video_play_it_and_start_nothing(
    cast: Family, anna: LintingClient, rose: LintingClient, brittany: str, video: str
) -> None:
    for browser, page in ((anna, f"/photos/{video}"), (rose, f"/shared/{brittany}/{video}")):
        answer = browser.get(page)
        assert "media-src 'self'" in answer.headers["Content-Security-Policy"]
        player = answer.text.split("<video")[1].split(">")[0]
        assert all(f" {word}" in player for word in ("controls", "playsinline", 'preload="none"', 'width="64"', 'height="48"'))
        assert "autoplay" not in player and "loop" not in player
        poster, source = (re.search(rf'{name}="(/m/[^"]+)"', player) for name in ("poster", "src"))
        assert poster and source
        assert browser.get(poster[1]).data.endswith(b"screen")
        played = browser.get(source[1], headers={"Range": "bytes=0-9"})
        assert (played.status_code, len(played.data), played.mimetype) == (206, 10, "video/mp4")
        assert played.headers["Cache-Control"] == "no-store"
        assert browser.get(source[1]).data.endswith(b"play")


def test_who_may_save_saves_the_whole_video_under_a_neutral_name(
    cast: Family, rose: LintingClient, browser_of: Callable[..., LintingClient], brittany: str, video: str
) -> None:
    assert "Save this video" not in rose.get(f"/shared/{brittany}/{video}").text
    june = browser_of(device=cast.share(BRITTANY, "June", may_save=True).cookie)
    page = june.get(f"/shared/{brittany}/{video}").text
    assert "Save this video" in page and "Save this photo" not in page
    saved = june.get(re.search(r'href="(/m/[^"]+)"', page)[1])  # type: ignore[index]
    assert saved.data.endswith(b"full")
    assert saved.headers["Content-Disposition"] == f'attachment; filename="video-{len(cast.photos[BRITTANY]):03d}.mp4"'


def test_play_is_for_whoever_may_look_and_full_for_whoever_may_save(
    cast: Family, rose: LintingClient, stranger: LintingClient, video: str
) -> None:
    cookie = cast.people["Rose"].cookie
    play, full = (photo_address(cast, video, name, device=cookie) for name in ("play", "full"))
    saving = photo_address(cast, video, "play", device=cookie, save=True)
    assert [rose.get(address).status_code for address in (play, full, saving)] == [200, 404, 404]
    assert stranger.get(play).status_code == 404
    picture = photo_address(cast, cast.photos[BRITTANY][0], "play", device=cookie)
    assert rose.get(picture).status_code == 404, "a picture has nothing to play"


def test_a_member_is_told_how_far_a_video_is(cast: Family, anna: LintingClient, brittany: str) -> None:
    film = cast.upload(BRITTANY, b"\0\0\0\x18ftypisom" + bytes(64), "VID_7.mp4")
    with cast.house.database.writing() as session:
        waiting = ingest.take(session, photo=film, master=cast.house.master, jobs=cast.house.jobs, at=cast.house.clock.now())
        assert waiting is not None
        ingest.turn_into_film(session, waiting=waiting, jobs=cast.house.jobs)
        session.flush()
        assert ingest.note_progress(session, waiting=waiting, percent=40)
    told = {
        photo["id"]: photo
        for photo in anna.get(f"/albums/{brittany}/photos", headers={"Accept": "application/json"}).get_json()["photos"]
    }
    assert (told[film]["kind"], told[film]["state"], told[film]["progress"]) == ("video", "received", 40)
    assert told[cast.photos[BRITTANY][0]]["kind"] == "photo"
    with cast.house.database.reading() as session:
        upload, photo = session.get(Upload, film), session.get(Photo, film)
        assert upload is not None and photo is not None and upload.attempts == 0


def test_the_words_on_a_members_page_are_those_of_a_video(anna: LintingClient, video: str, brittany: str) -> None:
    page = anna.get(f"/photos/{video}").text
    for words in ("Delete this video", "Words for this video", "Taken out of this video: the place"):
        assert words in page
    assert "this photo" not in page
    assert 'accept="image/*,video/*"' in anna.get(f"/albums/{brittany}").text
    assert 'class="length"' in anna.get(f"/albums/{brittany}?select=1").text


def test_a_copy_of_everything_has_the_video(cast: Family, video: str) -> None:
    from app.rights import service as rights

    with cast.house.database.reading() as session:
        files = [photo.file for photo in rights.whole_photos(session, album=cast.albums[BRITTANY])]
    assert files[-1] == f"video-{len(cast.photos[BRITTANY]):03d}.mp4"
