"""What cannot fit into memory is refused before anything is compiled."""

from dataclasses import replace

import pytest
from tiny import make_experiment

from siamese_jax import checks
from siamese_jax.devices import Limit
from siamese_jax.errors import UserError
from siamese_jax.experiments import EXPERIMENTS, find
from siamese_jax.specs import with_value, with_values
from siamese_jax.training import memory

GB = 10**9


@pytest.fixture(autouse=True)
def limit(monkeypatch):
    """A function that sets the memory of the machine; 16 GB at first."""

    def set_to(number):
        monkeypatch.setattr(memory, "memory_limit", lambda: number and Limit(number, "this machine has"))

    set_to(16 * GB)
    return set_to


def test_the_papers_network_is_counted_as_it_is_published():
    sizes = memory._parameters(find("omniglot_20way").network, (105, 105, 1))
    assert sum(sizes.values()) == 4 * 38_951_745


def test_every_experiment_fits_an_ordinary_machine():
    for experiment in EXPERIMENTS.values():
        if experiment.method == "siamese" and min(experiment.data.image_shape) > 0:
            memory.check_network(experiment)
            memory.check_batches(experiment)


def test_a_network_that_cannot_fit_is_refused_with_the_figure():
    experiment = with_value(find("glyphs_20way"), "network.units", 2_000_000_000)
    with pytest.raises(UserError, match="at least 16,448 GB of memory, and this machine has 16 GB.*network.units"):
        memory.check_network(experiment)


def test_a_network_that_just_fits_is_not_refused(limit):
    experiment = make_experiment()
    needed = memory.COPIES * sum(memory._parameters(experiment.network, experiment.data.image_shape).values())
    limit(needed)
    memory.check_network(experiment)
    limit(needed - 1)
    with pytest.raises(UserError, match="at least 0.00"):
        memory.check_network(experiment)


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("glyphs_20way", {"batch_size": 10**7, "data.train_pairs": 10**8}, "20,000,000 images .*lower --batch_size"),
        ("omniglot_20way_fast", {"data.batch_characters": 10**6}, "lower --data.batch_characters"),
        ("glyphs_20way", {"evaluation.embed_batch": 10**8}, "612 GB of memory.*lower --evaluation.embed_batch"),
    ],
)
def test_a_batch_that_cannot_fit_is_refused_by_its_field(name, fields, said):
    with pytest.raises(UserError, match=said):
        memory.check_batches(with_values(find(name), fields))


def test_nothing_is_refused_where_the_memory_is_not_known(limit):
    limit(None)
    experiment = with_values(find("glyphs_20way"), {"network.units": 10**12, "evaluation.embed_batch": 10**9})
    memory.check_network(experiment)
    memory.check_batches(experiment)


def test_training_checks_it_before_it_looks_at_the_images(monkeypatch):
    experiment = replace(make_experiment(), batch_size=10**9)
    with pytest.raises(UserError, match="of memory"):
        checks.check_training(experiment, {})
