"""exiftool as a third opinion on what is delivered, after our cleaner's and our proof's."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

# About how a file is coded, and what our own few words say.
ALLOWED = {
    "Orientation", "JFIFVersion", "ResolutionUnit", "XResolution", "YResolution", "DCTEncodeVersion", "APP14Flags0", "APP14Flags1",
    "ColorTransform",
}  # fmt: skip
CODING = {
    "FileName", "Directory", "FileSize", "FileModifyDate", "FileAccessDate", "FileInodeChangeDate", "FilePermissions", "FileType",
    "FileTypeExtension", "MIMEType", "ImageWidth", "ImageHeight", "EncodingProcess", "BitsPerSample", "ColorComponents",
    "YCbCrSubSampling", "ImageSize", "Megapixels", "BitDepth", "ColorType", "Compression", "Filter", "Interlace", "ExifByteOrder",
    "ExifToolVersion", "SourceFile",
}  # fmt: skip


def said_by_exiftool(folder: Path) -> dict[str, set[str]]:
    """Every tag that it finds in each file of a folder, but for those about the file's own coding and our canned profiles."""
    if shutil.which("exiftool") is None:
        missing = "exiftool is not installed (Debian: libimage-exiftool-perl)"
        pytest.fail(missing) if os.environ.get("KINFOLD_CI") else pytest.skip(missing)
    run = subprocess.run(["exiftool", "-json", "-G1", "-a", "-U", str(folder)], capture_output=True, check=True, timeout=120)
    found = {}
    for file in json.loads(run.stdout):
        tags = [tag.rpartition(":") for tag in file]
        found[Path(file["SourceFile"]).name] = {
            name for group, _, name in tags if not group.startswith("ICC") and name not in CODING
        }
    return found
