"""Whether a delivered file is nothing but a picture or a film, by three opinions: exiftool, a walk of our own, and a search for all that
its upload knew."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.corpus import walks
from tests.corpus.canaries import Canaries

REASONS = (Path(__file__).resolve().parents[2] / "templates/components/reasons.html").read_text(encoding="utf-8")
SENTENCES = dict(re.findall(r'reason == "([a-z-]+)"[^%]*-%}\s*{{ _\("([^"]+)"\)', REASONS))
"""Why a file is refused, and what the page says about it: a reason without a sentence is none."""

ENDINGS = {"image/jpeg": "jpg", "image/png": "png", "video/mp4": "mp4"}

# What exiftool may say about a delivered file, by its groups: about the bytes themselves and how dots and sound are coded.
PLAIN_GROUPS = {"SourceFile", "ExifTool", "System", "File", "Composite", "Adobe", "ICC-header", "ICC_Profile"}
ALLOWED = {
    "JFIF": {"JFIFVersion", "ResolutionUnit", "XResolution", "YResolution"},
    "IFD0": {"Orientation"},
    "PNG": {"ImageWidth", "ImageHeight", "BitDepth", "ColorType", "Compression", "Filter", "Interlace", "Palette", "Transparency"},
    "QuickTime": {
        "MajorBrand", "MinorVersion", "CompatibleBrands", "MediaDataSize", "MediaDataOffset", "MovieHeaderVersion", "TimeScale",
        "Duration", "MatrixStructure", "PreferredRate", "PreferredVolume", "PreviewTime", "PreviewDuration", "PosterTime", "SelectionTime",
        "SelectionDuration", "CurrentTime", "NextTrackID", "CreateDate", "ModifyDate",
    },
    "Track": {
        "TrackHeaderVersion", "TrackCreateDate", "TrackModifyDate", "TrackID", "TrackDuration", "TrackLayer", "TrackVolume",
        "MatrixStructure", "ImageWidth", "ImageHeight", "MediaHeaderVersion", "MediaCreateDate", "MediaModifyDate", "MediaTimeScale",
        "MediaDuration", "MediaLanguageCode", "HandlerType", "HandlerDescription", "GraphicsMode", "OpColor", "CompressorID",
        "SourceImageWidth", "SourceImageHeight", "XResolution", "YResolution", "BitDepth", "CompressorName", "ColorProfiles",
        "ColorPrimaries", "TransferCharacteristics", "MatrixCoefficients", "VideoFullRangeFlag", "PixelAspectRatio", "BufferSize",
        "MaxBitrate", "AverageBitrate", "VideoFrameRate", "Balance", "AudioFormat", "AudioChannels", "AudioBitsPerSample",
        "AudioSampleRate", "ColorRepresentation", "VideoFieldOrder", "CleanApertureWidth", "CleanApertureHeight",
    },
}  # fmt: skip
SAID = {
    "ProfileDescription": {"Display P3", "Adobe RGB"},
    "ProfileCopyright": {"CC0"},
    "ProfileDateTime": {"2000:01:01 00:00:00"},
    "HandlerDescription": {"", "VideoHandler", "SoundHandler", "Video", "Sound"},
    "CompressorName": {""},
    "MediaLanguageCode": {"und", 0, "0"},
}
NO_DATE = "0000:00:00 00:00:00"
NOT_FOR_A_PICTURE = {"Comment", "Warning", "Error"}


def exiftool() -> str:
    """Where exiftool is; without it the test is left out, or fails where everything must be there."""
    found = shutil.which("exiftool")
    if found is None:
        missing = "exiftool is not installed (Debian: libimage-exiftool-perl)"
        pytest.fail(missing) if os.environ.get("KINFOLD_CI") else pytest.skip(missing)
    return found


def quick_faults(mime: str, data: bytes, canaries: Canaries) -> list[str]:
    """The two opinions that cost nothing."""
    return [*walks.faults(mime, data), *(f"says {word!r}" for word in canaries.found_in(data))]


@dataclass
class Judge:
    """Takes delivered files and says at the end what is wrong with which."""

    folder: Path
    found: list[str] = field(default_factory=list)
    looked_at: int = 0

    def look(self, name: str, mime: str, data: bytes, canaries: Canaries) -> None:
        """One delivered file, under a name that tells what it came from."""
        self.looked_at += 1
        self.found += [f"{name}: {fault}" for fault in quick_faults(mime, data, canaries)]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{name.replace('/', '_')}.{ENDINGS.get(mime, 'bin')}").write_bytes(data)

    def verdict(self) -> list[str]:
        """Everything that is wrong with all of them."""
        assert self.looked_at, "nothing was delivered"
        return [*self.found, *faults_by_exiftool(self.folder)]


def faults_by_exiftool(folder: Path) -> list[str]:
    """Every tag in the files of a folder that is not about how their dots and sounds are coded."""
    run = subprocess.run(
        [exiftool(), "-json", "-G1", "-a", "-ee3", "-api", "largefilesupport=1", "-r", str(folder)],
        capture_output=True, timeout=300,
    )  # fmt: skip
    return [f"{Path(file['SourceFile']).name}: exiftool reads {what}" for file in json.loads(run.stdout) for what in _odd(file)]


def _odd(file: dict[str, object]) -> list[str]:
    odd = []
    for key, value in file.items():
        group, _, name = key.rpartition(":")
        family = "Track" if group.startswith("Track") else "ICC_Profile" if group.startswith("ICC") else group
        known = family in PLAIN_GROUPS or key == "SourceFile" or name in ALLOWED.get(family, ())
        says = name in SAID and value not in SAID[name]
        dates = name.endswith("Date") and family in ("QuickTime", "Track") and value != NO_DATE
        if not known or says or dates or name in NOT_FOR_A_PICTURE:
            odd.append(f"{key} = {value!r}")
    return odd
