"""What decides bits is recorded and compared; settings that change every result are refused."""

import os
from dataclasses import replace

import jax
import jaxlib
import pytest
from tiny import make_experiment

from siamese_jax import checks, devices, keys
from siamese_jax import environment as environments
from siamese_jax.environment import differences, environment
from siamese_jax.errors import UserError
from siamese_jax.results import to_json


def test_the_environment_has_the_cores_of_the_process_and_of_the_machine_and_the_versions(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    found = environment()
    assert (found.cores, found.machine_cores, found.devices) == (3, 64, jax.device_count())
    assert (found.jax, found.jaxlib, found.x64) == (jax.__version__, jaxlib.__version__, False)
    assert found.processor
    monkeypatch.delattr(os, "sched_getaffinity")
    assert devices.usable_cores() == 64


def test_settings_that_are_not_at_their_defaults_are_recorded(monkeypatch):
    for name in ("XLA_FLAGS", "NPROC"):
        monkeypatch.setenv(name, "3")
    monkeypatch.delenv("LIBTPU_INIT_ARGS", raising=False)
    with jax.default_matmul_precision("bfloat16"):
        settings = environment().settings
    assert settings["XLA_FLAGS"] == settings["NPROC"] == "3"
    assert settings["jax_default_matmul_precision"] == "bfloat16"
    assert "jax_default_matmul_precision" not in environment().settings
    assert "jax_disable_jit" not in settings
    assert "LIBTPU_INIT_ARGS" not in settings


@pytest.mark.parametrize(
    ("name", "value", "usual"),
    [
        ("jax_enable_x64", True, False),
        ("jax_threefry_partitionable", False, True),
        ("jax_random_seed_offset", 7, 0),
        ("jax_numpy_dtype_promotion", "strict", "standard"),
    ],
)
def test_settings_that_change_every_result_are_refused(name, value, usual):
    jax.config.update(name, value)
    try:
        with pytest.raises(UserError, match=f"{name.upper()} is {value}, .*unset this variable"):
            checks.check_experiment(make_experiment())
    finally:
        jax.config.update(name, usual)
    checks.check_experiment(make_experiment())


@pytest.mark.parametrize(
    ("name", "value"), [("jax_no_execution", True), ("jax_transfer_guard_host_to_device", "disallow")]
)
def test_settings_with_which_jax_computes_nothing_are_refused(monkeypatch, name, value):
    monkeypatch.setattr(environments, "_config", lambda asked, default: value if asked == name else default)
    with pytest.raises(UserError, match=f"{name.upper()} is {value}, and JAX can compute nothing"):
        environments.check_settings()


def test_another_generator_as_the_default_of_jax_changes_no_random_number():
    numbers = jax.random.bits(keys.root_key(3), (4,))
    with jax.default_prng_impl("rbg"):
        assert (jax.random.bits(keys.root_key(3), (4,)) == numbers).all()
    assert (jax.random.bits(jax.random.key(3), (4,)) == numbers).all()


def test_only_what_changes_bits_is_a_difference():
    here = environment()
    before = to_json(replace(here, python="2.7", machine_cores=1))
    assert differences(before, here) == ""
    assert differences({}, here) == ""  # a checkpoint of an earlier version
    before |= {"jax": "0.1", "cores": 0, "settings": here.settings | {"NPROC": "3"}}
    words = f"jax was 0.1 and is {here.jax}, cores was 0 and is {here.cores}, NPROC was 3 and is not set"
    assert differences(before, here) == words
