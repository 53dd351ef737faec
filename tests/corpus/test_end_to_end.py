"""The whole of it, by somebody who knows only the addresses: hundreds of files go in, and every byte that comes out is judged.

Also attack 10 for every format: what the files know lies nowhere in the clear, while they come in, after kill -9, and at the end.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.canaries import MARK, Canaries
from tests.corpus.films import films
from tests.corpus.hostile import NAMES, Hostile, cuts, hostile
from tests.corpus.hostile_films import hostile_films
from tests.corpus.judge import SENTENCES, Judge
from tests.corpus.photos import Sample, encoded, photos, picture
from tests.server import Answer, Browser, Server, wait_for

pytestmark = pytest.mark.slow

MEDIA = re.compile(r"/m/[\w.~=-]+")
NEUTRAL_NAME = re.compile(r"(photo|video)-\d{3,}\.(jpg|png|mp4)")
NEUTRAL = re.compile(rf'attachment; filename="{NEUTRAL_NAME.pattern}"')
PATIENCE = 900  # seconds until everything is ready or refused
BATCH = 20
GROWTH = 200 << 20  # bytes of memory that all processes of a server together may have more after an attack


def send(anna: Browser, album: str, files: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """All of them, in batches; what was said of each."""
    told = []
    for at in range(0, len(files), BATCH):
        answer = anna.upload(f"/albums/{album}/photos", anna.token(f"/albums/{album}"), *files[at : at + BATCH])
        assert answer.status == 202, (answer.status, answer.body[:300])
        told += answer.json["photos"]
    assert len(told) == len(files)
    return told


def settled(anna: Browser, album: str) -> dict[str, dict[str, Any]]:
    """How each photo of the album ended, by its id."""

    def look() -> list[dict[str, Any]]:
        now = anna.photos(album)
        return [] if any(photo["state"] == "received" for photo in now) else now

    return {photo["id"]: photo for photo in wait_for(look, "everything to be ready or refused", PATIENCE)}


def read(browser: Browser, address: str) -> Answer:
    """The bytes behind an address, however long, the way a player asks for them."""
    answer = browser.get(address)
    assert answer.status == 200, (address, answer.status)
    part = browser.get(address, Range="bytes=0-99")
    assert part.status == 206 and part.body == answer.body[:100]
    return answer


def addresses(page: Answer) -> list[str]:
    assert page.status == 200
    return list(dict.fromkeys(MEDIA.findall(page.body.decode())))


def judge_answer(judge: Judge, name: str, answer: Answer, sample: Sample) -> None:
    """A delivered file, and what was said with it."""
    judge.look(name, answer.headers["Content-Type"], answer.body, sample.canaries)
    said = repr(answer.headers.items()).encode()
    judge.found += [f"{name}: a header says {word!r}" for word in sample.canaries.found_in(said)]
    if (kept := answer.headers.get("Content-Disposition")) and not NEUTRAL.fullmatch(kept):
        judge.found.append(f"{name}: is saved as {kept}")
    if "Last-Modified" in answer.headers:
        judge.found.append(f"{name}: has a date")


def unpacked(data: bytes) -> dict[str, bytes]:
    """The files of a zip by their names. The zip itself says nothing: no date, no comment."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0) and not entry.comment and not entry.extra
        return {name: archive.read(name) for name in archive.namelist()}


def on_disk(folder: Path, samples: Iterable[Sample]) -> list[str]:
    """Which canaries lie in the clear in anything that the server has written; but dates, because when a photo was taken is kept."""
    words = [word for sample in samples for word in sample.canaries.words if word.startswith(MARK)]
    raw = {needle for sample in samples for needle in sample.canaries.raw}
    forms = {form(word): word for word in words for form in (lambda w: w[:10].encode(), lambda w: w[:10].encode("utf-16-le"))}
    heads = {form[: len(MARK)]: len(form) for form in (words[0][:10].encode(),)} | {words[0][:3].encode("utf-16-le"): 20}
    found = []
    for path in folder.rglob("*"):
        try:
            data = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue  # a database tidies up while we look
        for head, length in heads.items():
            for match in re.finditer(re.escape(head), data):
                if word := forms.get(data[match.start() : match.start() + length]):
                    found.append(f"{word} lies in {path.relative_to(folder)}")
        found += [f"{needle.hex()} lies in {path.relative_to(folder)}" for needle in raw if needle in data]
    return found


def test_everything_a_family_has_goes_in_and_only_pictures_come_out(server: Server, tmp_path: Path) -> None:
    samples = [*photos(), *films()]
    names = Canaries("names")
    sent = {f"{names.word()}-{sample.name}": sample for sample in samples}
    files = [(name, sample.data) for name, sample in sent.items()]
    anna, rose = Browser(server.base), Browser(server.base)
    anna.set_up(server.set_up_address())
    album = anna.album("Everything")

    half = len(files) // 2
    told = send(anna, album, files[:half])
    server.kill()
    assert not on_disk(server.folder, samples)
    server.start()
    told += send(anna, album, files[half:])
    assert not on_disk(server.folder, samples)
    by_id = {photo["id"]: sent[photo["name"]] for photo in told}
    ended = settled(anna, album)
    assert not on_disk(server.folder, samples)
    assert set(ended) == set(by_id)
    not_taken = {by_id[id_].name: photo["reason"] for id_, photo in ended.items() if photo["state"] != "ready"}
    judge, delivered = Judge(tmp_path / "delivered"), set()

    share = f"/albums/{album}/share"
    link = anna.post(share, anna.token(share), name="Rose", days="30", may_save="y").json["link"]
    assert rose.post(link, rose.token(link)).status == 303
    for id_, sample in by_id.items():
        if ended[id_]["state"] != "ready":
            continue
        for who, browser, page in (("anna", anna, f"/photos/{id_}"), ("rose", rose, f"/shared/{album}/{id_}")):
            shown = browser.get(page)
            judge.found += [f"{sample.name}: {page} says {word!r}" for word in sample.canaries.found_in(shown.body)]
            judge.found += [f"{sample.name}: {page} says its file's name" for word in names.words if word.encode() in shown.body]
            mimes = set()
            for n, address in enumerate(addresses(shown)):
                answer = read(browser, address)
                judge_answer(judge, f"{sample.name}-{who}-{n}", answer, sample)
                delivered.add(answer.body)
                mimes.add(answer.headers["Content-Type"])
            if sample in films() and "video/mp4" not in mimes:
                judge.found.append(f"{sample.name}: {who} gets no film, only {mimes}")
    for browser, page in ((anna, f"/albums/{album}"), (rose, f"/shared/{album}")):
        shown, mimes = browser.get(page), set()
        for n, address in enumerate(addresses(shown)):
            answer = browser.get(address)
            mimes.add(answer.headers["Content-Type"])
            if answer.headers["Content-Type"] == "application/zip":
                kept = unpacked(answer.body)
                assert set(kept.values()) <= delivered and all(NEUTRAL_NAME.fullmatch(name) for name in kept), page
                assert len(kept) == len(by_id) - len(not_taken), page
            else:
                judge.look(f"{page.replace('/', '_')}-{n}", answer.headers["Content-Type"], answer.body, names)
        assert mimes >= {"image/jpeg", "application/zip"}, page
    listed = anna.get(f"/albums/{album}/photos", Accept="application/json").body
    for sample in samples:
        judge.found += [f"{sample.name}: the list says {word!r}" for word in sample.canaries.found_in(listed)]

    copy = anna.post("/group/export", anna.token("/group/data"))
    everything = Canaries("all")
    everything.words = [word for sample in samples for word in sample.canaries.words]
    for name, content in unpacked(copy.body).items():
        if name.endswith(".json"):
            assert not everything.found_in(content, dates=False)  # when a photo was taken is in there, for its owner
        else:
            assert content in delivered, name
    verdict = judge.verdict()
    assert not verdict, "\n".join(verdict)
    assert not not_taken


def memory(server: Server) -> int:
    """Bytes that all processes of a server have in use, without the decoders, which come and go."""
    total = 0
    for pid in server.children():
        try:
            if "decoder" not in Path(f"/proc/{pid}/cmdline").read_text():
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
        except OSError:
            continue
    return total


def test_five_hundred_hostile_files_harm_nobody(server: Server, tmp_path: Path) -> None:
    anna = Browser(server.base)
    anna.set_up(server.set_up_address())
    album, safe = anna.album("Attacked"), anna.album("Safe")
    send(anna, safe, [("before.jpg", encoded("JPEG", picture((640, 480))))])
    settled(anna, safe)
    before = memory(server)
    files: list[Hostile] = [*hostile(), *cuts()[::2], *list(hostile_films())[::4]]
    by_name = {f"{n}-{file.name}": file for n, file in enumerate(files)}
    told = send(anna, album, [(name, file.data) for name, file in by_name.items()])
    ended = settled(anna, album)
    judge = Judge(tmp_path / "delivered")
    for photo in told:
        file, end = by_name[photo["name"]], ended[photo["id"]]
        if end["state"] == "refused":
            if end["reason"] not in SENTENCES:
                judge.found.append(f"{file.name}: refused as {end['reason']}")
            continue
        if file.refused:
            judge.found.append(f"{file.name}: became a picture")
        page = anna.get(f"/photos/{photo['id']}")
        for n, address in enumerate(addresses(page)):
            answer = anna.get(address)
            judge.look(f"{file.name}-{n}", answer.headers["Content-Type"], answer.body, file.canaries)
    reasons = {photo["reason"] for photo in ended.values() if photo["state"] == "refused"}
    page = anna.get(f"/albums/{album}")
    assert page.status == 200
    for reason in reasons:
        assert SENTENCES[reason] in page.body.decode().replace("&#39;", "'"), f"no sentence for {reason}"
    verdict = judge.verdict()
    assert not verdict, "\n".join(verdict)
    send(anna, safe, [("after.jpg", encoded("JPEG", picture((480, 640))))])
    assert {photo["state"] for photo in settled(anna, safe).values()} == {"ready"}
    assert memory(server) - before < GROWTH


def test_hostile_names_are_names_and_nothing_more(server: Server) -> None:
    anna = Browser(server.base)
    anna.set_up(server.set_up_address())
    album = anna.album("Names")
    page = f"/albums/{album}"
    for n, name in enumerate(NAMES):
        content = encoded("JPEG", picture((16 + n, 16))) if n % 2 else b"no picture %d" % n
        body = (
            b'--b0und\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n' + anna.token(page).encode()
            + b'\r\n--b0und\r\nContent-Disposition: form-data; name="files"; filename="' + name.encode("utf-8", "surrogatepass")
            + b'"\r\nContent-Type: ' + (b"text/html", b"image/jpeg", b"../../x", b"\xff")[n % 4] + b"\r\n\r\n" + content
            + b"\r\n--b0und--\r\n"
        )  # fmt: skip
        assert anna.post_body(f"{page}/photos", body, "multipart/form-data; boundary=b0und").status in (202, 400), name
    huge = b'--b0und\r\nContent-Disposition: form-data; name="files"; filename="' + b"x" * 3_000_000
    assert anna.post_body(f"{page}/photos", huge, "multipart/form-data; boundary=b0und").status in (400, 413)
    many = b"".join(b"--b0und\r\nX-%d: y\r\n\r\n\r\n" % n for n in range(20_000)) + b"--b0und--\r\n"
    assert anna.post_body(f"{page}/photos", many, "multipart/form-data; boundary=b0und").status in (400, 413)
    assert anna.post_body(f"{page}/photos", b"", "multipart/form-data; boundary=" + "b" * 5000).status in (400, 413)
    settled(anna, album)
    shown = anna.get(page)
    assert shown.status == 200
    text = shown.body.decode()
    assert "<script>alert" not in text and "<img src=x" not in text
    for photo in anna.photos(album):
        assert len(photo["name"]) <= 255 and not re.search(r"[\0-\x1f/\\\u202a-\u202e]", photo["name"]), photo["name"]
    outside = [path for path in server.folder.rglob("*") if path.name in ("passwd", "boot.ini", ".htaccess", "secret.jpg")]
    assert not outside
