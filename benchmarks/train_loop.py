"""From images on disk to updates, with distortions: the package's training loop against one in PyTorch.

Ours is the package's own jitted update: it draws pairs and warps images on the device; the prepared data are read once,
before, and that time is written beside (`our_read_s`). Theirs is what a PyTorch user writes: a data set that opens two
PNGs per pair with PIL and warps them, a DataLoader with 2 workers, Adam. Its PNGs are written before, at the size that
is trained on, so nothing has to be shrunk; its workers are running when the clock starts, with no batch ready yet.
Pairs and distortions are drawn alike, not the same; compared are the network's logits, and one warp of each image.
A time is that of `--steps` updates.
"""

import argparse
import dataclasses
import random
import tempfile
import time
from collections.abc import Callable

import _timing
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from siamese_jax import data, experiments, keys
from siamese_jax.devices import keep_freed_memory
from siamese_jax.images import distort
from siamese_jax.learning.batches import steps_per_epoch
from siamese_jax.learning.optimizers import make_optimizer
from siamese_jax.learning.steps import init_state
from siamese_jax.network import siamese
from siamese_jax.records import Images
from siamese_jax.sampling import splits
from siamese_jax.sampling.layout import layout_of
from siamese_jax.sampling.pairs import sample_pair
from siamese_jax.specs import DistortSpec, Experiment
from siamese_jax.training import programs
from siamese_jax.training.loop import make_steps

LOGITS, WARP = 1e-4, 0.01
"""Allowed differences: of logits, as a fraction of the largest; of warped images, mean over pixels. PIL rounds to whole
grey values, and treats the border otherwise."""
STEPS = {35: 20, 105: 3}
"""Updates timed at a time, by the images' side: some seconds."""
WORKERS = 2
EXPERIMENTS = {35: "omniglot_20way_small", 105: "omniglot_20way"}


@dataclasses.dataclass(frozen=True)
class PairFolder:
    """A map-style data set as PyTorch takes it: pairs of PNGs, warped anew whenever they are asked for."""

    folder: str
    left: np.ndarray
    right: np.ndarray
    same: np.ndarray
    spec: DistortSpec

    def __len__(self) -> int:
        return len(self.same)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, np.float32]:
        plain = random.randrange(1 + self.spec.copies) == 0
        left, right = (self.read(rows[index], plain) for rows in (self.left, self.right))
        return left, right, np.float32(self.same[index])

    def read(self, row: int, plain: bool) -> np.ndarray:
        """Open an image, and warps it unless it stays plain: float32 [1, H, W]."""
        with Image.open(f"{self.folder}/{row}.png") as file:
            image = file.convert("L")
        if not plain:
            image = warp(image, sample_affine(self.spec))
        return np.asarray(image, np.float32)[None] / 255


def sample_affine(spec: DistortSpec) -> distort.Affine:
    """Draw as `distort.sample_affine` does, with Python's own generator."""
    reach = (spec.rotation, spec.shear, spec.shear, spec.scale, spec.scale, spec.translation, spec.translation)
    included = [random.random() < spec.probability for _ in reach]
    offsets = [random.uniform(-most, most) if take else 0.0 for most, take in zip(reach, included, strict=True)]
    return distort.Affine(*(none + offset for none, offset in zip(distort.IDENTITY, offsets, strict=True)))


def warp(image: Image.Image, affine: distort.Affine) -> Image.Image:
    """Warp as `distort.apply_affine` does; PIL's own coordinates have a pixel's centre at a half."""
    angle = np.deg2rad(affine.rotation)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    forward = rotation @ [[1, affine.shear_x], [affine.shear_y, 1]] @ np.diag([affine.scale_x, affine.scale_y])
    (a, b), (d, e) = np.linalg.inv(forward)
    x, y = image.width / 2, image.height / 2
    shifted_x, shifted_y = x + affine.shift_x, y + affine.shift_y
    pull = (a, b, x - a * shifted_x - b * shifted_y, d, e, y - d * shifted_x - e * shifted_y)
    return image.transform(image.size, Image.Transform.AFFINE, pull, Image.Resampling.BILINEAR)


def main(flags: argparse.Namespace) -> None:
    """Write the PNGs, compares, times and writes."""
    import _torch_net

    keep_freed_memory()
    experiment = experiments.find(EXPERIMENTS[flags.side])
    experiment = dataclasses.replace(
        experiment, batch_size=flags.pairs, data=_timing.chosen_data(experiment.data, flags)
    )
    steps = flags.steps or STEPS[flags.side]
    data.load(experiment.data, flags.data_dir, flags.archives)  # prepares, if need be
    began = time.perf_counter()
    dataset = data.load(experiment.data, flags.data_dir, flags.archives)
    read_s = time.perf_counter() - began
    train = splits.split(dataset, experiment.data.author_split)["train"]

    optimizer = make_optimizer(experiment, steps_per_epoch(experiment))
    state = init_state(keys.root_key(0), experiment, optimizer, (flags.side, flags.side, 1))
    params = jax.tree.map(jnp.copy, state.params)
    update = programs.compile_update(experiment, train)
    pauses = make_steps(update, state, 0, steps)

    def ours() -> None:
        while not next(pauses).epoch_ended:  # an epoch is `--steps` updates; the first pause is after one
            pass

    with tempfile.TemporaryDirectory() as folder:
        write_images(train, folder)
        pairs = sample_pairs(experiment, train, steps * flags.pairs, folder)
        differences = {"warp": compare_warps(train, experiment.distort)}
        left, right = (siamese.as_input(train.images[rows[:8]]) for rows in (pairs.left, pairs.right))
        our_logits = jax.jit(siamese.build(experiment.network).pair_logits)(params, left, right)
        their_logits = _torch_net.Siamese(experiment.network, flags.side).load_ours(params).logits_of(left, right)
        differences["logits"] = _timing.check_same("logits", our_logits, their_logits, LOGITS)
        by_format = {
            name: _timing.Elsewhere(torch_loop, experiment, flags.side, params, pairs, name)
            for name in _torch_net.FORMATS
        }
        their_format = _torch_net.faster(by_format, flags.their_format)
        for name, side in by_format.items():
            if name != their_format:
                side.close()  # its workers would wait beside
        seconds = _timing.interleave({"ours": ours, "theirs": by_format[their_format]}, flags.repeats)
        by_format[their_format].close()
    more = {"steps": steps, "pairs": flags.pairs, "our_read_s": read_s, "data": experiment.data.name}
    more |= {"workers": WORKERS, "differences": differences, "their_format": their_format}
    _timing.report(_timing.make_record(f"train_loop_{flags.side}", seconds, **more), seconds, flags.output)


def write_images(train: Images, folder: str) -> None:
    """Write each image as ROW.png."""
    for row, image in enumerate(train.images):
        Image.fromarray(image[..., 0]).save(f"{folder}/{row}.png")


def sample_pairs(experiment: Experiment, train: Images, count: int, folder: str) -> PairFolder:
    """Return a data set of so many of the experiment's pairs."""
    key, place = keys.root_key(0), layout_of(train)
    draw = jax.jit(jax.vmap(lambda index: sample_pair(key, index, place, experiment.data.different_drawers)))
    return PairFolder(folder, *jax.device_get(draw(jnp.arange(count))), experiment.distort)


def compare_warps(train: Images, spec: DistortSpec) -> float:
    """Return the mean difference, over pixels, of some images warped by us and by PIL; SystemExit if it is large."""
    random.seed(0)
    apply = jax.jit(distort.apply_affine)
    differences = []
    for image in train.images[:: len(train.images) // 50]:
        affine = sample_affine(spec)
        mine = apply(siamese.as_input(image), affine)[..., 0]
        differences.append(
            np.abs(mine - np.asarray(warp(Image.fromarray(image[..., 0]), affine), np.float32) / 255).mean()
        )
    largest = float(np.max(differences))
    if largest > WARP:
        raise SystemExit(f"warps differ by {largest:.3f}, a mean over pixels; allowed is {WARP}")
    return largest


def torch_loop(
    experiment: Experiment, side: int, params: siamese.Params, pairs: PairFolder, name: str
) -> Callable[[], None]:
    """Return a callable that makes one pass over the pairs, with updates by Adam."""
    import _torch_net
    import torch

    layout = {"memory_format": _torch_net.FORMATS[name]}
    net = _torch_net.Siamese(experiment.network, side).load_ours(params).to(**layout)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True)
    loader = torch.utils.data.DataLoader(
        pairs,
        batch_size=experiment.batch_size,
        shuffle=True,
        num_workers=WORKERS,
        persistent_workers=True,
        multiprocessing_context="spawn",  # a fork of a process in which JAX has threads may hang
    )

    def run() -> None:
        for left, right, same in loader:
            left, right = (images.to(_torch_net.DEVICE, **layout) for images in (left, right))
            _torch_net.update(net, optimizer, left, right, same.to(_torch_net.DEVICE))
        _torch_net.wait()

    return run


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = _timing.make_parser(__doc__)
    parser.add_argument("--side", type=int, choices=list(EXPERIMENTS), default=35, help="35: the reduced network")
    parser.add_argument("--pairs", type=_timing.positive, default=128, help="pairs in a batch (default: 128)")
    parser.add_argument("--steps", type=_timing.positive, help=f"updates timed at a time (default: {STEPS} by side)")
    _timing.add_data_flags(parser)
    _timing.add_their_format(parser)
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
