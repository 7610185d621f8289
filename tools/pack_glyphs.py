"""Packs the drawings that the page without a server plays with: siamese_jax/pages/glyphs.gz.

    python tools/pack_glyphs.py

The scripts are those among the simulated ones that neither the packaged network nor one trained on simulated drawings
has seen in training. The file is one line of JSON and then a bit per pixel, row by row, each row after the exclusive or
with the row above; all of it compressed by gzip.
"""

import gzip
import json

import numpy as np
from docs_records import ROOT

from siamese_jax.data import characters, glyphs

SCRIPTS = ("Lao", "Lisu", "Nuskhuri", "Old_Italic")
DRAWERS = 6


def packed() -> bytes:
    """Return the content of the file."""
    origins = glyphs.VALIDATION | glyphs.TEST
    traced = {name: glyphs.trace_script(origins[name]) for name in SCRIPTS}
    drawings = np.stack(
        [
            glyphs.draw(name, code, strokes, drawer)
            for name, script in traced.items()
            for code, strokes in script.items()
            for drawer in range(1, DRAWERS + 1)
        ]
    )
    drawings[:, 1:] ^= drawings[:, :-1].copy()
    head = {
        "side": characters.SIDE,
        "drawers": DRAWERS,
        "scripts": [{"name": name.replace("_", " "), "characters": len(script)} for name, script in traced.items()],
    }
    return gzip.compress(json.dumps(head).encode() + b"\n" + np.packbits(drawings).tobytes(), mtime=0)


if __name__ == "__main__":
    (ROOT / "siamese_jax" / "pages" / "glyphs.gz").write_bytes(packed())
