"""The exported network in WebAssembly computes what JAX does. npm downloads onnxruntime-web when this runs first."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnxruntime_web import WebNetwork, install
from PIL import Image

from siamese_jax.export import export_model, parity, trials
from siamese_jax.export.onnx_files import EMBED
from siamese_jax.pretrained import Model
from siamese_jax.specs import Folder


@pytest.fixture(scope="module")
def installed(pytestconfig: pytest.Config) -> Path:
    return install(pytestconfig.cache.mkdir("npm"))


@pytest.fixture(scope="module")
def folder(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged network, as ONNX."""
    path = tmp_path_factory.mktemp("export") / "best"
    export_model(model, path, archives=os.environ.get("SIAMESE_JAX_ARCHIVES"))
    return path


@pytest.fixture(scope="module")
def web(folder: Path, installed: Path) -> Iterator[WebNetwork]:
    with WebNetwork(folder, installed) as network:
        yield network


def test_the_packaged_network_makes_the_choices_of_jax_on_400_trials(model, web):
    some = trials.trials_of(model.experiment, archives=os.environ.get("SIAMESE_JAX_ARCHIVES"))
    found = parity.compare(web.exported(), parity.wanted(model, some))
    parity.check("onnx", found, 400)
    assert (found.choices, found.ties) == (400, 0)
    assert max(found.embeddings.largest, found.scores.largest) < 1e-4


@pytest.mark.parametrize("shape", [(60, 60), (33, 71), (71, 32)])
@pytest.mark.parametrize("transparent", [False, True])
def test_the_example_reads_pixels_of_a_canvas_as_the_package_reads_a_file(model, web, shape, transparent):
    rng = np.random.default_rng(0)
    rgba = np.full((*shape, 4), 255, np.uint8)
    rgba[5:25, 8:20, :3] = rng.integers(0, 40, (20, 12, 3))
    if transparent:
        rgba[..., 3] = np.where(rgba[..., 0] < 255, 255, 0)
    inks = replace(model, experiment=replace(model.experiment, data=Folder(side=48, colour=False)))
    difference = web.read(rgba).astype(int) - inks.read(Image.fromarray(rgba), "pad", "keep")
    assert abs(difference).max() <= 1  # where a mean is a half
    assert (difference == 0).mean() > 0.98


def test_the_example_gives_the_probabilities_of_the_package(model, web):
    for score, prior in ((-15.0, 0.5), (-20.0, 0.1)):
        wanted = float(model.decisions.p_same(np.array(score), prior))
        assert web.p_same(score, prior) == pytest.approx(wanted, abs=1e-6)


def test_the_example_compares_itself_with_jax_and_finds_a_damaged_network(folder, installed, tmp_path):
    def run(where: Path) -> subprocess.CompletedProcess[str]:
        (where / "node_modules").symlink_to(installed / "node_modules")
        done = subprocess.run(["node", "example.mjs"], cwd=where, capture_output=True, text=True)
        (where / "node_modules").unlink()
        return done

    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["embeddings", "scores"]
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = bytearray((tmp_path / EMBED).read_bytes())
    content[100_000:101_000] = bytes(1000)  # weights that are 0 now
    (tmp_path / EMBED).write_bytes(content)
    assert run(tmp_path).returncode == 1
