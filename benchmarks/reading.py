"""What other files cost in accuracy: the 400 official trials from pictures as people have them.

Each version makes another file of every drawing: white on black, on a page of another shape, transparent, photographed
and so on. `Model.read` reads the files, the shipped network compares them, and the accuracy stands beside that of the
plain files. In the column "queries only" the example of each class stays plain. The last column is the difference to
plain, in points.
"""

import argparse
import io
import subprocess
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import _timing
import numpy as np
from PIL import Image
from scipy import ndimage

import siamese_jax
from siamese_jax.pretrained import Model
from siamese_jax.statistics.intervals import clustered_interval

BAR = 0.02
"""A version may be so much worse than plain."""

Make = Callable[[np.ndarray, np.random.Generator], bytes]
"""Makes the file of a drawing, uint8 [105, 105], 0 for ink and 255 for paper."""


class Run(NamedTuple):
    """One official run: names of the drawings of its queries and supports, and which support is right, [20] each."""

    queries: tuple[str, ...]
    supports: tuple[str, ...]
    answer: np.ndarray


def main(flags: argparse.Namespace) -> None:
    """Measure, print and write."""
    model = siamese_jax.load_pretrained(flags.checkpoint)
    drawings, runs = read_runs(flags.archives)
    plain = {name: model.read(encoded(drawing)) for name, drawing in drawings.items()}
    rows = {}
    print(f"{'version':<34}{'accuracy':>10}{'95 % interval':>16}{'queries only':>14}{'ms a file':>11}{'points':>8}")
    for version, (make, options) in VERSIONS.items():
        rng = np.random.default_rng(0)
        files = {name: make(drawing, rng) for name, drawing in drawings.items()}
        began = time.perf_counter()
        images = {name: model.read(content, **options) for name, content in files.items()}
        row = {"ms_per_file": 1000 * (time.perf_counter() - began) / len(files)}
        row |= measure(credits_of(model, runs, images, images))
        row["queries_only"] = measure(credits_of(model, runs, images, plain))
        rows[version] = row
        row["difference"] = row["accuracy"] - rows["plain"]["accuracy"]
        low, high = row["ci95"]
        print(
            f"{version:<34}{row['accuracy']:>10.2%}{f'{100 * low:.1f} to {100 * high:.1f}':>16}"
            f"{row['queries_only']['accuracy']:>14.2%}{row['ms_per_file']:>11.1f}{100 * row['difference']:>+8.2f}"
        )
    missed = [version for version, row in rows.items() if row["difference"] < -BAR]
    print(f"more than {100 * BAR:g} points below plain: {', '.join(missed) or 'none'}")
    record = {"name": "reading", "trials": sum(len(run.queries) for run in runs), "versions": rows}
    record |= {"checkpoint": flags.checkpoint, "commit": commit(), "device": _timing.device()}
    _timing.write(record, flags.output)


def read_runs(archives: Path) -> tuple[dict[str, np.ndarray], list[Run]]:
    """Return the drawings of all_runs.zip by name, and the runs."""
    runs, names = [], set()
    with zipfile.ZipFile(archives / "omniglot" / "all_runs.zip") as archive:
        for number in range(1, 21):
            lines = archive.read(f"run{number:02}/class_labels.txt").decode().splitlines()
            queries, classes = zip(*(line.split() for line in lines), strict=True)
            supports = tuple(sorted(set(classes)))
            runs.append(Run(queries, supports, np.array([supports.index(name) for name in classes])))
            names |= {*queries, *supports}
        opened = {name: Image.open(io.BytesIO(archive.read(name))).convert("L") for name in sorted(names)}
    return {name: np.asarray(image) for name, image in opened.items()}, runs


def credits_of(
    model: Model, runs: list[Run], queries: Mapping[str, np.ndarray], supports: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return [R, Q], 1 for a right answer and 0 for a wrong one."""
    credit = []
    for run in runs:
        images = [*(queries[name] for name in run.queries), *(supports[name] for name in run.supports)]
        embeddings = model.embed(np.stack(images))
        scores = model.scores(embeddings[: len(run.queries)], embeddings[len(run.queries) :])
        credit.append(scores.argmax(axis=1) == run.answer)
    return np.array(credit, float)


def measure(credit: np.ndarray) -> dict[str, Any]:
    """Return the accuracy and its 95 % interval; whole runs are resampled."""
    of_run = np.repeat(np.arange(len(credit)), credit.shape[1])
    return {"accuracy": float(credit.mean()), "ci95": clustered_interval(credit.ravel(), of_run)}


def commit() -> str:
    """Return the commit of the checkout that this script is in, with a "+" if files were changed since."""
    git = ["git", "-C", str(Path(__file__).parent)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True).stdout
    return head + "+" * bool(changed.strip())


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """Return an image as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def on_page(drawing: np.ndarray, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Put a drawing at a random place of a larger white page."""
    page = np.full((height, width), 255, np.uint8)
    top, left = rng.integers(height - len(drawing) + 1), rng.integers(width - len(drawing) + 1)
    page[top : top + len(drawing), left : left + len(drawing)] = drawing
    return page


def resized(drawing: np.ndarray, side: int) -> np.ndarray:
    """Resize a drawing by Pillow's Lanczos filter."""
    return np.asarray(Image.fromarray(drawing).resize((side, side), Image.Resampling.LANCZOS))


def transparent(drawing: np.ndarray, grey: int) -> bytes:
    """Draw in one grey on a transparent page."""
    ink = np.full_like(drawing, grey)
    return encoded(np.stack([ink, ink, ink, 255 - drawing], axis=-1))


def turned(drawing: np.ndarray, orientation: int) -> bytes:
    """Store a drawing turned by 90° or more, with the EXIF orientation that turns it back."""
    stored = np.rot90(drawing, {3: 2, 6: 1, 8: -1}[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(np.ascontiguousarray(stored), "JPEG", quality=95, exif=exif)


def pencil(drawing: np.ndarray, rng: np.random.Generator, paper: int, ink: int, noise: float) -> bytes:
    """Draw in soft grey on grey paper with noise."""
    soft = ndimage.gaussian_filter(drawing / 255, 0.7)
    page = ink + (paper - ink) * soft + rng.normal(0, noise, drawing.shape)
    return encoded(np.clip(page, 0, 255).astype(np.uint8))


def photograph(drawing: np.ndarray, rng: np.random.Generator) -> bytes:
    """Photograph a drawing: out of focus, with noise, and light that falls towards one corner, to 12 % at worst."""
    sharp = ndimage.gaussian_filter(resized(drawing, 315) / 255, 1.2)
    down, across = (np.linspace(*rng.uniform(0.35, 1, 2), 315) for _ in range(2))
    page = 230 * down[:, None] * across * (0.25 + 0.75 * sharp) + rng.normal(0, 5, sharp.shape)
    return encoded(np.clip(page, 0, 255).astype(np.uint8), "JPEG", quality=85)


def palette(drawing: np.ndarray) -> bytes:
    """Draw in dark blue on cream, two of the 256 colours of a palette."""
    image = Image.fromarray((drawing > 127).astype(np.uint8))
    image.putpalette([20, 30, 90, 250, 240, 215])
    file = io.BytesIO()
    image.save(file, "GIF")
    return file.getvalue()


VERSIONS: dict[str, tuple[Make, dict[str, str]]] = {
    "plain": (lambda drawing, rng: encoded(drawing), {}),
    "white on black": (lambda drawing, rng: encoded(255 - drawing), {}),
    "resized to 64×64": (lambda drawing, rng: encoded(resized(drawing, 64)), {}),
    "resized to 300×300": (lambda drawing, rng: encoded(resized(drawing, 300)), {}),
    "on a page of 150×105": (lambda drawing, rng: encoded(on_page(drawing, 150, 105, rng)), {}),
    "on a page of 297×210": (lambda drawing, rng: encoded(on_page(drawing, 297, 210, rng)), {}),
    "on a page of 1050×1050": (lambda drawing, rng: encoded(on_page(drawing, 1050, 1050, rng)), {}),
    "on a page of 210×210": (lambda drawing, rng: encoded(on_page(drawing, 210, 210, rng)), {}),
    "on a page of 210×210, fit=ink": (lambda drawing, rng: encoded(on_page(drawing, 210, 210, rng)), {"fit": "ink"}),
    "plain, fit=ink": (lambda drawing, rng: encoded(drawing), {"fit": "ink"}),
    "black on transparent": (lambda drawing, rng: transparent(drawing, 0), {}),
    "white on transparent": (lambda drawing, rng: transparent(drawing, 255), {}),
    "16 bits": (lambda drawing, rng: encoded(drawing.astype(np.uint16) * 257), {}),
    "12 bits in 16": (lambda drawing, rng: encoded(drawing.astype(np.uint16) * 16), {}),
    "EXIF: turned": (lambda drawing, rng: turned(drawing, int(rng.choice([3, 6, 8]))), {}),
    "JPEG, quality 75": (lambda drawing, rng: encoded(drawing, "JPEG", quality=75), {}),
    "JPEG, quality 20": (lambda drawing, rng: encoded(drawing, "JPEG", quality=20), {}),
    "pencil on grey paper": (lambda drawing, rng: pencil(drawing, rng, 200, 140, 6), {}),
    "fainter pencil": (lambda drawing, rng: pencil(drawing, rng, 225, 190, 5), {}),
    "photograph, uneven light": (photograph, {}),
    "palette (GIF)": (lambda drawing, rng: palette(drawing), {}),
}


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archives", type=Path, required=True, help="the folder with omniglot/all_runs.zip")
    parser.add_argument("--checkpoint", default="best", help="the trained network (default: best)")
    parser.add_argument("--output", type=Path, help="where the JSON goes (default: benchmarks/results/reading.json)")
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
