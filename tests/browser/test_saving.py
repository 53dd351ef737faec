"""Rose keeps a photo by her phone's own dialog where there is one, else as a download; and all of an album in one zip."""

from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Phone
from tests.conftest import Family

DIALOG = """
window.shared = [];
window.answers = %s;
Object.defineProperty(Navigator.prototype, "canShare", { value: () => true, configurable: true });
Object.defineProperty(Navigator.prototype, "share", { configurable: true, value: ({ files }) => {
  const error = window.answers.shift();
  if (error) return Promise.reject(new DOMException("", error));
  window.shared.push([files[0].name, files[0].type, files[0].size]);
  return Promise.resolve();
} });
"""
"""A phone's dialog that fails in this way, time after time: Chromium on a desk has none that a script could drive."""


@pytest.fixture
def open_photo(phone: Phone, family: Family) -> Callable[[str], Page]:
    """The page of a photo, on the phone of a guest who may save it and whose dialog answers so."""
    photo = family.photo("Brittany 2026")
    cookie = family.share("Brittany 2026", "Rose", may_save=True).cookie

    def open_it(answers: str) -> Page:
        rose = phone(device=cookie)
        rose.add_init_script(DIALOG % answers)
        rose.goto(f"/shared/{family.albums['Brittany 2026'].id}/{photo}")
        expect(rose.locator("[aria-live][data-module=save]")).to_have_count(1)  # the script has come
        return rose

    return open_it


def test_her_phone_asks_where_to_keep_it(open_photo: Callable[[str], Page]) -> None:
    rose = open_photo("[]")
    rose.get_by_role("link", name="Save this photo").click()
    rose.wait_for_function("window.shared.length")
    ((name, kind, size),) = rose.evaluate("window.shared")
    assert (name, kind) == ("photo-001.jpg", "image/jpeg") and size > 100
    expect(rose.get_by_role("link", name="Save this photo")).to_be_visible()


def test_a_photo_that_came_too_late_for_the_tap_takes_a_second_one(open_photo: Callable[[str], Page]) -> None:
    rose = open_photo('["NotAllowedError"]')
    rose.get_by_role("link", name="Save this photo").click()
    rose.get_by_role("link", name="Ready: tap once more").click()
    rose.wait_for_function("window.shared.length")
    expect(rose.get_by_role("link", name="Save this photo")).to_be_visible()


def test_closing_the_dialog_saves_nothing(open_photo: Callable[[str], Page]) -> None:
    rose = open_photo('["AbortError"]')
    downloads: list[str] = []
    rose.on("download", lambda download: downloads.append(download.url))
    rose.get_by_role("link", name="Save this photo").click()
    rose.wait_for_function("!window.answers.length")
    expect(rose.get_by_role("link", name="Save this photo")).to_be_visible()
    assert downloads == [] and rose.evaluate("window.shared") == []


def test_a_dialog_that_fails_leaves_the_download(open_photo: Callable[[str], Page]) -> None:
    rose = open_photo('["DataError"]')
    with rose.expect_download() as saving:
        rose.get_by_role("link", name="Save this photo").click()
    assert saving.value.suggested_filename == "photo-001.jpg"


@pytest.mark.parametrize("javascript", [True, False])
def test_the_whole_album_is_one_download(phone: Phone, family: Family, javascript: bool) -> None:
    for _ in range(3):
        family.photo("Brittany 2026")
    rose = phone(device=family.share("Brittany 2026", "Rose", may_save=True).cookie, javascript=javascript)
    rose.goto(f"/shared/{family.albums['Brittany 2026'].id}")
    with rose.expect_download() as saving:
        rose.get_by_role("link", name="Save all photos").click()
    assert saving.value.suggested_filename == "photos.zip"
    made = ZipFile(Path(saving.value.path()))
    assert made.testzip() is None
    assert made.namelist() == ["photo-001.jpg", "photo-002.jpg", "photo-003.jpg"]
