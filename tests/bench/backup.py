"""Backup and restore of many photos, against the disk: `cp -r` of the same sealed files, and `sync` of that copy.

Every photo has the three files of a real one, in small: 20 kB for the grid, 60 kB for the screen, 120 kB for the full picture, sealed
under keys of their own, with a row each. What is timed is what whoever runs the server types, without Python's own start: the file is on
the disk afterwards (fsync), and so is the restored instance. Making thousands of files takes a disk that others use now one second and
now five, so the best rounds are compared.
"""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from app.clock import SystemClock
from app.ids import new_id
from app.media.models import Photo, Rendition
from app.ops.backup.archive import Archive
from app.ops.backup.checking import prove
from app.ops.backup.making import make
from app.ops.backup.restoring import restore
from app.ops.keyfiles import key_texts
from app.security.sealing import ChunkSealer
from tests.bench.measure import Line, Options
from tests.bench.stage import Stage, stage

SIZES = {"grid": 20_000, "screen": 60_000, "full": 120_000}


def run(options: Options) -> Iterator[Line]:
    photos, rounds = (2_000, 5) if options.quick else (10_000, 3)
    with stage() as place, tempfile.TemporaryDirectory(prefix="kinfold-bench-") as scratch:
        _fill(place, photos)
        source, file = place.settings.data / "photos", Path(scratch) / "kinfold.tar"
        keys = key_texts(place.settings)
        times: dict[str, list[float]] = {"cp": [], "backup": [], "restore": []}
        for number in range(rounds):
            copy, there = Path(scratch) / f"copy-{number}", Path(scratch) / "there"
            times["cp"].append(_timed(lambda copy=copy: _copy(source, copy)))
            shutil.rmtree(copy)
            times["backup"].append(_timed(lambda: make(place.house, file, version="bench")))
            settings = replace(
                place.settings,
                data=there,
                database_url=f"sqlite:///{there}/kinfold.sqlite3",
                master_key=keys.master,
                secret_key=keys.secret,
            )
            archive = Archive(file)
            times["restore"].append(_timed(lambda a=archive, s=settings: restore(s, a, clock=SystemClock())))
            archive.close()
            shutil.rmtree(there)
        best = {what: min(taken) for what, taken in times.items()}
        note = f"{file.stat().st_size / 1e6:,.0f} MB, best of {rounds}: " + ", ".join(
            f"{what} {s:.1f} s" for what, s in best.items()
        )
        for what in ("backup", "restore"):
            yield Line(f"backup: {what} of {photos:,} photos, of cp's speed", best["cp"] / best[what], at_least=0.5, note=note)
        archive = Archive(file)
        proving = _timed(lambda: prove(archive, place.house.master, beside=Path(scratch)))
        yield Line(f"backup: proving {photos:,} photos", proving, "s")


def _fill(place: Stage, photos: int) -> None:
    """Ready photos with real sealed files: random bytes, as a JPEG's are to whoever stores them."""
    ids = place.fill("Brittany 2026", photos)
    album = place.anna.albums["Brittany 2026"]
    with place.house.database.writing() as session:
        session.execute(sa.delete(Rendition))
    folder = place.settings.data / "photos/albums" / album.id
    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: secrets.token_bytes(size) for name, size in SIZES.items()}

    def seal(photo: str) -> list[dict[str, object]]:
        rows = []
        for name, content in plain.items():
            key, object_id = album.key.new_object_key(), new_id()
            with (folder / object_id).open("wb") as file:
                sealer = ChunkSealer(key, file.write)
                sealer.add(content)
                sealer.finish()
            object_name = f"albums/{album.id}/{object_id}"
            wrapped = album.key.wrap(object_name, key, len(content))
            rows.append(
                {"photo_id": photo, "name": name, "object_name": object_name, "wrapped_key": wrapped, "size": len(content)}
                | {"mime": "image/jpeg", "width": 480, "height": 360}
            )
        return rows

    with ThreadPoolExecutor(2) as sealing, place.house.database.writing() as session:
        for rows in sealing.map(seal, ids):
            session.execute(sa.insert(Rendition), rows)
        assert session.scalars(sa.select(sa.func.count()).select_from(Photo)).one() == photos
    os.sync()


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", source, target], check=True)
    subprocess.run(["sync", "-f", target], check=True)


def _timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began
