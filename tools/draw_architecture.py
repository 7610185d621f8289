"""The picture of the architecture, docs/architecture.svg: the way of an image on the left, the layers on the right.

The layers are those that tests/house_test.py checks, so the picture changes with the package.
"""

import importlib.util
from html import escape
from pathlib import Path
from typing import NamedTuple

HOUSE = Path(__file__).parent.parent / "tests" / "house_test.py"
BLUE, PALE_BLUE, INK, GREY, LINE = "#0072B2", "#E8F2F9", "#1A1A1A", "#5A5A5A", "#B5B5B5"
WIDTH, LEFT, RIGHT, COLUMN = 700, 16, 368, 316
"""Width of the picture, left edges of the two columns and their width, in pixels."""
STEP, GAP, TOP, ROW = 50, 16, 52, 17

TRAINING, ALWAYS, AFTER = "#FDF1E3", PALE_BLUE, "#EAF5F0"


class Stop(NamedTuple):
    """One stop of the way through."""

    name: str
    what: str
    colour: str


WAY = (
    Stop("source", "Omniglot, MNIST, glyphs, your own arrays", ALWAYS),
    Stop("Images", "pixels, class, group and author of each", ALWAYS),
    Stop("sampling", "indices of pairs, grids or trials", ALWAYS),
    Stop("distort", "affine and elastic; also test-time augmentation", ALWAYS),
    Stop("tower", "one image to one embedding, shared weights", ALWAYS),
    Stop("energy", "two embeddings to one score", ALWAYS),
    Stop("loss", "cross-entropy, N-way softmax, …", TRAINING),
    Stop("optimizer", "new weights; then the next batch", TRAINING),
    Stop("evaluation", "scores to accuracies with intervals", AFTER),
    Stop("results", "one typed record, results.json", AFTER),
    Stop("report", "tables and pictures, one page", AFTER),
)
ABOUT_LAYERS = {
    "shared by all": "may be imported by every layer",
    "pure functions": "no files, flags, clock or jit",
    "input and output": "one kind of side effect each",
    "jobs": "compile with jit; train, evaluate, search",
    "command line": "flags become one request",
}
ABOUT = {
    "__main__": "signals and streams first",
    "checks": "all mistakes, before a download",
    "command": "flags to one request; words",
    "data": "sources of images",
    "devices": "memory, compile cache",
    "environment": "what decides bits",
    "errors": "mistakes of the user",
    "evaluation": "protocols and accuracies",
    "experiments": "the registry",
    "export": "networks for other runtimes",
    "extras": "optional dependencies",
    "gallery": "enrol pictures, identify new ones",
    "images": "distort and resize pixels",
    "interrupts": "the one handler of signals",
    "keys": "random keys by name",
    "learning": "losses, optimizers, health",
    "main": "one request to one job",
    "network": "towers, energies, convolutions",
    "pages": "web pages that recognise",
    "plots": "pictures",
    "pretrained": "networks in use",
    "printable": "names without power",
    "published": "figures of other systems",
    "records": "arrays with a name",
    "report": "tables and pages",
    "results": "results as dataclasses",
    "runs": "train, resume, evaluate",
    "sampling": "indices, no pixels",
    "search": "many candidates",
    "serve": "a service over HTTP",
    "specs": "the fields of an experiment",
    "statistics": "intervals, scores, mistakes",
    "storage": "checkpoints, logs, files",
    "terminal": "the one place that prints",
    "training": "the one training loop",
}
"""What each folder or file is for, in a few words."""


def layers() -> dict[str, list[str]]:
    """Return the folders and files of each layer, the lowest first, as the house test has them."""
    spec = importlib.util.spec_from_file_location("house_test", HOUSE)
    house = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(house)
    return {layer: sorted(room for room in rooms if room != "__init__") for layer, rooms in house.LAYERS.items()}


def architecture(of: dict[str, list[str]]) -> str:
    """Return the picture as SVG."""
    left = TOP + len(WAY) * (STEP + GAP) - GAP
    bottom = max(left, TOP + sum(56 + ROW * len(rooms) + GAP for rooms in of.values()) - GAP)
    parts = [_text(LEFT, 32, "The way of an image", 18, weight="bold"), *_way()]
    parts += [_text(RIGHT, 32, "The layers of the package", 18, weight="bold"), *_layers(of, bottom)]
    parts += _legend(bottom + 30)
    height = bottom + 48
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" font-family="DejaVu Sans, Verdana, Helvetica, Arial, sans-serif">'
    )
    marker = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{GREY}"/></marker></defs>'
    )
    title = "<title>The way of an image through the package, and the layers of the package</title>"
    ground = f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#FFFFFF"/>'
    return "\n".join([head, title, marker, ground, *parts, "</svg>"]) + "\n"


def _way() -> list[str]:
    parts = []
    for number, stop in enumerate(WAY):
        y = TOP + number * (STEP + GAP)
        parts.append(_box(LEFT, y, COLUMN, STEP, stop.colour))
        parts.append(_text(LEFT + 12, y + 20, stop.name, 15, weight="bold"))
        parts.append(_text(LEFT + 12, y + 39, stop.what, 12.5, colour=GREY))
        if number + 1 < len(WAY):
            x = LEFT + COLUMN // 2
            parts.append(_line([(x, y + STEP), (x, y + STEP + GAP)]))
    # The loop of training: from the optimizer back to sampling.
    names = [stop.name for stop in WAY]
    ends = [TOP + names.index(name) * (STEP + GAP) + STEP // 2 for name in ("optimizer", "sampling")]
    edge, out = LEFT + COLUMN, LEFT + COLUMN + 16
    parts.append(_line([(edge, ends[0]), (out, ends[0]), (out, ends[1]), (edge, ends[1])]))
    return parts


def _layers(of: dict[str, list[str]], bottom: int) -> list[str]:
    base = [56 + ROW * len(rooms) for rooms in of.values()]
    spare = (bottom - TOP - sum(base) - GAP * (len(of) - 1)) / len(of)
    parts, y = [], float(TOP)
    for number, layer in enumerate(reversed(of)):  # the command line on top
        rooms, shared = of[layer], layer == "shared by all"
        height = 56 + ROW * len(rooms) + spare
        parts.append(_box(RIGHT, y, COLUMN, height, "#F6F6F6" if shared else "#FFFFFF", dashed=shared))
        parts.append(_text(RIGHT + 12, y + 21, layer, 15, weight="bold"))
        parts.append(_text(RIGHT + 12, y + 38, ABOUT_LAYERS[layer], 12.5, colour=GREY))
        for row, room in enumerate(rooms):
            parts.append(_text(RIGHT + 12, y + 59 + ROW * row, room, 12.5, weight="bold"))
            parts.append(_text(RIGHT + 108, y + 59 + ROW * row, ABOUT[room], 12.5))
        if number + 1 < len(of):
            x = RIGHT + COLUMN // 2
            parts.append(_line([(x, y + height), (x, y + height + GAP)]))
        y += height + GAP
    return parts


def _legend(y: float) -> list[str]:
    parts, x = [], LEFT
    for colour, what in ((TRAINING, "training"), (ALWAYS, "training and evaluation"), (AFTER, "evaluation")):
        parts.append(_box(x, y - 11, 14, 14, colour))
        parts.append(_text(x + 20, y + 1, what, 12, colour=GREY))
        x += 34 + 6.2 * len(what)
    parts.append(_text(RIGHT + 12, y + 1, "A layer imports only from itself and those below.", 12, colour=GREY))
    return parts


def _box(x: float, y: float, width: float, height: float, fill: str, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    where = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    return f'<rect {where} rx="5" fill="{fill}" stroke="{LINE}"{dash}/>'


def _text(x: float, y: float, text: str, size: float, colour: str = INK, weight: str = "normal") -> str:
    style = f'font-size="{size:g}" font-weight="{weight}" fill="{colour}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(text)}</text>'


def _line(points: list[tuple[float, float]]) -> str:
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{GREY}" stroke-width="1.5" marker-end="url(#tip)"/>'
