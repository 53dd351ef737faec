"""From the bytes of an upload to clean renditions, in a process that can do nothing else.

`main.py` is started by file path. Nothing in this folder imports anything else of Kinfold, so no wiring, key or
address is ever in that process. The worker's side is `app/ingest/decoding.py`, which shares `limits`, `frames`,
`canned` and `prove` with it: they use the standard library only.
"""
