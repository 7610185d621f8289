import dataclasses

import pytest

from siamese_jax import specs
from siamese_jax.errors import UserError
from siamese_jax.experiments import EXPERIMENTS, find

BASE = EXPERIMENTS["omniglot_20way"]


def test_with_value_changes_one_field_and_leaves_the_original():
    changed = specs.with_value(BASE, "optimizer.layers.conv1.learning_rate", 0.5)
    before, after = dict(specs.leaves(BASE)), dict(specs.leaves(changed))
    assert {name for name in before if before[name] != after[name]} == {"optimizer.layers.conv1.learning_rate"}
    assert changed.optimizer.layers["conv1"].learning_rate == 0.5


@pytest.mark.parametrize(
    "name", ["sed", "network.conv9.size", "optimizer.layers.conv1.rate", "optimizer.layers.fc2.l2"]
)
def test_with_value_refuses_a_name_that_is_no_field(name):
    with pytest.raises(KeyError):
        specs.with_value(BASE, name, 1)


def test_leaves_name_every_plain_value_of_the_nested_dict():
    def count(value) -> int:
        return sum(map(count, value.values())) if isinstance(value, dict) else 1

    assert len(dict(specs.leaves(BASE))) == count(dataclasses.asdict(BASE))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("batch_size", 0),
        ("optimizer.decay", float("nan")),
        ("optimizer.layers.fc.learning_rate", float("inf")),
        ("optimizer.layers.fc.momentum", 1.5),
        ("optimizer.layers.fc.l2", -0.1),
        ("distort.probability", 1.01),
        ("distort.scale", 1.0),
        ("data.name", "imagenet"),
        ("network.initialiser", "papper"),
        ("network.conv3.filters", 0),
        ("data.batch_drawers", 0),
        ("data.side", -1),
        ("distort.elastic_scale", 0),
        ("optimizer.average", 1.0),
        ("optimizer.warmup", 1.0),
        ("evaluation.views", 0),
        ("network.normalisation", "batch"),
        ("loss.name", "one_way"),
    ],
)
def test_check_names_the_field_and_the_value_that_no_run_could_use(name, value):
    with pytest.raises(UserError, match=f"{name}={value}"):
        specs.check(specs.with_value(BASE, name, value))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_registered_experiment_passes_the_check(name):
    specs.check(find(name))


def test_the_side_of_the_images_is_the_one_asked_for_or_what_blocks_leave():
    assert specs.DataSpec().image_side == 105
    assert specs.DataSpec(downsample=3).image_side == 35
    assert specs.DataSpec(side=48).image_side == 48
