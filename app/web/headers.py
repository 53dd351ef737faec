"""The headers of every answer: no scripts but ours, no referrer, no index, no copies in between."""

from flask import Flask, Response, g, request

from app.web.session import house

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self'",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive, nosnippet, noimageindex",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}

PAGES = ALWAYS | {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=(), interest-cohort=()",
}

WITH_MICROPHONE = PAGES["Permissions-Policy"].replace("microphone=()", "microphone=(self)")
"""For the pages on which somebody may leave a few seconds of their voice."""

HSTS = ("Strict-Transport-Security", "max-age=31536000")


def install(app: Flask) -> None:
    """Put them on every answer; pages are never kept, our own static files for a year (their address has their version)."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in PAGES.items():
            response.headers.setdefault(name, value)
        if house().settings.https:
            response.headers.setdefault(*HSTS)
        if request.endpoint == "static":
            kept = response.status_code in (200, 206, 304)
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "no-store"
        elif "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
            response.headers["CDN-Cache-Control"] = "no-store"
        if g.get("asked") is not None:
            response.headers.add("Vary", "Cookie")
        return response
