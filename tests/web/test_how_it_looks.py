"""What guests' browsers have to load, and the page with every component."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app import create_app
from app.house import House
from app.web.compress import FOR_READERS, SMALLEST
from tests.conftest import Family
from tests.lint import LintingClient

STATIC = Path(__file__).resolve().parents[2] / "app" / "static"
MOST_SCRIPT, MOST_STYLE = 30_000, 15_000
"""Compressed bytes that one of a guest's pages may ever load, whatever is tapped."""

MODULES = re.compile(r'data-(?:module|late)="([^"]+)"')
SCRIPTS = re.compile(r'<script type="module" src="([^"]+)"')
STYLES = re.compile(r'<link rel="stylesheet" href="([^"]+)"')
IMPORTS = re.compile(r'(?:from|import\()\s*"(\.{1,2}/[^"]+\.js)"')
SHEETS = re.compile(r'new URL\("([^"]+\.css)"')


@pytest.fixture
def pages(
    cast: Family, rose: LintingClient, stranger: LintingClient, browser_of: Callable[..., LintingClient], brittany: str
) -> dict[str, str]:
    """Every kind of page that a guest sees."""
    cast.film("Brittany 2026")
    photo = cast.photos["Brittany 2026"][0]
    new = cast.share("Brittany 2026", "June", open_it=False)
    addresses = ("/shared", f"/shared/{brittany}", f"/shared/{brittany}/{photo}")
    adding = browser_of(device=cast.share("Brittany 2026", "Adam", may_add=True).cookie)
    return {each: rose.get(each).text for each in addresses} | {
        "an invitation": stranger.get(f"/i/{new.token}").text,
        "an album to add to": adding.get(f"/shared/{brittany}").text,
    }


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
        packed = {name: rose.get(name, headers={"Accept-Encoding": "gzip"}) for name in loaded_by(rose, {address: page})}
        assert all(answer.headers.get("Content-Encoding") == "gzip" or len(answer.data) < SMALLEST for answer in packed.values())
        sizes = {name.rpartition("/")[2]: len(answer.data) for name, answer in packed.items()}
        script, style = (sum(size for name, size in sizes.items() if name.endswith(ending)) for ending in (".js", ".css"))
        assert script <= MOST_SCRIPT and style <= MOST_STYLE, (address, sizes)
        if address == f"/shared/{brittany}":
            tapped = {"photoswipe.esm.min.js", "leaves.js", "slideshow.js", "photoswipe.css", "guest.css"}
            assert tapped <= sizes.keys(), "the test follows imports"
    assert "adding.js" in sizes


@pytest.mark.parametrize("script", sorted(STATIC.rglob("*.js")), ids=lambda path: path.name)
def test_what_takes_comments_out_of_scripts_finds_nothing_else(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    if ".min." in script.name:
        assert not [each for each in FOR_READERS.findall(text.encode()) if each.strip()]
        return
    texts = re.findall(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', text)
    assert not [each for each in texts if FOR_READERS.search(each.encode())]
    assert not [line for line in text.splitlines() if line.count("`") % 2], "a text of several lines would lose its indents"


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
