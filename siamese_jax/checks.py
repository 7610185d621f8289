"""Everything that can be wrong with an experiment, found before a download or before the first step."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax

from siamese_jax import keys, specs
from siamese_jax.data.folder import MAX_TABLE, table_of
from siamese_jax.environment import check_settings
from siamese_jax.errors import UserError
from siamese_jax.learning.batches import steps_per_epoch
from siamese_jax.network.siamese import build
from siamese_jax.records import Dataset, Images
from siamese_jax.sampling.episodes import sample_episodes
from siamese_jax.sampling.grids import check_grid
from siamese_jax.sampling.layout import layout_of
from siamese_jax.sampling.pairs import check_pair_count
from siamese_jax.specs import Experiment
from siamese_jax.storage import files
from siamese_jax.storage.experiment_file import check_name, read_written
from siamese_jax.training import memory
from siamese_jax.training.fit import template

TABLE = "images.csv"
"""The pictures of a run from files, with their classes and sets, as `--data.table` reads them."""
MAY_CHANGE = (
    "data.path", "data.table", "max_epochs", "patience", "checkpoint_minutes", "log_steps", "evaluation.random_trials",
    "evaluation.mnist", "evaluation.embed_batch", "evaluation.views",
)  # fmt: skip
"""Fields that may change when a run is resumed: they affect how long it trains, not the result of each step."""


def check_experiment(experiment: Experiment) -> None:
    """Raise UserError for what is wrong whatever the images show: nothing is downloaded or written for it."""
    specs.check(experiment)
    check_settings()
    if experiment.method == "siamese":
        experiment.network.tower.check(experiment.data.image_shape)
        if experiment.loss.of_distances and not build(experiment.network).has_distance:
            raise UserError(
                f"loss.name={experiment.loss.name} needs a distance, but network.energy="
                f"{experiment.network.energy.name} has none: take loss.name=cross_entropy, or another energy"
            )
        steps_per_epoch(experiment)


def check_training(experiment: Experiment, sets: Mapping[str, Images]) -> None:
    """Raise UserError where the "train" and "validation" sets cannot serve training."""
    memory.check_network(experiment)
    memory.check_batches(experiment)
    train = sets["train"]
    if experiment.loss.of_grids:
        check_grid(experiment.data, layout_of(train))
    else:
        check_pair_count(experiment.data.train_pairs, layout_of(train), "train_pairs")
    template(experiment)  # its optimizer has a rule for every layer
    _check_trials(experiment, sets["validation"], experiment.evaluation.validation_trials)


def check_evaluation(experiment: Experiment, sets: Mapping[str, Images]) -> None:
    """Raise UserError where the pairs of validation and test, or the trials of test, cannot be sampled."""
    for name in ("validation", "test"):
        pairs = getattr(experiment.data, f"{name}_pairs")
        check_pair_count(pairs, layout_of(sets[name]), f"data.{name}_pairs")
    _check_trials(experiment, sets["test"], experiment.evaluation.random_trials)


def check_workdir(experiment: Experiment, workdir: Path, but: Sequence[str] = ()) -> None:
    """Raise UserError if the workdir belongs to another run; the sentence names the first field that differs.

    Args:
      experiment: what is to be trained or measured.
      workdir: where it is to be written.
      but: fields that are not compared.
    """
    written = read_written(workdir)
    if written is None:
        return
    check_name(experiment.name, workdir, written)
    begun = dict(specs.leaves(written))
    for name, value in specs.leaves(experiment):
        # A schedule over all epochs is another schedule if there are more epochs.
        scheduled = name == "max_epochs" and experiment.optimizer.over_all_epochs
        if name in specs.DESCRIPTION or name in but or (name in MAY_CHANGE and not scheduled):
            continue
        if begun.get(name) != value:
            raise UserError(
                f"{workdir} belongs to a run with {name}={begun.get(name)}, not {value}: "
                "choose another --workdir, or give the flags it was begun with"
            )


def check_table(dataset: Dataset, workdir: Path) -> None:
    """Raise UserError if the pictures, or their sets, are not those that the run of the workdir began with."""
    path = workdir / TABLE
    if not dataset.files or not path.exists():
        return
    begun = files.read_text(path, MAX_TABLE)
    now = table_of(dataset)
    if begun != now:
        first = next(iter(sorted(set(now.splitlines()) ^ set(begun.splitlines()))))
        raise UserError(
            f"the pictures are not those that {path} lists, for example {first.split(',')[0]}: restore them, or choose "
            f"another --workdir. To train with a table that was edited, give --data.table={path} and another --workdir"
        )


def _check_trials(experiment: Experiment, images: Images, trials: int) -> None:
    spec, key = experiment.evaluation, keys.root_key(experiment.seed)
    jax.eval_shape(lambda: sample_episodes(key, layout_of(images), trials, spec.n_way, spec.k_shot))
