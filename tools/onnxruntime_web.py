"""An exported network in WebAssembly: Node runs the JavaScript example of its folder with onnxruntime-web."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax.export.exported import Exported

VERSION = "1.30.0"
"""The version of onnxruntime-web that is installed from npm."""


def install(cache: Path) -> Path:
    """Return a folder with onnxruntime-web in its node_modules; npm downloads it (25 MB) if it is not there."""
    folder = cache / f"onnxruntime-web-{VERSION}"
    if not (folder / "package-lock.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", f"onnxruntime-web@{VERSION}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


class WebNetwork:
    """A Node process that holds an exported network. Use it in a `with` statement."""

    def __init__(self, export: Path, installed: Path):
        program = ["node", str(Path(__file__).with_suffix(".mjs")), str(export.resolve()), str(installed)]
        self._node = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reading = json.loads((export / "reading.json").read_text())

    def __enter__(self) -> "WebNetwork":
        return self

    def __exit__(self, *_: object) -> None:
        self._node.stdin.close()
        self._node.stdout.close()
        self._node.wait(timeout=30)

    def exported(self) -> Exported:
        """Return the network as functions, to be compared with JAX."""
        return Exported(self.embed, self.scores, f"onnxruntime-web {VERSION}")

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embed images, uint8 [N, H, W, C]."""
        found = self._ask("embed", images=text(images), count=len(images))
        return np.frombuffer(found, "<f4").reshape(len(images), -1)

    def scores(self, queries: np.ndarray, supports: np.ndarray) -> np.ndarray:
        """Compare queries [Q, D] with supports [N, D] or [N, k, D]."""
        supports = supports if supports.ndim == 3 else supports[:, None]
        (q, _), (n, k, _) = queries.shape, supports.shape
        found = self._ask("scores", queries=text(queries), supports=text(supports), q=q, n=n, k=k)
        return np.frombuffer(found, "<f4").reshape(q, n)

    def read(self, rgba: np.ndarray) -> np.ndarray:
        """Turn the pixels of a canvas, uint8 [H, W, 4], into what the network takes."""
        height, width, _ = rgba.shape
        size = self.reading["picture"]
        found = self._ask("read", rgba=text(rgba), width=width, height=height)
        return np.frombuffer(found, np.uint8).reshape(size["height"], size["width"], size["channels"])

    def p_same(self, score: float, prior: float) -> float:
        """Return the probability of "same"."""
        return float(np.frombuffer(self._ask("p_same", score=score, prior=prior), "<f4")[0])

    def _ask(self, what: str, **given: Any) -> bytes:
        self._node.stdin.write(json.dumps({"what": what, **given}) + "\n")
        self._node.stdin.flush()
        line = self._node.stdout.readline()
        if not line:
            raise RuntimeError("Node has stopped; its message stands above")
        return base64.b64decode(json.loads(line))


def text(values: np.ndarray) -> str:
    """Return an array as base64 of its little-endian bytes."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
