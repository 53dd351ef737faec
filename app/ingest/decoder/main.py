"""Where a process of the decoder begins: `python -I .../decoder/main.py [part]`, a part being `serve`, `reading` or `ffmpeg`.

The folder is loaded as a package of its own: importing it as `app.ingest.decoder` would run `app/__init__.py` and load
the wiring. It is put last in the search path, so that none of its neighbours can stand in for a library.
"""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    importlib.import_module(f"decoder.{[*sys.argv, 'serve'][1]}").serve()
