"""What guests' browsers have to load, and the page with every component."""

import gzip
import re
from collections.abc import Callable

import pytest

from app import create_app
from app.house import House
from tests.conftest import Family
from tests.lint import LintingClient

MOST_SCRIPT, MOST_STYLE = 30_000, 15_000
"""Compressed bytes that one of a guest's pages may ever load, whatever is tapped."""

MODULES = re.compile(r'data-(?:module|late)="([^"]+)"')
SCRIPTS = re.compile(r'<script type="module" src="([^"]+)"')
STYLES = re.compile(r'<link rel="stylesheet" href="([^"]+)"')
IMPORTS = re.compile(r'(?:from|import\()\s*"(\.{1,2}/[^"]+\.js)"')
SHEETS = re.compile(r'new URL\("([^"]+\.css)"')


@pytest.fixture
def pages(cast: Family, rose: LintingClient, stranger: LintingClient, brittany: str) -> dict[str, str]:
    """Every kind of page that a guest sees."""
    cast.film("Brittany 2026")
    photo = cast.photos["Brittany 2026"][0]
    new = cast.share("Brittany 2026", "June", open_it=False)
    addresses = ("/shared", f"/shared/{brittany}", f"/shared/{brittany}/{photo}")
    return {each: rose.get(each).text for each in addresses} | {"an invitation": stranger.get(f"/i/{new.token}").text}


def loaded_by(browser: LintingClient, pages: dict[str, str]) -> dict[str, str]:
    """All scripts and styles that these pages may ever load, whatever is tapped: their addresses and what is in them."""
    found: dict[str, str] = {}
    base = browser.application.static_url_path
    names = {name for page in pages.values() for names in MODULES.findall(page) for name in names.split()}
    waiting = {address for page in pages.values() for address in (*SCRIPTS.findall(page), *STYLES.findall(page))}
    waiting |= {f"{base}/js/{name}.js" for name in names}
    while waiting:
        address = waiting.pop()
        answer = browser.get(address)
        assert answer.status_code == 200, address
        found[address] = answer.text
        folder = address.rpartition("/")[0]
        for other in (*IMPORTS.findall(answer.text), *SHEETS.findall(answer.text)):
            steps = [*folder.split("/"), *other.split("/")]
            while ".." in steps:
                at = steps.index("..")
                del steps[at - 1 : at + 1]
            waiting |= {"/".join(step for step in steps if step != ".")} - found.keys()
    return found


def test_guests_load_little_script_and_little_style(rose: LintingClient, pages: dict[str, str], brittany: str) -> None:
    for address, page in pages.items():
        loaded = loaded_by(rose, {address: page}).items()
        sizes = {name.rpartition("/")[2]: len(gzip.compress(text.encode(), 9)) for name, text in loaded}
        script, style = (sum(size for name, size in sizes.items() if name.endswith(ending)) for ending in (".js", ".css"))
        assert script <= MOST_SCRIPT and style <= MOST_STYLE, (address, sizes)
        if address == f"/shared/{brittany}":
            tapped = {"photoswipe.esm.min.js", "leaves.js", "slideshow.js", "photoswipe.css", "guest.css"}
            assert tapped <= sizes.keys(), "the test follows imports"


def test_nothing_of_a_guests_pages_comes_from_elsewhere(rose: LintingClient, pages: dict[str, str]) -> None:
    texts = pages | loaded_by(rose, pages)
    for address, text in texts.items():
        loads = re.findall(r'(?:src|srcset|href|action|poster)="([^"]*)"|url\(([^)]*)\)|@import ([^;]*)', text)
        assert not [each for found in loads for each in found if "//" in each and "w3.org" not in each], address


def test_the_page_of_components_is_only_there_in_development(browser_of: Callable[..., LintingClient]) -> None:
    assert browser_of().get("/styleguide").status_code == 404


def test_the_page_of_components_shows_them(make_house: Callable[..., House]) -> None:
    browser = LintingClient(create_app((house := make_house(KINFOLD_DEVELOPMENT="yes")).settings, house))
    page = browser.get("/styleguide")
    assert page.status_code == 200
    for part in ("swatch-accent", "sample-type-5", "button primary", 'class="tile', "album-title", "tick", "dialog", "progress"):
        assert part in page.text, part
