import jax
import pytest

from siamese_jax import specs
from siamese_jax.errors import UserError
from siamese_jax.experiments import EXPERIMENTS, QUICK, RENAMED, find
from siamese_jax.keys import root_key
from siamese_jax.learning.batches import steps_per_epoch
from siamese_jax.learning.optimizers import make_optimizer
from siamese_jax.learning.steps import init_state
from siamese_jax.published import TABLE_1


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_builds(name):
    experiment = find(name)
    shape = experiment.data.image_shape
    optimizer = make_optimizer(experiment, steps_per_epoch(experiment))
    state = jax.eval_shape(lambda: init_state(root_key(0), experiment, optimizer, shape))
    assert experiment.optimizer.name == "adamw" or set(state.params) == set(experiment.optimizer.layers)
    assert all(getattr(experiment, field) for field in specs.DESCRIPTION)
    assert not any("PLACEHOLDER" in getattr(experiment, field) for field in specs.DESCRIPTION)


def test_the_six_cells_of_table_1_differ_in_pairs_and_distortions_alone():
    names = [f"verification_{pairs}k{affine}" for pairs in (30, 90, 150) for affine in ("", "_affine")]
    fixed = [
        {name: value for name, value in specs.leaves(find(cell)) if name not in specs.DESCRIPTION} for cell in names
    ]
    differing = {name for name in fixed[0] if len({str(leaves[name]) for leaves in fixed}) > 1}
    assert differing == {"data.train_pairs", "distort.copies"}
    assert [(f["data.train_pairs"], f["distort.copies"]) for f in fixed] == [
        (30_000, 0), (30_000, 8), (90_000, 0), (90_000, 8), (150_000, 0), (150_000, 8),
    ]  # fmt: skip


def test_the_six_cells_quote_the_published_accuracies():
    for pairs, (plain, distorted) in TABLE_1.items():
        for affine, published in (("", plain), ("_affine", distorted)):
            assert f"{published:.2f} %" in find(f"verification_{pairs // 1000}k{affine}").expected


def test_the_registered_paper_experiment_is_what_the_paper_states():
    stated = {
        "data.train_pairs": 150_000, "data.validation_pairs": 10_000, "data.test_pairs": 10_000, "distort.copies": 8,
        "distort.probability": 0.5, "distort.rotation": 10.0, "distort.shear": 0.3, "distort.scale": 0.2,
        "distort.translation": 2.0, "network.units": 4096, "optimizer.decay": 0.99, "optimizer.initial_momentum": 0.5,
        "evaluation.n_way": 20, "evaluation.validation_trials": 320, "batch_size": 128, "max_epochs": 200,
        "patience": 20,
    }  # fmt: skip
    leaves = dict(specs.leaves(find("omniglot_20way")))
    assert {name: leaves[name] for name in stated} == stated


@pytest.mark.parametrize("name", ["omniglot_20wya", "glyph", "zzz"])
def test_an_unknown_experiment_is_refused_with_what_was_probably_meant(name):
    with pytest.raises(UserError, match=f"no experiment '{name}'.*--list") as error:
        find(name)
    assert ("did you mean" in str(error.value)) == (name != "zzz")


def test_an_old_name_finds_the_renamed_experiment():
    for old, new in RENAMED.items():
        assert old not in EXPERIMENTS
        assert find(old) is EXPERIMENTS[new]


def test_the_quicker_experiments_exist():
    assert all(name in EXPERIMENTS for name in QUICK)
