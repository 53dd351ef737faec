"""Smaller answers for slow lines: text is sent compressed to whoever takes it.

Compressing pages with secrets in them can leak (BREACH) where a stranger can make a browser ask for them again and again with its cookies.
Ours are SameSite=Lax, so another site's requests come without them. Photo bytes never pass here.
"""

import gzip
import re
from functools import lru_cache

from flask import Flask, Response, request

TEXT = frozenset(
    {
        "text/html",
        "text/css",
        "text/javascript",
        "application/javascript",
        "application/json",
        "image/svg+xml",
        "application/manifest+json",
    }
)
SCRIPTS = frozenset({"text/javascript", "application/javascript"})
FOR_READERS = re.compile(rb"(?m)^[ \t]*(?://.*\n|/\*\*(?:.|\n)*?\*/[ \t]*\n)|(?<=[;,{)}]) +// .*$|^[ \t]+")
"""What tells nothing to a browser, so that Rose's phone need not fetch it: comments and indents. They stay in the source, and in what is
sent unpacked; notices of licences (`/*!`) stay everywhere. A test holds our scripts to what this takes for a comment."""

SMALLEST = 600
"""Bytes below which compressing gains nothing."""


def install(app: Flask) -> None:
    """Compress pages and our own static text files."""

    @app.after_request
    def compress(response: Response) -> Response:
        if response.mimetype not in TEXT or response.status_code == 304:
            return response
        response.vary.add("Accept-Encoding")
        if request.method == "HEAD" or not request.accept_encodings.best_match(["gzip"]) or response.status_code == 206:
            return response
        response.direct_passthrough = False
        plain = response.get_data()
        if len(plain) < SMALLEST:
            return response
        of_ours = request.endpoint == "static"
        response.set_data(_once(plain, response.mimetype in SCRIPTS) if of_ours else gzip.compress(plain, 5, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
        etag, _ = response.get_etag()
        if etag is not None:
            response.set_etag(f"{etag}-gzip", weak=True)
        return response


@lru_cache(maxsize=64)
def _once(plain: bytes, is_script: bool) -> bytes:
    return gzip.compress(FOR_READERS.sub(b"", plain) if is_script else plain, 9, mtime=0)
