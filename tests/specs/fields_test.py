import dataclasses
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_jax import specs
from siamese_jax.errors import UserError
from siamese_jax.experiments import EXPERIMENTS, all_fields, find
from siamese_jax.specs import Conv, Dense, Experiment, Glyphs, NetSpec, Omniglot, Residual, Tower

BASE = EXPERIMENTS["omniglot_20way"]


def test_with_value_changes_one_field_and_leaves_the_original():
    changed = specs.with_value(BASE, "optimizer.layers.conv1.learning_rate", 0.5)
    before, after = dict(specs.leaves(BASE)), dict(specs.leaves(changed))
    assert {name for name in before if before[name] != after[name]} == {"optimizer.layers.conv1.learning_rate"}
    assert changed.optimizer.layers["conv1"].learning_rate == 0.5


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sed", ": did you mean seed?"),
        ("network.conv9.size", r": did you mean network.conv\d.size"),
        ("network.unit", ": did you mean network.units"),
        ("network.tower.units", ": did you mean network.units"),
        ("network.conv1", r": did you mean network.conv1.\w+"),
        ("optimizer.layers.conv1.rate", ": did you mean optimizer.layers.conv1"),
        ("optimizer.layers.fc2.l2", ": did you mean optimizer.layers.fc.l2"),
        ("zzz", "$"),
    ],
)
def test_a_name_that_is_not_a_field_is_refused_with_a_suggestion(name, hint):
    with pytest.raises(UserError, match=f"^{name} is not a field{hint}"):
        specs.with_value(BASE, name, 1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("network.width", "network.width is a field of network.tower=residual, but network.tower is convolutional"),
        ("loss.margin", "loss.margin is a field of loss.name=contrastive or triplet, but loss.name is cross_entropy"),
        ("optimizer.rate", "optimizer.rate is a field of optimizer.name=adamw, but optimizer.name is paper"),
    ],
)
def test_a_field_of_another_member_is_refused_by_the_name_of_that_member(name, words):
    with pytest.raises(UserError, match=f"^{words}: leave it out, or set "):
        specs.with_value(BASE, name, 8)


def test_a_rule_of_a_layer_is_a_field_of_the_papers_optimizer():
    with pytest.raises(UserError, match=r"^optimizer.layers.fc.l2 is a field of optimizer.name=paper, but"):
        specs.with_value(find("omniglot_20way_fast"), "optimizer.layers.fc.l2", 0.1)


def test_another_tag_replaces_the_member_and_keeps_fields_that_both_have():
    network = NetSpec(Conv(units=7, head="linear"))
    assert specs.with_value(network, "tower", "dense") == NetSpec(Dense(units=7, head="linear"))
    data = Omniglot(side=48, background="small1")
    assert specs.with_value(data, "name", "glyphs") == Glyphs(side=48)


def test_the_same_tag_changes_nothing():
    for name in specs.tags_of(Experiment):
        assert specs.with_value(BASE, name, dict(specs.leaves(BASE))[name]) == BASE


def test_a_tag_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(UserError, match="^network.tower=denes is not a choice: take one of convolutional, dense"):
        specs.with_value(BASE, "network.tower", "denes")


@given(st.permutations(["network.width", "network.tower", "optimizer.rate", "optimizer.name", "seed"]))
def test_the_order_of_several_values_does_not_matter(names):
    values = {"network.width": 8, "network.tower": "residual", "optimizer.rate": 0.1, "optimizer.name": "adamw"}
    changed = specs.with_values(BASE, {name: {**values, "seed": 3}[name] for name in names})
    assert (changed.network.tower, changed.optimizer.rate, changed.seed) == (Residual(width=8, units=4096), 0.1, 3)


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda experiment: experiment.name)
def test_leaves_are_the_plain_values_and_one_tag_for_each_union(experiment):
    def count(value) -> int:
        return sum(map(count, value.values())) if isinstance(value, dict) else 1

    names = [name for name, _ in specs.leaves(experiment)]
    assert len(names) == len(set(names)) == count(dataclasses.asdict(experiment)) + len(specs.tags_of(Experiment))
    assert set(names) <= set(all_fields())


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda experiment: experiment.name)
def test_an_experiment_is_read_back_from_its_nested_values(experiment):
    assert specs.from_nested(Experiment, specs.to_nested(experiment)) == experiment


def test_every_field_has_one_type_in_all_members_that_have_it():
    for tag in specs.tags_of(Experiment):
        assert specs.every_field(Experiment)[tag].kind is str
    kinds = all_fields()
    for experiment in EXPERIMENTS.values():
        assert all(kinds[name] is type(value) for name, value in specs.leaves(experiment))
    assert {"network.hidden", "network.width", "network.conv1.pool", "optimizer.layers.dense1.l2"} <= set(kinds)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("batch_size", 0),
        ("batch_size", 2**31),
        ("batch_size", 2.0),
        ("optimizer.decay", float("nan")),
        ("optimizer.decay", "high"),
        ("optimizer.layers.fc.learning_rate", float("inf")),
        ("optimizer.layers.fc.momentum", 1.5),
        ("optimizer.layers.fc.l2", -0.1),
        ("distort.probability", 1.01),
        ("distort.scale", 1.0),
        ("data.name", "imagenet"),
        ("network.initialiser", "papper"),
        ("network.conv3.filters", 0),
        ("data.batch_drawers", 0),
        ("data.redraw", 1),
        ("data.side", -1),
        ("distort.elastic_scale", 0),
        ("optimizer.average", 1.0),
        ("evaluation.views", 0),
        ("network.head", "tanh"),
        ("loss.name", "one_way"),
    ],
)
def test_check_names_the_field_and_the_value_that_no_run_could_use(name, value):
    with pytest.raises(UserError, match=f"^{name}={value}"):
        specs.check(specs.with_value(BASE, name, value))


@pytest.mark.parametrize(("name", "value"), [("optimizer.warmup", 1.0), ("network.normalisation", "batch")])
def test_check_looks_into_members(name, value):
    with pytest.raises(UserError, match=f"^{name}={value}"):
        specs.check(specs.with_value(find("omniglot_20way_fast"), name, value))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_registered_experiment_passes_the_check(name):
    specs.check(find(name))


def test_the_side_of_the_images_is_the_one_asked_for_or_what_blocks_leave():
    assert Omniglot().image_shape == (105, 105, 1)
    assert Omniglot(downsample=3).image_shape == (35, 35, 1)
    assert Omniglot(side=48).image_shape == (48, 48, 1)


def test_specs_share_their_images_where_only_pairs_and_batches_differ():
    assert Omniglot(side=48).source == Omniglot(side=48, train_pairs=4, rotations=True, batch_drawers=2).source
    others = [Omniglot(), Omniglot(downsample=3), Omniglot(side=48, background="small1"), Glyphs(side=48)]
    assert len({spec.source for spec in [Omniglot(side=48), *others]}) == 5


@pytest.fixture
def members(monkeypatch):
    """Return the towers; those that a test adds are gone after it."""
    monkeypatch.setattr(Tower, "variants", dict(Tower.variants))
    return Tower.variants


def test_a_new_member_is_a_subclass_with_a_name(members):
    @dataclass(frozen=True)
    class Tiny(Tower):
        name = "tiny"
        depth: int = 2

    assert members["tiny"] is Tiny
    changed = specs.with_values(BASE, {"network.depth": 3, "network.tower": "tiny"})
    assert changed.network.tower == Tiny(3)
    assert specs.from_nested(Experiment, specs.to_nested(changed)) == changed
    with pytest.raises(UserError, match="network.depth is a field of network.tower=tiny"):
        specs.with_value(BASE, "network.depth", 3)


def test_two_members_with_a_field_of_one_name_are_refused(members):
    @dataclass(frozen=True)
    class Clashing(Tower):
        name = "clashing"
        initialiser: str = "mine"

    with pytest.raises(UserError, match="network.initialiser is a field of two members"):
        specs.check(specs.with_value(BASE, "network.tower", "clashing"))
