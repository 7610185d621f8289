"""What a PyTorch user would take for own pictures: the contrastive siamese network of the common tutorials.

The network has three convolutions with batch normalisation and three fully connected layers. It is trained by the
contrastive loss (Hadsell, Chopra and LeCun 2006) and Adam on random pairs, half of them of one class. It sees the same
arrays as `own_images`, for as many minutes as `--minutes` says. Its epoch is chosen on the same validation trials, and
it is measured on the same test trials.

Tutorials differ. This network has what is better for it: pools, which make a step cheaper; an embedding of 128 numbers,
where tutorials have 2 to 5; all pictures in memory; and the weights of the best epoch.
"""

import argparse
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _timing
import numpy as np

from siamese_jax import data, experiments
from siamese_jax.evaluation import one_shot, protocols
from siamese_jax.records import Dataset, Episodes, Images
from siamese_jax.sampling import splits
from siamese_jax.specs import Experiment, with_values
from siamese_jax.training.sizes import sized

if TYPE_CHECKING:
    from _torch_tutorial import Embed

PAIRS = 64
"""Pairs of a batch."""
Batch = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Rows of the left and of the right images, and whether they are of one class; [B] each."""


def main(flags: argparse.Namespace) -> None:
    """Train, measure and write."""
    import _torch_tutorial

    experiment, dataset, sets = load(flags)
    train, validation = sets["train"], sets["validation"]
    episodes = one_shot.validation_episodes(experiment, validation)

    def validate(embed: "Embed") -> float:
        answer = np.asarray(episodes.answer)
        return float(one_shot.credit(scores(embed, validation.images, episodes), answer).mean())

    trained = _torch_tutorial.train(
        train.images,
        sample_epochs(np.random.default_rng(flags.seed), train),
        validate,
        flags.minutes,
        flags.seed,
        flags.embedding,
    )
    protocol = {"within_alphabet": protocols.protocols(experiment.evaluation, None)["within_alphabet"]}
    measured, refused = one_shot.one_shot_by_protocol(
        lambda images, of: scores(trained.embed, images, of), dataset, sets, {"trained": train}, protocol
    )
    if refused:
        raise SystemExit(refused["within_alphabet"])
    result = measured["within_alphabet"].result
    record = {
        "name": "emoji_tutorial",
        "accuracy": result.accuracy,
        "ci95": result.ci95,
        "correct": result.correct,
        "trials": result.card.trials,
        "n_way": result.card.n_way,
        "trials_id": result.card.trials_id,
        "by_group": {group: of.accuracy for group, of in result.by_group.items()},
        "sets": {name: describe(images) for name, images in sets.items()},
        "minutes": flags.minutes,
        "seconds": trained.seconds,
        "steps": trained.steps,
        "pairs": PAIRS,
        "parameters": trained.parameters,
        "embedding": flags.embedding,
        "seed": flags.seed,
        "validation": trained.validation,
        "best_epoch": 1 + int(np.argmax(trained.validation)),
        "commit": commit(),
        "device": _timing.device(),
    }
    low, high = result.ci95
    print(f"test: {result.accuracy:.1%} of {result.card.trials:,} trials, 95 % interval {low:.1%} to {high:.1%}")
    _timing.write(record, flags.output)


def load(flags: argparse.Namespace) -> tuple[Experiment, Dataset, dict[str, Images]]:
    """Return the experiment, sized to its pictures as a run does it, all pictures, and those of each set."""
    experiment = make_experiment(flags)
    dataset = data.load(experiment.data, flags.data_dir)
    sets = splits.split(dataset, experiment.data.author_split)
    return sized(experiment, sets), dataset, sets


def make_experiment(flags: argparse.Namespace) -> Experiment:
    """Return `own_images` with the folder, the groups and the numbers of the flags."""
    values = {
        "seed": flags.seed,
        "data.path": flags.data_path,
        "data.author": "stem",
        "data.side": flags.side,
        "data.validation_groups": flags.validation_groups,
        "data.test_groups": flags.test_groups,
        "evaluation.random_trials": flags.trials,
        "evaluation.validation_trials": flags.validation_trials,
    }
    given = {field: value for field, value in values.items() if value is not None}
    return with_values(experiments.find("own_images"), given)


def sample_epochs(generator: np.random.Generator, images: Images) -> Iterator[Iterator[Batch]]:
    """Yield epochs without end. Each has one pair for each image, in batches of PAIRS."""
    while True:
        yield (sample_pairs(generator, images, PAIRS) for _ in range(max(1, len(images.images) // PAIRS)))


def sample_pairs(generator: np.random.Generator, images: Images, count: int) -> Batch:
    """Sample pairs: a random image, and another one of its class or, in every second pair, any one of another class.

    An image that is alone in its class is paired with itself.

    Args:
      generator: random numbers.
      images: sorted by class, of two classes or more.
      count: number of pairs.
    """
    start, size = np.unique(images.class_index, return_index=True, return_counts=True)[1:]
    left = generator.integers(len(images.class_index), size=count)
    same = np.arange(count) % 2 == 0
    start, size = (of[images.class_index[left]] for of in (start, size))
    other = generator.integers(1, np.maximum(size, 2))  # places to go on within the class
    within = start + (left - start + other) % size
    outside = generator.integers(len(images.class_index) - size)
    outside += size * (outside >= start)
    return left, np.where(same, within, outside), same


def scores(embed: "Embed", images: np.ndarray, episodes: Episodes) -> np.ndarray:
    """Return scores [R, Q, n_way] of episodes: minus the distance of query and nearest support.

    Args:
      embed: embeds images.
      images: uint8 [N, H, W, C].
      episodes: rows of `images`.
    """
    support, query = np.asarray(episodes.support), np.asarray(episodes.query)
    rows, places = np.unique(np.concatenate([support.ravel(), query.ravel()]), return_inverse=True)
    embeddings = embed(images[rows])[places]
    support = embeddings[: support.size].reshape(*support.shape, -1)
    query = embeddings[-query.size :].reshape(*query.shape, -1)
    return np.stack(
        [-np.linalg.norm(q[:, None, None] - s[None], axis=-1).min(axis=-1) for s, q in zip(support, query, strict=True)]
    )


def describe(images: Images) -> dict[str, Any]:
    """Return the groups of a set, and how many classes and images it has."""
    return {
        "groups": list(images.group_names),
        "classes": len(np.unique(images.class_index)),
        "images": len(images.class_index),
    }


def commit() -> str | None:
    """Return the commit of this code, with "+" if files differ from it; None outside of a repository."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=10", "--dirty=+", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or None


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", required=True, help="the folder, DIR/GROUP/CLASS/ARTIST.png")
    parser.add_argument("--validation_groups", required=True, help="groups that choose the epoch, with commas between")
    parser.add_argument("--test_groups", required=True, help="groups that are measured, with commas between")
    parser.add_argument("--minutes", type=float, default=20.0, help="of training and validation (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, pairs and validation trials (default: 0)")
    parser.add_argument("--side", type=_timing.positive, help="rows and columns (default: as own_images)")
    parser.add_argument("--trials", type=_timing.positive, help="test trials (default: as own_images)")
    parser.add_argument("--validation_trials", type=_timing.positive, help="(default: as own_images)")
    parser.add_argument("--embedding", type=_timing.positive, default=128, help="its length (default: 128)")
    parser.add_argument("--data_dir", help="where prepared pictures are kept (default: the user's cache)")
    parser.add_argument("--output", type=Path, help="where the JSON goes (default: benchmarks/results/NAME.json)")
    return parser.parse_args(args)


if __name__ == "__main__":
    main(parse())
