# SPDX-License-Identifier: MIT
"""Uses the exported network with onnxruntime. It needs numpy, onnxruntime and Pillow, and no JAX.

python example.py                    compares this machine's results with those of JAX
python example.py a.png b.png        do two pictures show the same class?
python example.py query.png 1.png 2.png 3.png    which of the others is it?
"""

import base64
import json
import math
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

FOLDER = Path(__file__).parent
READING = json.loads((FOLDER / "reading.json").read_text())
PROVIDERS = ["CPUExecutionProvider"]
EMBED = onnxruntime.InferenceSession(str(FOLDER / "embed.onnx"), providers=PROVIDERS)
COMPARE = onnxruntime.InferenceSession(str(FOLDER / "compare.onnx"), providers=PROVIDERS)


def read(path):
    """Read dark ink on white paper, or a colour picture, as reading.json says: uint8 [H, W, C]."""
    size = READING["picture"]
    page = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")
    paper = Image.new("RGBA", page.size, "white")
    paper.alpha_composite(page)
    ink = 255 - np.asarray(paper.convert("RGB").convert("L" if size["channels"] == 1 else "RGB"), np.float32)
    ink = ink.reshape(*ink.shape[:2], size["channels"])
    height, width = ink.shape[:2]
    if size["fit"] == "crop":
        square = min(height, width)
        top, left = (height - square) // 2, (width - square) // 2
        ink = ink[top : top + square, left : left + square]
    elif size["fit"] == "pad":
        square = max(height, width)
        top, left = (square - height) // 2, (square - width) // 2
        ink = np.pad(ink, ((top, square - height - top), (left, square - width - left), (0, 0)))
    rows, columns = shares(ink.shape[0], size["height"]), shares(ink.shape[1], size["width"])
    return np.rint(np.einsum("yh,hwc,xw->yxc", rows, ink, columns)).astype(np.uint8)


def shares(pixels, side):
    """Return the share that each old pixel has in each new one: [side, pixels]."""
    edges, starts = np.linspace(0, pixels, side + 1), np.arange(pixels)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return (np.maximum(overlap, 0) * side / pixels).astype(np.float32)


def embed(pictures):
    """Embed pictures, uint8 [N, H, W, C]: float32 [N, D]."""
    return np.asarray(EMBED.run(None, {"images": pictures})[0])


def scores(queries, supports):
    """Compare embeddings [Q, D] with classes of k examples each [N, k, D]: logits of "same", float32 [Q, N]."""
    return np.asarray(COMPARE.run(None, {"queries": queries, "supports": supports})[0])


def p_same(score, prior=0.5):
    """Return the probability that two pictures show one class; `prior` is the share of pairs that do."""
    rule = READING["decisions"]["same"]
    return 1 / (1 + math.exp(-(rule["slope"] * score + rule["intercept"] + math.log(prior / (1 - prior)))))


def is_unknown(row, fpir="0.1"):
    """Tell whether a query with these scores [N] is of none of the classes; `fpir` is a key of reading.json."""
    found = [(one["classes"], one["thresholds_by_fpir"][fpir]) for one in READING["decisions"]["galleries"]]
    return bool(max(row) < at_size(len(row), [pair for pair in found if pair[1] is not None]))


def at_size(classes, measured):
    """Return a value for a number of classes: it is linear in the logarithm, beyond the largest and smallest too."""
    if len(measured) < 2:
        return measured[0][1] if measured else math.inf
    place = min(max(sum(size < classes for size, _ in measured), 1), len(measured) - 1)
    (low, first), (high, second) = measured[place - 1 : place + 1]
    return first + (second - first) * math.log(classes / low) / math.log(high / low)


def check():
    """Compare with what JAX computed: largest differences of embeddings and scores, as parts of what is allowed."""
    kept = json.loads((FOLDER / "check.json").read_text())
    size = READING["picture"]

    def array(name, dtype):
        return np.frombuffer(base64.b64decode(kept[name]), dtype)

    pictures = array("pictures", np.uint8).reshape(-1, size["height"], size["width"], size["channels"])
    found = embed(pictures)
    supports = found[: kept["supports"], None]
    differences = {}
    for name, values in (("embeddings", found), ("scores", scores(found, supports))):
        wanted = array(name, "<f4").reshape(values.shape)
        differences[name] = float(abs(values - wanted).max() / max(1, abs(wanted).max()))
    return differences, kept["tolerance"]


def main(paths):
    """Do what the words after the name of the program ask for."""
    if not paths:
        differences, tolerance = check()
        for name, value in differences.items():
            print(f"{name}: {value:.1e} of the largest value apart; {tolerance:g} is allowed")
        return 0 if max(differences.values()) <= tolerance else 1
    query, *others = paths
    if not others:
        print("give two pictures or more", file=sys.stderr)
        return 2
    found = embed(np.stack([read(path) for path in paths]))
    (row,) = scores(found[:1], found[1:, None])
    for path, score in sorted(zip(others, row.tolist(), strict=True), key=lambda pair: -pair[1]):
        chance = f", p(same) = {p_same(score):.1%}" if READING["decisions"] else ""
        print(f"{path}: score {score:.2f}{chance}")
    if READING["decisions"] and len(others) > 1 and is_unknown(row.tolist()):
        print(f"{query} may be none of them")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
