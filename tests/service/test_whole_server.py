"""The whole server in a scratch folder: nothing private touches a disk in the clear, nothing acknowledged is lost by kill -9, and no log
line says who was here."""

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.ingest.receiving import PART
from tests.made_films import film
from tests.server import PASSWORD, Browser, Server, multipart, wait_for

PLACE = b"Canary-Place-Ker-Lann"
FILE = "canary-file-name.jpg"
TITLE, CAPTION, GUEST, EMAIL = "Canary Title", "canary caption", "Canary Rose", "canary-anna@example.org"


def photo_with_canary(seed: int = 0, size: tuple[int, int] = (1600, 1200)) -> bytes:
    """A picture that says where it was taken, in EXIF, in a comment and behind its end; about 5 MB when large."""
    exif = Image.Exif()
    exif[0x010E] = PLACE.decode()
    exif.get_ifd(0x8825)[29] = PLACE.decode()
    out = BytesIO()
    noise = Image.effect_noise(size, 90 + seed).convert("RGB")
    noise.save(out, "JPEG", quality=95, exif=exif, comment=PLACE)
    return out.getvalue() + PLACE


def everything_on_disk(*folders: Path) -> Iterator[tuple[str, bytes]]:
    for folder in folders:
        for path in folder.rglob("*"):
            with suppress(FileNotFoundError):  # a database tidies up while we look
                if path.is_file():
                    yield str(path.relative_to(folder)), path.read_bytes()


def assert_nowhere(server: Server, *canaries: bytes) -> None:
    for name, content in everything_on_disk(server.folder, *server.disks):
        for canary in canaries:
            assert canary not in content, f"{canary!r} lies in the clear in {name}"


def is_local(server: Server) -> bool:
    return "KINFOLD_STORAGE_URL" not in server.settings


def all_settled(browser: Browser, album: str, count: int) -> list[dict[str, Any]]:
    def look() -> list[dict[str, Any]]:
        photos = browser.photos(album)
        settled = [photo for photo in photos if photo["state"] != "received"]
        return photos if len(settled) == len(photos) == count else []

    return wait_for(look, f"{count} photos to be ready or refused", 60)


def test_attack_10_canaries_of_a_large_upload_are_never_on_a_disk(server: Server) -> None:
    anna = Browser(server.base)
    anna.set_up(server.set_up_address(), email=EMAIL)
    album = anna.album(TITLE, CAPTION)
    page = f"/albums/{album}"
    large = photo_with_canary(size=(2600, 2000))
    assert len(large) > 5_000_000

    token, cookie = anna.token(page), "; ".join(f"{c.name}={c.value}" for c in anna.cookies)
    body = multipart(token, (FILE, large))
    with socket.create_connection(("127.0.0.1", server.port)) as line:  # half of it, and then the plug
        head = (
            f"POST {page}/photos HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nCookie: {cookie}\r\nContent-Length: {len(body)}\r\n"
        )
        line.sendall(f"{head}Content-Type: multipart/form-data; boundary=b0und\r\n\r\n".encode() + body[: len(body) // 2])
        if is_local(server):
            wait_for(lambda: any((server.folder / "var/photos/incoming").iterdir()), "the upload to arrive")
        else:
            time.sleep(1)  # it is on its way through our memory
        assert_nowhere(server, PLACE, FILE.encode())
        server.kill()
    assert_nowhere(server, PLACE, FILE.encode())

    server.start()
    answer = anna.upload(f"{page}/photos", anna.token(page), (FILE, large))
    assert answer.status == 202, answer.body
    assert_nowhere(server, PLACE, FILE.encode())
    (photo,) = all_settled(anna, album, 1)
    assert photo["state"] == "ready"
    anna.post(f"/photos/{photo['id']}/caption", anna.token(page), caption=CAPTION)
    assert_nowhere(server, PLACE, FILE.encode(), TITLE.encode(), CAPTION.encode())


def test_of_a_file_that_comes_in_parts_one_part_is_lost_at_most_when_everything_is_killed(server: Server) -> None:
    """Killed twice: when two parts and a half have come in, and in the moment in which the parts become a photo."""
    anna = Browser(server.base)
    anna.set_up(server.set_up_address())
    album = anna.album("Brittany 2026")
    page = f"/albums/{album}"
    picture = photo_with_canary()
    whole = picture + PLACE * (45_000_000 // len(PLACE))
    upload = anna.begin(album, anna.token(page), FILE, len(whole))

    def send_and_kill(start: int, stop: int, when: Callable[[], object]) -> None:
        token, cookie = anna.token(page), "; ".join(f"{c.name}={c.value}" for c in anna.cookies)
        told = {"Cookie": cookie, "X-CSRFToken": token, "Tus-Resumable": "1.0.0", "Upload-Offset": start}
        told |= {"Host": f"127.0.0.1:{server.port}", "Content-Length": len(whole) - start}
        told |= {"Content-Type": "application/offset+octet-stream"}
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            line.sendall(f"PATCH {upload} HTTP/1.1\r\n{head}\r\n".encode() + whole[start:stop])
            when()
            server.kill()
        assert_nowhere(server, PLACE, FILE.encode())
        server.start()

    send_and_kill(0, 40_000_000, lambda: wait_for(lambda: anna.how_far(upload) >= 2 * PART, "two parts"))
    assert anna.how_far(upload) == 2 * PART
    send_and_kill(2 * PART, len(whole), lambda: time.sleep(0.05))
    has = anna.how_far(upload)
    assert has in (2 * PART, len(whole)), "all of it, or what was written down before"
    assert has < len(whole) or anna.photos(album), "it never says that it has what it has not"
    if has < len(whole):
        assert anna.go_on(upload, anna.token(page), has, whole[has:]).status == 204
    (photo,) = all_settled(anna, album, 1)
    assert photo["state"] == "ready"
    assert_nowhere(server, PLACE, FILE.encode())


def test_nothing_acknowledged_is_lost_when_everything_is_killed_again_and_again(server: Server) -> None:
    anna = Browser(server.base)
    anna.set_up(server.set_up_address())
    album = anna.album("Brittany 2026")
    page = f"/albums/{album}"
    acknowledged = []
    for round_ in range(2):  # a file that is being prepared at three kills is given up, behind "Try again"
        for each in range(6):
            content = photo_with_canary(seed=6 * round_ + each, size=(1200, 900))
            answer = anna.upload(f"{page}/photos", anna.token(page), (f"IMG_{round_}{each}.jpg", content))
            acknowledged.append(answer.json["photos"][0]["id"])
        server.kill()
        server.start()
    photos = all_settled(anna, album, len(acknowledged))
    assert {photo["id"] for photo in photos} == set(acknowledged)
    assert {photo["state"] for photo in photos} == {"ready"}
    if is_local(server):
        stored = [path for path in (server.folder / "var/photos/albums").rglob("*") if path.is_file()]
        assert len(stored) >= 3 * len(acknowledged)
    assert_nowhere(server, PLACE)


def test_a_worker_that_is_killed_is_started_again_and_goes_on(server: Server) -> None:
    anna = Browser(server.base)
    anna.set_up(server.set_up_address())
    album = anna.album("Brittany 2026")
    page = f"/albums/{album}"
    files = [(f"IMG_{each}.jpg", photo_with_canary(seed=each)) for each in range(4)]
    assert anna.upload(f"{page}/photos", anna.token(page), *files).status == 202
    (worker,) = server.children("\0worker")
    os.kill(worker, signal.SIGKILL)
    assert {photo["state"] for photo in all_settled(anna, album, 4)} == {"ready"}
    assert worker not in server.children("\0worker")


def test_canaries_of_a_film_are_never_on_a_disk_either(server: Server) -> None:
    anna = Browser(server.base)
    anna.set_up(server.set_up_address())
    album = anna.album("Brittany 2026")
    page = f"/albums/{album}"
    said = ("-metadata", f"title={PLACE.decode()}", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    large = film(*said, picture="testsrc2=size=1280x720:rate=30:duration=6,noise=alls=10:allf=t")
    assert PLACE in large and len(large) > 5_000_000
    assert anna.upload(f"{page}/photos", anna.token(page), (FILE, large)).status == 202
    wait_for(lambda: server.children("libx264"), "ffmpeg to be at work")
    assert_nowhere(server, PLACE, FILE.encode())
    (video,) = all_settled(anna, album, 1)
    assert (video["kind"], video["state"]) == ("video", "ready")
    assert_nowhere(server, PLACE, FILE.encode())
    shown = anna.get(f"/photos/{video['id']}").body.decode()
    play = re.findall(r'src="(/m/[^"]+)"', shown)[-1]
    first, last = anna.get(play, Range="bytes=0-99"), anna.get(play, Range="bytes=-100")
    assert (first.status, len(first.body), last.status, len(last.body)) == (206, 100, 206, 100)
    assert first.body[4:8] == b"ftyp"


@pytest.mark.slow
def test_a_film_survives_every_restart_and_ffmpeg_none(server: Server) -> None:
    """More clean restarts than a file has attempts, each in the middle of the film, and then one kill."""
    anna = Browser(server.base)
    anna.set_up(server.set_up_address())
    album = anna.album("Brittany 2026")
    page = f"/albums/{album}"
    long = film("-c:v", "mpeg4", picture="testsrc2=size=1280x720:rate=30:duration=40", sound=None)
    assert anna.upload(f"{page}/photos", anna.token(page), ("VID_1.mp4", long)).status == 202
    for restart in range(5):
        wait_for(lambda: server.children("libx264"), "ffmpeg to be at work", 60)
        assert anna.photos(album)[0]["state"] == "received"
        working = server.children("ffmpeg")
        if restart < 4:
            assert server.stop() == 0
        else:
            server.kill()
        wait_for(lambda working=working: not any(Path(f"/proc/{pid}/exe").exists() for pid in working), "ffmpeg to end")  # type: ignore[misc]
        server.start()
    wait_for(lambda: anna.photos(album)[0]["state"] != "received", "the film to be ready", 240)
    assert anna.photos(album)[0]["state"] == "ready"


def test_it_stops_cleanly_and_starts_again_with_everything(server: Server) -> None:
    anna = Browser(server.base)
    anna.set_up(server.set_up_address())
    anna.album("Brittany 2026")
    children = server.children()
    assert server.stop() == 0
    for pid in children:
        assert not Path(f"/proc/{pid}").exists()
    server.start()
    assert anna.get("/albums", Accept="application/json").json["albums"][0]["title"] == "Brittany 2026"
    assert len(re.findall("/setup/", (server.folder / "out").read_text())) == 1


def test_the_keys_are_ours_alone_and_standard_output_has_one_line(server: Server) -> None:
    keys = sorted((server.folder / "var/keys").glob("*"))
    assert [key.name for key in keys] == ([] if "KINFOLD_MASTER_KEY" in server.settings else ["master.key", "secret.key"])
    assert {key.stat().st_mode & 0o777 for key in keys} <= {0o600}
    assert len((server.folder / "out").read_text().splitlines()) == 1


@pytest.mark.parametrize("style", ["plain", "json"])
def test_no_log_line_says_who_was_here(tmp_path: Path, style: str) -> None:
    """A whole story, and then a search through all that was logged for every name, address, password, cookie and secret address."""
    server = Server(tmp_path, KINFOLD_LOG=style)
    try:
        server.start()
        anna, rose = Browser(server.base), Browser(server.base)
        address = server.set_up_address()
        anna.set_up(address, email=EMAIL)
        anna.post("/sign-in", anna.token("/account"), email=EMAIL, password="a wrong password")
        album = anna.album(TITLE)
        page = f"/albums/{album}"
        anna.upload(f"{page}/photos", anna.token(page), (FILE, photo_with_canary(size=(300, 200))), ("broken.jpg", b"no picture"))
        all_settled(anna, album, 2)
        shared = anna.post(f"{page}/share", anna.token(page), name=GUEST, days="30").json
        token = rose.token(shared["link"])
        rose.post(shared["link"], token)
        shown = rose.get(f"/shared/{album}").body.decode()
        media = re.findall(r'src="(/m/[^"]+)"', shown)
        assert media and rose.get(media[0]).status == 200
        rose.get("/i/not-a-token")
        anna.post("/stop-sharing", anna.token("/stop-sharing"))
        assert rose.get(media[0]).status == 404
        log = (tmp_path / "log").read_text()
        assert "kinfold.web" in log
        secrets = [
            PASSWORD,
            "a wrong password",
            EMAIL,
            GUEST,
            TITLE,
            FILE,
            "The Smiths",
            address,
            shared["link"].rpartition("/")[2],
        ]
        secrets += [
            media[0].removeprefix("/m/"),
            *(cookie.value or "" for b in (anna, rose) for cookie in b.cookies),
            PLACE.decode(),
        ]
        for secret in secrets:
            assert secret not in log, f"logged: {secret}"
    finally:
        server.kill()
