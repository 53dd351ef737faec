"""A test client that reads every page it fetches like a strict reviewer would."""

import re
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import html5lib
from flask import Flask
from flask.testing import FlaskClient
from html5lib.constants import namespaces
from werkzeug.test import TestResponse

HTML = f"{{{namespaces['html']}}}"
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
JARGON = re.compile(r"\b(token|grant|revoke|rendition|tenant|null|undefined|None(?! right now| yet)|csrf)\b")


class LintingClient(FlaskClient):
    """Like Flask's own, on the address of the instance, and with opinions about HTML and headers."""

    def __init__(self, app: Flask, *, use_cookies: bool = True) -> None:
        super().__init__(app, app.response_class, use_cookies=use_cookies)
        self.base_url = app.extensions["kinfold"].settings.base_url
        parts = urlsplit(self.base_url)
        self.domain = str(parts.hostname)
        self.environ_base = {
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": parts.netloc,
            "HTTP_USER_AGENT": "Mozilla/5.0 (Linux; Android 14) Mobile",
        }
        self._token: tuple[str | None, str] | None = None

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        kwargs.setdefault("base_url", self.base_url)
        response = super().open(*args, **kwargs)
        a_page = response.mimetype == "text/html" and not 300 <= response.status_code < 400
        if a_page and response.request.method == "GET":
            lint_page(response.text, response.request.path)
        lint_headers(response)
        return response

    def cookie(self, name: str) -> str | None:
        """The value of a cookie that this browser holds, by its plain name."""
        prefix = "__Host-" if self.base_url.startswith("https") and name != "kinfold_known" else ""
        held = self.get_cookie(prefix + name, domain=self.domain)
        return held.value if held else None

    def form_token(self, page: str = "/sign-in") -> str:
        """The token of the first form on a page; any page of ours will do."""
        found = TOKEN.search(self.get(page).text)
        assert found, f"{page} has no form"
        return found.group(1)

    def any_token(self) -> str:
        """A token that this browser's forms carry just now, from whatever page it can see; asked for only when it has changed."""
        if self._token is None or self._token[0] != self.cookie("kinfold_form"):
            page = "/account" if self.cookie("kinfold_member") and self.get("/account").status_code == 200 else "/sign-in"
            token = self.form_token(page)
            self._token = (self.cookie("kinfold_form"), token)
        return self._token[1]

    def send(
        self, address: str, *, page: str | None = None, json: bool = False, follow_redirects: bool = False, **fields: Any
    ) -> TestResponse:
        """Post a form as a browser would, with the token of `page` (or of any page)."""
        headers = {"Accept": "application/json"} if json else {}
        token = self.form_token(page) if page else self.any_token()
        return self.post(address, data={"csrf_token": token, **fields}, headers=headers, follow_redirects=follow_redirects)


def lint_headers(response: TestResponse) -> None:
    """Rules for every answer."""
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in response.headers["X-Robots-Tag"]
    assert "Last-Modified" not in response.headers or response.request.path.startswith("/static/")
    if response.mimetype == "text/html":
        assert response.headers["Cache-Control"] == "no-store", response.request.path
        assert "'unsafe" not in response.headers["Content-Security-Policy"]


def lint_page(text: str, address: str) -> None:
    """Rules for every page. Raises `AssertionError` that says what to mend."""
    parser = html5lib.HTMLParser(strict=False, namespaceHTMLElements=True)
    document = parser.parse(text)
    errors = [code for _, code, _ in parser.errors]
    assert not errors, f"{address}: not valid HTML: {errors[:5]}"
    elements = list(document.iter())
    ids = [element.get("id") for element in elements if element.get("id")]
    assert len(ids) == len(set(ids)), f"{address}: an id stands twice: {sorted(i for i in ids if ids.count(i) > 1)[:3]}"
    labelled = {element.get("for") for element in elements if element.tag == f"{HTML}label"}
    for element in elements:
        if isinstance(element.tag, str):
            _lint_element(element, address, set(ids), labelled)
    title = document.find(f".//{HTML}title")
    assert title is not None and (title.text or "").strip(), f"{address}: no title"
    assert len(document.findall(f".//{HTML}h1")) == 1, f"{address}: a page has one h1"
    words = " ".join("".join(part.itertext()) for part in document.findall(f".//{HTML}main"))
    found = JARGON.search(words)
    assert not found, f"{address}: {found and found.group(0)!r} is no word for Rose"


def _lint_element(element: Element, address: str, ids: set[str | None], labelled: set[str | None]) -> None:
    tag = element.tag.removeprefix(HTML)
    assert not any(name == "style" or name.startswith("on") for name in element.attrib), (
        f"{address}: inline style or script on <{tag}>"
    )
    for name in ("src", "href", "action", "srcset"):
        assert "//" not in element.get(name, ""), f"{address}: <{tag} {name}> leaves this site"
    if tag == "script":
        assert element.get("src") and not (element.text or "").strip(), f"{address}: inline script"
    if tag == "style":
        raise AssertionError(f"{address}: inline style")
    if tag == "img":
        assert element.get("alt") is not None, f"{address}: <img> without alt"
        assert element.get("width") and element.get("height"), f"{address}: <img> without its shape"
    if tag == "form" and element.get("method", "get").lower() == "post":
        first = next((e for e in element.iter() if e.tag in (f"{HTML}input", f"{HTML}select", f"{HTML}textarea")), None)
        assert first is not None and first.get("name") == "csrf_token", f"{address}: the token is not the form's first field"
    if tag in ("input", "select", "textarea") and element.get("type") not in ("hidden", "submit"):
        named = element.get("id") in labelled or element.get("aria-label") or element.get("aria-labelledby")
        assert named, f"{address}: no label for {element.get('name')}"
    for name in ("aria-describedby", "aria-labelledby"):
        for target in element.get(name, "").split():
            assert target in ids, f"{address}: {name} points at {target}, which is not there"
