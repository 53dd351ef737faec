"""A zip of which everything is known before: what Python's own reader and unzip make of it, and every range of it."""

import io
import shutil
import subprocess
import zipfile
import zlib
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import pytest

from app.viewing.zipping import DATE, File, Layout, Part

CONTENTS = {"photo-001.jpg": b"one" * 100, "video-002.mp4": b"", "photo-003.png": bytes(range(256)), "photo-014.jpg": b"x"}


def layout_of(contents: dict[str, bytes]) -> Layout:
    return Layout(File(name, len(content), zlib.crc32(content)) for name, content in contents.items())


def sent(layout: Layout, contents: dict[str, bytes], start: int = 0, stop: int | None = None, longest: int = 100) -> bytes:
    """A range, as whoever sends it puts it together, in lots of so many bytes of files."""
    files, whole = list(contents.values()), b""
    for lot in layout.lots(start, layout.size if stop is None else stop, longest):
        read = [files[part.file][part.start : part.stop] for part in lot if isinstance(part, Part)]
        assert sum(map(len, read)) <= longest
        whole += b"".join(part if isinstance(part, bytes) else read.pop(0) for part in lot)
    return whole


def test_it_is_a_zip_that_python_and_unzip_find_whole(tmp_path: Path) -> None:
    whole = sent(layout_of(CONTENTS), CONTENTS)
    assert len(whole) == layout_of(CONTENTS).size
    made = ZipFile(io.BytesIO(whole))
    assert made.testzip() is None
    assert {name: made.read(name) for name in made.namelist()} == CONTENTS
    (tmp_path / "photos.zip").write_bytes(whole)
    if unzip := shutil.which("unzip"):
        subprocess.run([unzip, "-tq", tmp_path / "photos.zip"], check=True, capture_output=True)


def test_it_carries_nothing_but_names_and_content() -> None:
    for entry in ZipFile(io.BytesIO(sent(layout_of(CONTENTS), CONTENTS))).infolist():
        assert (entry.date_time, entry.extra, entry.comment, entry.compress_type) == (DATE, b"", b"", zipfile.ZIP_STORED)
        assert entry.flag_bits == 0, "sizes and checksums stand in front"


def test_every_range_is_that_part_of_the_whole() -> None:
    layout = layout_of(CONTENTS)
    whole = sent(layout, CONTENTS)
    for start in range(layout.size + 1):
        assert sent(layout, CONTENTS, start) == whole[start:]
        assert sent(layout, CONTENTS, 0, start) == whole[:start]
        assert sent(layout, CONTENTS, start, start + 7, longest=3) == whole[start : start + 7]


def test_without_files_it_is_an_empty_zip() -> None:
    assert ZipFile(io.BytesIO(sent(Layout([]), {}))).namelist() == []


class Imagined(io.RawIOBase):
    """A zip that nobody could keep: its files are all zeros but the last, and are made up where somebody reads them."""

    def __init__(self, layout: Layout, last: bytes, count: int) -> None:
        self._layout, self._last, self._count, self._at = layout, last, count, 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + {0: 0, 1: self._at, 2: self._layout.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        stop = self._layout.size if size is None or size < 0 else min(self._layout.size, self._at + size)
        parts = chain.from_iterable(self._layout.lots(self._at, stop, GB))
        self._at = max(self._at, stop)
        return b"".join(
            part
            if isinstance(part, bytes)
            else self._last[part.start : part.stop]
            if part.file == self._count - 1
            else bytes(part.stop - part.start)
            for part in parts
        )


GB = 1_000_000_000


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([2**31 - 1], id="the longest without ZIP64"),
        pytest.param([2**31], id="one byte longer"),
        pytest.param([5 * GB], id="a video of 5 GB"),
        pytest.param([GB] * 5, id="begins after 4 GiB"),
        pytest.param([5 * GB, 1, 6 * GB], id="both"),
        pytest.param([0] * 65_535, id="more files than the format counts"),
    ],
)
def test_what_is_too_large_for_the_format_is_zip64(sizes: list[int]) -> None:
    last = b"the last one"
    files = [File(f"photo-{number}.jpg", size, 0) for number, size in enumerate(sizes)]
    files.append(File("photo-last.jpg", len(last), zlib.crc32(last)))
    made = ZipFile(Imagined(Layout(files), last, len(files)))  # type: ignore[arg-type]
    assert [(entry.filename, entry.file_size) for entry in made.infolist()] == [(file.name, file.size) for file in files]
    assert made.read("photo-last.jpg") == last
    with made.open("photo-0.jpg") as first:  # its own header agrees with the list
        assert first.read(4) == bytes(min(4, sizes[0]))


def test_headers_are_as_zipfile_itself_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when everything is large: with a limit of 100 bytes, small files take the same ways."""
    for limit in (zipfile.ZIP64_LIMIT, 100):
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
        theirs = io.BytesIO()
        with ZipFile(theirs, "w") as made:
            for name, content in CONTENTS.items():
                entry = zipfile.ZipInfo(name, DATE)
                entry.file_size = len(content)
                with made.open(entry, "w", force_zip64=len(content) > limit) as file:
                    file.write(content)
        assert sent(layout_of(CONTENTS), CONTENTS) == theirs.getvalue()
