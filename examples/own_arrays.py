"""Train and evaluate on images of your own: colour arrays in memory, with any number of images per class.

    python examples/own_arrays.py [--epochs=4] [--workdir=DIR]

The images here are coloured shapes, made by this program. To use yours, build the same `Images` from your arrays: uint8
[N, H, W, C] with the background at 0, one class index and one group index per image. One-shot trials stay within a
group.
"""

import argparse
import tempfile
from dataclasses import replace

import numpy as np

import siamese_jax
from siamese_jax.specs import InMemory

GROUPS, CLASSES, SIDE = 12, 8, 28


def make_images() -> siamese_jax.Images:
    """Return 12 groups of 8 classes: each a coloured shape, in 4 to 9 images that are shifted and noisy."""
    rng = np.random.default_rng(0)
    images, class_index = [], []
    for number in range(GROUPS * CLASSES):
        shape = np.kron(rng.random((5, 5, 1)) < 0.5, np.ones((4, 4, 1))) * rng.integers(90, 256, 3)
        for _ in range(rng.integers(4, 10)):
            image = np.zeros((SIDE, SIDE, 3))
            top, left = rng.integers(0, SIDE - 20, 2)
            image[top : top + 20, left : left + 20] = shape
            images.append(np.clip(image + rng.normal(0, 10, image.shape) * (image > 0), 0, 255).astype(np.uint8))
            class_index.append(number)
    class_index = np.array(class_index, np.int32)
    return siamese_jax.Images(
        images=np.stack(images),
        class_index=class_index,
        group_index=class_index // CLASSES,
        author=np.full(len(images), -1, np.int32),  # unknown
        group_names=tuple(f"group {number}" for number in range(GROUPS)),
    )


def main() -> None:
    """Train, evaluate, and say where the report is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4, help="epochs of 25 updates (default: 4)")
    parser.add_argument("--workdir", help="where everything is written (default: a temporary folder)")
    flags = parser.parse_args()

    experiment = siamese_jax.find("omniglot_20way_fast")
    experiment = replace(
        experiment,
        name="own_arrays",
        summary="coloured shapes, made by examples/own_arrays.py",
        data=InMemory(batch_characters=CLASSES, batch_drawers=3, epoch_steps=25, rotations=True),
        network=replace(experiment.network, tower=replace(experiment.network.tower, width=16, stages=2, units=64)),
        evaluation=replace(experiment.evaluation, n_way=5, validation_trials=100, random_trials=200, mnist=False),
        max_epochs=flags.epochs,
    )
    workdir = flags.workdir or tempfile.mkdtemp(prefix="own_arrays_")
    run = siamese_jax.train(experiment, workdir, dataset=siamese_jax.Dataset(make_images()))
    results = run.evaluate()
    found = results.one_shot["within_alphabet"]
    low, high = found.ci95
    print(f"5-way one-shot accuracy: {found.accuracy:.1%} ({low:.1%} to {high:.1%}; chance level 20 %)")
    print(f"report: {workdir}/report.html")


if __name__ == "__main__":
    main()
