"""An address as a code to scan."""

import segno
from markupsafe import Markup


def qr_svg(address: str) -> Markup:
    """The code as a drawing that stands in a page."""
    return Markup(segno.make(address, error="m", micro=False).svg_inline(omitsize=True, border=2))
