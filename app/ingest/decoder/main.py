"""Where the decoder process begins: `python -I .../decoder/main.py`.

The folder is loaded as a package of its own: importing it as `app.ingest.decoder` would run `app/__init__.py` and load
the wiring. It is put last in the search path, so that none of its neighbours can stand in for a library.
"""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    importlib.import_module("decoder.serve").serve()
