"""The worker's side: one process, one group, and no trust in what it answers."""

import io
import os
import pickle
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from app.ingest.decoder import canned
from app.ingest.decoder.limits import REASONS, REMOVED
from app.ingest.decoder.prove import prove
from app.ingest.decoding import Decoded, Decoder, DecoderKilled, DecoderMissing, NotDecoded
from tests.exiftool import ALLOWED, said_by_exiftool

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"
# Films are another part's, whatever their class in SOURCES.tsv.
EXPECTED = {".mov": "film", ".mp4": "film", ".svg": "not-a-picture"}


def a_jpeg(size: tuple[int, int] = (64, 48)) -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize(size).save(file, "JPEG")
    return file.getvalue()


JPEG = a_jpeg()


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder()
    yield decoder
    decoder.close()


def decode(decoder: Decoder, data: bytes, group: str = "smiths") -> Decoded | NotDecoded:
    return decoder.decode(data, group=group, size=len(data))


def pid(decoder: Decoder) -> int | None:
    return decoder._process.pid if decoder._process else None


def test_a_photo_comes_back_clean(decoder: Decoder) -> None:
    photo = decode(decoder, JPEG)
    assert isinstance(photo, Decoded)
    assert [(made.name, made.mime) for made in photo.renditions] == [
        ("grid", "image/jpeg"), ("screen", "image/jpeg"), ("full", "image/jpeg")
    ]  # fmt: skip
    assert (photo.width, photo.height, photo.taken_at, photo.removed) == (64, 48, None, ())
    assert decoder.sandbox["seccomp"] or decoder.sandbox["landlock"]


def test_an_upload_may_come_in_pieces(decoder: Decoder) -> None:
    photo = decoder.decode((JPEG[at : at + 100] for at in range(0, len(JPEG), 100)), group="smiths", size=len(JPEG))
    assert photo == decode(decoder, JPEG)


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("empty", b""),
        ("not-a-picture", b"hello"),
        ("film", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"),
        ("unsupported", b"8BPS\0\1" + bytes(100)),
        ("broken", JPEG[: len(JPEG) // 2]),
    ],
)
def test_reasons(decoder: Decoder, reason: str, data: bytes) -> None:
    assert decode(decoder, data) == NotDecoded(reason)


def test_a_file_that_can_never_fit_is_not_even_read() -> None:
    assert Decoder(command=["/nowhere"]).decode(iter(()), group="a", size=400 << 20) == NotDecoded("too-much-memory")


def test_a_new_process_for_another_group_after_a_failure_and_after_many_files() -> None:
    decoder = Decoder(files_per_process=3)
    try:
        seen = []
        for data, group in [(JPEG, "a"), (b"hello", "a"), (JPEG, "b"), (JPEG, "b"), (JPEG, "b"), (JPEG, "b")]:
            decode(decoder, data, group)
            seen.append(pid(decoder))
        assert seen[0] == seen[1] != seen[2] == seen[3] == seen[4] != seen[5]
        decode(decoder, JPEG[:300], "b")
        assert pid(decoder) is None
    finally:
        decoder.close()


def test_a_storage_that_fails_is_told_as_it_is(decoder: Decoder) -> None:
    def pieces() -> Iterator[bytes]:
        yield JPEG[:100]
        raise OSError("the storage is gone")

    with pytest.raises(OSError, match="the storage is gone"):
        decoder.decode(pieces(), group="smiths", size=len(JPEG))
    assert pid(decoder) is None
    assert decoder.decode([JPEG, b"more"], group="smiths", size=len(JPEG)) == NotDecoded("failed")
    assert decoder.decode([JPEG[:-5]], group="smiths", size=len(JPEG)) == NotDecoded("failed")
    assert isinstance(decode(decoder, JPEG), Decoded)


def test_threads_take_turns(decoder: Decoder) -> None:
    found: list[Decoded | NotDecoded] = []
    sizes = [(20 + n, 10) for n in range(8)]
    threads = [threading.Thread(target=lambda s=size: found.append(decode(decoder, a_jpeg(s)))) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted((photo.width, photo.height) for photo in found if isinstance(photo, Decoded)) == sizes


def stub(body: str) -> list[str]:
    """A decoder process that does `body` instead; `say(header, *blobs)` and `hear()` speak the protocol."""
    program = f"""
import sys, json, os, time, signal
def say(header, *blobs):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    os.write(1, len(text).to_bytes(4, "big") + text)
    for blob in blobs:
        os.write(1, blob)
def hear():
    prefix = sys.stdin.buffer.read(4)
    if not prefix:
        sys.exit()
    return sys.stdin.buffer.read(json.loads(sys.stdin.buffer.read(int.from_bytes(prefix, "big")))["size"])
say({{"ready": {{"landlock": False, "seccomp": False}}}})
{body}
"""
    return [sys.executable, "-I", "-c", program]


def answer_of(body: str, **options: float) -> Decoded | NotDecoded:
    decoder = Decoder(command=stub(body), **options)  # type: ignore[arg-type]
    try:
        return decode(decoder, JPEG)
    finally:
        decoder.close()


def test_a_process_that_hangs_or_works_too_long_is_ended() -> None:
    start = time.monotonic()
    assert answer_of("hear(); time.sleep(60)", wall_seconds=0.5) == NotDecoded("too-slow")
    assert answer_of("time.sleep(60)", wall_seconds=0.5) == NotDecoded("too-slow")
    assert answer_of("hear()\nwhile True: pass", cpu_seconds=0.5) == NotDecoded("too-slow")
    assert answer_of("hear(); os.write(1, b'\\0'); time.sleep(60)", wall_seconds=0.5) == NotDecoded("too-slow")
    assert time.monotonic() - start < 10


def test_a_big_upload_to_a_process_that_does_not_listen() -> None:
    decoder = Decoder(command=stub("time.sleep(60)"), wall_seconds=0.5)
    assert decoder.decode(bytes(5_000_000), group="a", size=5_000_000) == NotDecoded("too-slow")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "failed"),
        ("os.kill(os.getpid(), signal.SIGABRT)", "failed"),
        ("os.kill(os.getpid(), signal.SIGTRAP)", "too-much-memory"),
        ("sys.exit(0)", "failed"),
    ],
)
def test_how_a_process_ends_tells_why(body: str, reason: str) -> None:
    assert answer_of("hear(); " + body) == NotDecoded(reason)


def test_one_that_is_killed_from_outside_says_nothing_about_the_file() -> None:
    with pytest.raises(DecoderKilled):
        answer_of("hear(); os.kill(os.getpid(), signal.SIGKILL)")


def test_one_that_stands_by_serves_whoever_comes(decoder: Decoder) -> None:
    decoder.close()
    decoder.stand_by()
    ready = pid(decoder)
    for group in ("smiths", "martins"):
        assert isinstance(decode(decoder, JPEG, group=group), Decoded)
        assert (pid(decoder) == ready) is (group == "smiths")
    decoder.stand_by()
    assert pid(decoder) is not None


def test_a_decoder_that_does_not_start_is_no_fault_of_the_file() -> None:
    with pytest.raises(DecoderMissing):
        decode(Decoder(command=[sys.executable, "-c", "raise SystemExit(1)"]), JPEG)


def good() -> tuple[dict[str, object], list[bytes]]:
    blob = a_clean_jpeg()
    renditions = [
        {"name": name, "mime": "image/jpeg", "width": 64, "height": 48, "size": len(blob)} for name in ("grid", "screen", "full")
    ]
    header: dict[str, object] = {
        "taken_at": "2020-01-02T03:04:05", "pair": "A1B2C3D4-0000", "width": 64, "height": 48, "thumbhash": "00" * 20,
        "removed": ["time"], "renditions": renditions,
    }  # fmt: skip
    return header, [blob] * 3


def a_clean_jpeg() -> bytes:
    return JPEG[:2] + JPEG[JPEG.index(b"\xff\xdb") :]


def told(header: object, blobs: list[bytes]) -> Decoded | NotDecoded:
    return answer_of(f"hear(); say({header!r}, *{blobs!r}); hear()")


def test_the_stub_can_answer_well() -> None:
    photo = told(*good())
    assert isinstance(photo, Decoded) and photo.removed == ("time",) and photo.pair == "A1B2C3D4-0000"


def hostile_answers() -> Iterator[tuple[str, object, list[bytes]]]:
    header, blobs = good()
    dirty = blobs[0][:2] + canned.segment(0xFE, b"51.4778N") + blobs[0][2:]
    yield "words in a picture", _with_sizes(header, [dirty] * 3), [dirty] * 3
    yield "words behind a picture", _with_sizes(header, [blobs[0] + b"51.4778N"] * 3), [blobs[0] + b"51.4778N"] * 3
    yield "words behind the answer", header, [*blobs[:2], blobs[2] + b"51.4778N"]
    yield "pickle", pickle.dumps(Trap()), []
    yield "no json", b"{]", []
    yield "nested", b"[" * 10_000, []
    yield "endless header", b" " * 20_000, []
    yield "a list", [], []
    yield "another reason", {"refused": "the place was 51.4778N"}, []
    yield "a reason of another type", {"refused": ["broken"]}, []
    yield "a reason and more", {"refused": "broken", "place": "51.4778N"}, []
    changes: list[dict[str, object]] = [
        {"place": "51.4778N"},
        {"taken_at": "51.4778N"},
        {"taken_at": 7},
        {"taken_at": "2020-01-02T03:04:05+00:00"},
        {"taken_at": "1020-01-02T03:04:05"},
        {"pair": "51.4778N 0.0015W"},
        {"pair": "A1"},
        {"pair": "A1B2C3D4\n"},
        {"pair": 12345678},
        {"pair": ["A1B2C3D4"]},
        {"width": 65},
        {"width": True},
        {"width": -1},
        {"width": "64"},
        {"thumbhash": "zz"},
        {"thumbhash": "00" * 400},
        {"thumbhash": None},
        {"removed": ["51.4778N"]},
        {"removed": ["time", "time"]},
        {"removed": [["time"]]},
        {"removed": "time"},
        {"renditions": []},
        {"renditions": {}},
        {"renditions": [1, 2, 3]},
    ]
    for change in changes:
        yield str(change), header | change, blobs
    renditions = header["renditions"]
    assert isinstance(renditions, list)
    yield "another order", header | {"renditions": renditions[::-1]}, blobs
    changes = [
        {"name": "thumb"},
        {"mime": "text/html"},
        {"mime": "image/png"},
        {"width": 63},
        {"size": 10**12},
        {"size": 0},
        {"size": 1.5},
        {"more": 1},
    ]
    for change in changes:
        yield f"rendition {change}", header | {"renditions": [renditions[0] | change, *renditions[1:]]}, blobs


def _with_sizes(header: dict[str, object], blobs: list[bytes]) -> dict[str, object]:
    renditions = header["renditions"]
    assert isinstance(renditions, list)
    return header | {"renditions": [one | {"size": len(blob)} for one, blob in zip(renditions, blobs, strict=True)]}


class Trap:
    """Whoever unpickles this says so."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.putenv, ("KINFOLD_TRAPPED", "yes")  # type: ignore[return-value]


@pytest.mark.parametrize(("header", "blobs"), [pytest.param(*case, id=what[:40]) for what, *case in hostile_answers()])
def test_answers_out_of_order_are_failures(header: object, blobs: list[bytes]) -> None:
    assert told(header, blobs) == NotDecoded("failed")


def test_what_is_said_too_late_is_no_answer_to_the_next() -> None:
    header, blobs = good()
    decoder = Decoder(command=stub(f"hear(); say({header!r}, *{blobs!r}); time.sleep(0.2); say({{'refused': 'film'}}); hear()"))
    try:
        first = decode(decoder, JPEG)
        time.sleep(0.5)
        assert decode(decoder, JPEG) == first != NotDecoded("film")
    finally:
        decoder.close()


def test_grid_and_screen_are_no_larger_than_they_should_be() -> None:
    large = a_jpeg((2000, 4))
    large = large[:2] + large[large.index(b"\xff\xdb") :]
    header, blobs = good()
    renditions = header["renditions"]
    assert isinstance(renditions, list)
    renditions[0] |= {"width": 2000, "height": 4, "size": len(large)}
    assert told(header, [large, *blobs[1:]]) == NotDecoded("failed")


def read_class(name: str) -> str:
    rows = [line.split("\t") for line in (SAMPLES / "SOURCES.tsv").read_text().splitlines()]
    return next(row[4] for row in rows if row[0] == name)


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples are not here")
def test_samples(decoder: Decoder, tmp_path: Path) -> None:
    for path in sorted(SAMPLES.iterdir()):
        if path.suffix in (".md", ".tsv"):
            continue
        photo = decode(decoder, path.read_bytes())
        if path.suffix in EXPECTED:
            assert photo == NotDecoded(EXPECTED[path.suffix]), path.name
        elif isinstance(photo, NotDecoded):
            assert read_class(path.name) != "must-accept", path.name
            assert photo.reason in REASONS
        else:
            assert read_class(path.name) != "must-reject", path.name
            assert set(photo.removed) <= set(REMOVED)
            for made in photo.renditions:
                assert prove(made.mime, made.data) == (made.width, made.height)
                (tmp_path / f"{path.stem}-{made.name}.{made.mime[6:]}").write_bytes(made.data)
    assert set().union(*said_by_exiftool(tmp_path).values()) <= ALLOWED


def test_scan_bomb_costs_nothing(decoder: Decoder) -> None:
    file = io.BytesIO()
    Image.new("L", (64, 64)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    scan = data.rindex(b"\xff\xda")
    start = time.monotonic()
    assert decode(decoder, data[:-2] + data[scan:-2] * 3000 + b"\xff\xd9") == NotDecoded("too-slow")
    assert time.monotonic() - start < 5


def test_noise_is_refused_and_never_raised(decoder: Decoder) -> None:
    for head in (
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\1\0\0WEBPVP8X",
        struct.pack(">I", 24) + b"ftypheic\0\0\0\0heicmif1",
    ):
        found = decode(decoder, head + os.urandom(3000))
        assert isinstance(found, NotDecoded) and found.reason in REASONS
