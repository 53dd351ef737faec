"""A made-up family to look at: an album of 24 generated pictures, and two guests. The pictures go the way of every upload."""

import math
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO

from PIL import Image, ImageDraw, ImageFilter

from app.accounts import service as accounts
from app.accounts.models import AddressKind
from app.albums import service as albums
from app.groups import service as groups
from app.groups.models import GroupKind
from app.house import House
from app.ingest import service as ingest
from app.ingest.receiving import FileOnItsWay
from app.sharing import service as sharing
from app.sharing.rules import usual_days

PICTURES = 24


@dataclass(frozen=True)
class Demo:
    """How to get in."""

    email: str
    password: str
    links: list[tuple[str, str]]


def make_demo(house: House) -> Demo:
    """Found the family, fill its album and share it. Every call makes another family."""
    at, email, password = house.clock.now(), f"anna-{secrets.token_hex(3)}@example.org", secrets.token_urlsafe(9)
    password_hash = house.passwords.hash(password)
    with house.database.writing() as session:
        token = accounts.issue_address(session, kind=AddressKind.SET_UP, tokens=house.tokens, at=at)
        address = accounts.find_address(session, kind=AddressKind.SET_UP, token=token, tokens=house.tokens, at=at)
        owner = groups.found_group(
            session,
            address=address,
            group_name="The Smiths",
            kind=GroupKind.FAMILY,
            name="Anna",
            email=email,
            password_hash=password_hash,
            at=at,
        )
        anna = accounts.as_viewer(owner)
        album = albums.make_album(
            session, anna, title="Brittany 2026", description="Ten days by the sea.", master=house.master, at=at
        )
    for number, picture in enumerate(_pictures(at), start=1):
        file = FileOnItsWay(
            house.storage, album, f"IMG_{number:04d}.jpg", limit=house.settings.file_limit, room=house.settings.quota
        )
        file.add(picture)
        arrived = file.finish()
        with house.database.writing() as session:
            ingest.receive(session, anna, album=album, arrived=arrived, jobs=house.jobs, at=at)
    links = []
    with house.database.writing() as session:
        for name in ("Rose", "Jim"):
            guest = sharing.add_guest(session, anna, name=name, at=at)
            shared = sharing.share(
                session,
                anna,
                album=album,
                guest=guest,
                until=at + timedelta(days=usual_days(house.settings.max_days)),
                may_save=name == "Rose",
                phones=house.settings.phones,
                tokens=house.tokens,
                at=at,
            )
            links.append((name, shared.token))
    return Demo(email, password, links)


def _pictures(at: datetime) -> Iterator[bytes]:
    """24 seascapes, each with its own light, in different shapes, with the time they were "taken" in them."""
    for number in range(PICTURES):
        width, height = [(2400, 1800), (1800, 2400), (2400, 1350), (2000, 2000)][number % 4 if number % 5 else 0]
        picture = _seascape(width, height, number)
        exif = Image.Exif()
        taken = at - timedelta(days=10) + timedelta(hours=9 * number)
        exif.get_ifd(0x8769)[0x9003] = f"{taken:%Y:%m:%d %H:%M:%S}"
        out = BytesIO()
        picture.save(out, "JPEG", quality=90, exif=exif)
        yield out.getvalue()


def _seascape(width: int, height: int, number: int) -> Image.Image:
    """A sky that changes with the hour, a sea, a beach, a sun, and a boat or two."""
    hour = number / PICTURES
    sky_top, sky_low = _mix((24, 62, 120), (236, 128, 84), hour), _mix((178, 220, 238), (255, 214, 150), hour)
    small = Image.new("RGB", (width // 4, height // 4))
    draw = ImageDraw.Draw(small)
    w, h = small.size
    horizon, shore = int(h * (0.45 + 0.1 * math.sin(number))), int(h * (0.78 + 0.06 * math.cos(number * 1.7)))
    for y in range(horizon):
        draw.line([(0, y), (w, y)], fill=_mix(sky_top, sky_low, y / horizon))
    sun = (int(w * (0.15 + 0.7 * ((number * 5) % PICTURES) / PICTURES)), int(horizon * (0.3 + 0.6 * hour)))
    for radius in range(int(w * 0.16), 4, -3):
        draw.ellipse(
            [sun[0] - radius, sun[1] - radius, sun[0] + radius, sun[1] + radius],
            fill=_mix((255, 250, 226), sky_low, min(1.0, radius / (w * 0.16))),
        )
    for y in range(horizon, h):
        draw.line([(0, y), (w, y)], fill=_mix((46, 124, 138), (18, 62, 92), (y - horizon) / (h - horizon)))
    beach = [(x, shore + int(h * 0.03 * math.sin(x / w * 5 + number))) for x in range(0, w + 8, 8)]
    draw.polygon([*beach, (w, h), (0, h)], fill=_mix((238, 217, 172), (204, 160, 112), hour))
    for boat in range(number % 3):
        x, y, s = int(w * (0.2 + 0.3 * boat + 0.02 * number)), horizon + int(h * 0.04) + boat * 6, w // 24
        draw.polygon([(x, y), (x, y - 2 * s), (x + s, y)], fill=(252, 248, 240))
        draw.polygon([(x - s, y + 2), (x + s + 4, y + 2), (x + s - 4, y + s // 2), (x - s + 6, y + s // 2)], fill=(150, 48, 40))
    grain = Image.effect_noise((width, height), 18).convert("RGB")
    smooth = small.resize((width, height), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1.5))
    return Image.blend(smooth, grain, 0.05)


def _mix(a: tuple[int, int, int], b: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue
