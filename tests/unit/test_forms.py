"""What people type, as they meant it."""

import pytest

from app.media.service import saved_name
from app.web.forms import tidy, tidy_lines
from app.web.labels import device_label


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (None, ""),
        ("  Brittany   2026 ", "Brittany 2026"),
        ("one\r\ntwo\tthree", "one two three"),
        ("\u202eevil\u202c", "evil"),
        ("\u2066a\u2069\u200e\u200f\ufeffb", "ab"),
        ("a\x00b\x1b[31mc\x7f", "ab[31mc"),
        ("A\u030angstro\u0308m", "Ångström"),
        ("👩‍👩‍👧‍👦 ❤️", "👩‍👩‍👧‍👦 ❤️"),
        ("رُوزا", "رُوزا"),
        ("\u00a0Rose\u3000", "Rose"),
        ("\u200b\u2028", ""),
        ("\u200d", ""),
        ("<b>Rose</b>", "<b>Rose</b>"),
    ],
)
def test_a_line_is_what_a_person_meant(typed: str | None, meant: str) -> None:
    assert tidy(typed) == meant


def test_lines_stay_lines() -> None:
    assert tidy_lines("\r\n one \r\n\r\n two\u202e\n") == "one\n\ntwo"
    assert tidy_lines(None) == ""


@pytest.mark.parametrize(
    ("agent", "label"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)", "iPhone"),
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8) Mobile Safari", "Android phone"),
        ("Mozilla/5.0 (Linux; Android 14; SM-X200) Safari", "Android tablet"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "Windows computer"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X)", "Mac"),
        ("<script>", "Browser"),
        ("", "Browser"),
    ],
)
def test_a_browser_gets_a_coarse_word_and_never_its_own(agent: str, label: str) -> None:
    assert device_label(agent) == label


@pytest.mark.parametrize(
    ("number", "mime", "name"),
    [(14, "image/jpeg", "photo-014.jpg"), (7, "image/png", "photo-007.png"), (12345, "image/jpeg", "photo-12345.jpg")],
)
def test_a_saved_photo_has_a_neutral_name(number: int, mime: str, name: str) -> None:
    assert saved_name(number, mime) == name
