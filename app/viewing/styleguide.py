"""Every component on one page, for whoever changes how Kinfold looks. It is there only in development (`KINFOLD_DEVELOPMENT=yes`)."""

from datetime import datetime

from flask import Blueprint, render_template, url_for

from app.albums.forms import AlbumForm
from app.media.tiles import Tile
from app.security.permissions import Action
from app.web.access import allow

pages = Blueprint("styleguide", __name__)

COLOURS = (
    "paper",
    "card",
    "ink",
    "soft",
    "line",
    "edge",
    "accent",
    "accent-deep",
    "on-accent",
    "tint",
    "danger",
    "on-danger",
    "focus",
)
TYPE = ("type-5", "type-4", "type-3", "type-2", "type-1")
SPACE = ("space-1", "space-2", "space-3", "space-4", "space-5", "space-6")
SHAPES = ((4, 3), (3, 4), (16, 9), (1, 1), (4, 3), (3, 4), (4, 3))
A_DAY = datetime(2026, 7, 14)


@pages.get("/styleguide")
@allow(Action.KNOCK)
def styleguide() -> str:
    form = AlbumForm(formdata=None, title="")
    form.title.errors = ["title-missing"]
    tiles = [_tile(place, *shape) for place, shape in enumerate(SHAPES, start=1)]
    return render_template(
        "styleguide.html",
        colours=COLOURS,
        type=TYPE,
        space=SPACE,
        form=AlbumForm(formdata=None, title="Brittany 2026"),
        wrong=form,
        tiles=tiles,
        page={"new_since": A_DAY, "has_new": True},
        album={"id": "", "title": "Brittany 2026", "href": "#albums", "count": len(tiles), "new": 3, "cover": tiles[0]},
    )


def _tile(place: int, width: int, height: int) -> Tile:
    """A photo that is a drawing; every third is a video."""
    drawing = url_for("static", filename="icon-512.png")
    return Tile(
        id=f"sample-{place}",
        href="#photos",
        place=place,
        count=len(SHAPES),
        day=A_DAY,
        width=width * 120,
        height=height * 120,
        thumbhash="YJqGPQw7sFlslqhFafSE+Q6oJ1h2iHB2Rw==",
        grid=drawing,
        screen=drawing,
        grid_width=480,
        screen_width=1920,
        caption="",
        save="",
        play=drawing if place % 3 == 0 else "",
        seconds=42,
    )
