"""Spaces: what is written is what is searched, and a mistake is told before the first trial."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_jax.errors import UserError
from siamese_jax.experiments import find
from siamese_jax.search.space import Choices, Range, grid, parse, point_of, text_of
from siamese_jax.specs import leaves

BASE = find("omniglot_20way")
RATE = "optimizer.layers.conv1.learning_rate"


@pytest.mark.parametrize(
    ("text", "space"),
    [
        (f"{RATE}=log:1e-4..1e-1", Range(RATE, 1e-4, 0.1, log=True)),
        ("optimizer.decay=0.9..1", Range("optimizer.decay", 0.9, 1.0)),
        ("optimizer.decay=0.8..1:0.1", Range("optimizer.decay", 0.8, 1.0, 0.1)),
        ("network.conv2.filters=16..256:16", Range("network.conv2.filters", 16, 256, 16)),
        ("network.conv2.size=3..20", Range("network.conv2.size", 3, 20, 1)),
        ("network.units=log:128..4096", Range("network.units", 128, 4096, log=True)),
        ("network.energy=weighted_l1,cosine", Choices("network.energy", ("weighted_l1", "cosine"))),
        ("data.redraw=true,false", Choices("data.redraw", (True, False))),
        ("seed=0,1,2", Choices("seed", (0, 1, 2))),
        ("network.conv1.pool=False", Choices("network.conv1.pool", (False,))),
    ],
)
def test_a_space_is_read_as_it_is_written_and_written_as_it_is_read(text, space):
    assert parse([text], BASE) == [space]
    assert parse([text_of(space)], BASE) == [space]


@given(
    st.floats(1e-6, 0.4).map(lambda value: float(f"{value:.3g}")),
    st.floats(0.5, 1.0).map(lambda value: float(f"{value:.3g}")),
    st.booleans(),
)
def test_any_range_survives_being_written(low, high, log):
    space = Range(RATE, low, high, log=log)
    assert parse([text_of(space)], BASE) == [space]


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 50))
def test_the_values_of_steps_begin_at_the_lower_end_and_never_pass_the_upper(low, more, step):
    values = Range("network.conv2.filters", low, low + more, step).values
    assert values[0] == low
    assert values[-1] <= low + more < values[-1] + step
    assert all(b - a == step for a, b in itertools.pairwise(values))


def test_a_range_whose_steps_are_no_exact_numbers_has_its_upper_end():
    values = Range("optimizer.decay", 0.1, 0.7, 0.1).values
    assert len(values) == 7
    assert math.isclose(values[-1], 0.7)
    assert Range("optimizer.decay", 0.1, 0.3, 0.1).values[-1] == 0.3  # and not beyond it, as 0.1 + 2 * 0.1 is


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("network.conv2.filter=1..2", "not a field of omniglot_20way to search: did you mean network.conv2.filters"),
        ("nonsense", "not FIELD=SPACE"),
        ("name=a,b", "not a field"),
        ("method=siamese,baselines", "not a field"),
        ("max_epochs=2,8", "not a field of omniglot_20way to search"),
        ("evaluation.n_way=2..20", "not a field of omniglot_20way to search"),
        ("data.drawer_split=paper,official", "not a field of omniglot_20way to search"),
        ("optimizer.decay=1..0.5", "is empty"),
        ("optimizer.decay=0.5..0.5", "is empty"),
        ("optimizer.decay=0.5..nan", "not finite"),
        ("optimizer.decay=0.5..inf", "not finite"),
        ("optimizer.decay=0.5..", "is not a number"),
        ("optimizer.decay=low..high", "is not a number"),
        ("optimizer.decay=0.5..1.5", "decay=1.5 is out of range"),
        ("optimizer.decay=0.5..1:0", "no such step"),
        ("optimizer.decay=0.5..1:0.7", "no such step"),
        (f"{RATE}=log:0..1", "begin above 0"),
        (f"{RATE}=log:1e-3..1:0.1", "leave steps out"),
        (f"{RATE}=log:1e-3", "no range"),
        ("network.conv2.filters=16..25.5", "is not a whole number"),
        ("network.energy=a..b", "give choices"),
        ("network.energy=weighted_l1,manhattan", "manhattan is not a choice"),
        ("network.energy=cosine,cosine", "a value twice"),
        ("data.redraw=true,maybe", "is not true or false"),
        ("network.conv1.size=0,3", "size=0 is out of range"),
        ("network.energy=", "is not a word"),
    ],
)
def test_a_mistake_is_told_with_what_to_write_instead(text, why):
    with pytest.raises(UserError, match=why):
        parse([text], BASE)


def test_a_field_is_searched_once():
    with pytest.raises(UserError, match="given twice"):
        parse(["optimizer.decay=0.5..1", "optimizer.decay=0.9,1"], BASE)


def test_a_grid_has_every_combination_once():
    spaces = parse(["seed=0,1", "network.conv2.filters=16..48:16", "data.redraw=true,false"], BASE)
    points = grid(spaces)
    assert len(points) == 2 * 3 * 2
    assert len({tuple(point.items()) for point in points}) == len(points)
    assert points[0] == {"seed": 0, "network.conv2.filters": 16, "data.redraw": True}


def test_an_endless_grid_is_refused_with_what_would_end_it():
    with pytest.raises(UserError, match=r"decay has infinitely many values.*0.9..1:STEP"):
        grid(parse(["optimizer.decay=0.9..1"], BASE))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("optimizer.decay=0.5..1", True),
        ("optimizer.decay=0.5..0.8", False),
        ("seed=0..4:2", True),
        ("optimizer.decay=0.9..0.99:0.03", True),
        ("optimizer.decay=0.9..0.98:0.04", False),
        ("seed=1..5:2", False),
        ("network.energy=weighted_l1,cosine", True),
        ("network.energy=euclidean,cosine", False),
    ],
)
def test_an_experiments_own_values_are_a_point_where_every_space_holds_its_own(text, holds):
    spaces = parse([text, "data.redraw=true,false"], BASE)
    field = text.split("=")[0]
    own = {name: value for name, value in leaves(BASE) if name in (field, "data.redraw")}
    assert point_of(spaces, BASE) == (own if holds else None)
