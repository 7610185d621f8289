"""What is wrong with an experiment is found before a download, or before the first step."""

import flax.linen as nn
import pytest
from tiny import make_dataset, make_experiment

from siamese_jax import checks, specs
from siamese_jax.errors import UserError
from siamese_jax.experiments import EXPERIMENTS
from siamese_jax.network.energies import ENERGIES
from siamese_jax.sampling.splits import split
from siamese_jax.specs import AdamW, AllPairs, EvalSpec, Omniglot, PaperSGD, Triplet, WeightedL1
from siamese_jax.storage.experiment_file import write_experiment

EXPERIMENT = make_experiment()
SETS = split(make_dataset(), "paper")


def test_every_registered_experiment_passes_what_needs_no_images():
    for experiment in EXPERIMENTS.values():
        checks.check_experiment(experiment)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network": specs.with_value(EXPERIMENT.network, "conv1.size", 200)}, "conv1.size=200"),
        ({"batch_size": 100}, "batch_size=100"),
        ({"seed": -1}, "seed=-1 is out of range"),
    ],
)
def test_what_no_image_could_mend_is_refused_before_a_download(change, words):
    with pytest.raises(UserError, match=words):
        checks.check_experiment(make_experiment(**change))


def test_a_loss_of_distances_needs_an_energy_with_a_distance(monkeypatch):
    monkeypatch.setitem(ENERGIES, WeightedL1, lambda spec, initialiser: nn.Dense(1))
    checks.check_experiment(make_experiment())
    with pytest.raises(UserError, match="loss.name=triplet needs a distance, but network.energy=weighted_l1 has none"):
        checks.check_experiment(make_experiment(loss=Triplet()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": Omniglot(train_pairs=13)}, "train_pairs=13 .* multiple of 4"),
        ({"evaluation": EvalSpec(n_way=3, validation_trials=13, random_trials=12)}, "13 trials"),
        ({"optimizer": PaperSGD({"conv1": EXPERIMENT.optimizer.layers["conv1"]})}, "missing"),
        (
            {"loss": AllPairs(), "optimizer": AdamW()},
            r"data\.batch_characters=20 is out of range",
        ),
    ],
)
def test_what_training_cannot_do_with_these_images_is_refused_before_the_first_step(change, words):
    with pytest.raises(UserError, match=words):
        checks.check_training(make_experiment(**change), SETS)


def test_a_grid_that_training_can_fill_is_accepted_whatever_the_number_of_pairs():
    grids = Omniglot(train_pairs=7, batch_characters=5)
    checks.check_training(make_experiment(loss=AllPairs(), optimizer=AdamW(), data=grids), SETS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"evaluation": EvalSpec(n_way=6, validation_trials=12, random_trials=12)}, "n_way=6 .* 5 classes"),
        ({"evaluation": EvalSpec(n_way=3, validation_trials=12, random_trials=14)}, "14 trials"),
        ({"data": Omniglot(train_pairs=12, validation_pairs=9, test_pairs=8)}, "validation_pairs=9"),
    ],
)
def test_what_evaluation_cannot_do_with_these_images_is_refused_before_training(change, words):
    with pytest.raises(UserError, match=words):
        checks.check_evaluation(make_experiment(**change), SETS)


@pytest.mark.parametrize(
    ("name", "schedule", "longer", "words"),
    [
        ("glyphs_20way", None, True, None),
        ("omniglot_20way_fast", "one_cycle", True, "max_epochs=12, not 500"),
        ("omniglot_20way_fast", "constant", True, None),
        ("glyphs_20way", None, False, "seed=0, not 3"),
    ],
)
def test_a_workdir_goes_on_with_more_epochs_unless_its_schedule_or_another_field_differs(
    tmp_path, name, schedule, longer, words
):
    begun = EXPERIMENTS[name]
    begun = begun if schedule is None else specs.with_value(begun, "optimizer.schedule", schedule)
    write_experiment(tmp_path, begun)
    changed = specs.with_value(begun, "max_epochs", 500) if longer else specs.with_value(begun, "seed", 3)
    if words is None:
        checks.check_workdir(changed, tmp_path)
    else:
        with pytest.raises(UserError, match=words):
            checks.check_workdir(changed, tmp_path)
