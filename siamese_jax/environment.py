"""What decides the bits of a result beside the experiment: software, machine, and settings of JAX and XLA."""

import os
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import jax

from siamese_jax import __version__
from siamese_jax.devices import check_process, system_text, usable_cores
from siamese_jax.errors import UserError
from siamese_jax.results import Environment, to_json

REQUIRED = {
    "jax_enable_x64": False,
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_numpy_dtype_promotion": "standard",
}
"""Settings of JAX that change random numbers, or how numbers of two types are computed: other values are refused."""
SETTINGS = {
    "jax_default_matmul_precision": None,
    "jax_disable_jit": False,
    "jax_disable_most_optimizations": False,
    "jax_exec_time_optimization_effort": 0.0,
    "jax_threefry_gpu_kernel_lowering": False,
}
"""Settings of JAX that change the last bits, with their defaults: other values are recorded."""
FORBIDDING = (
    "jax_no_tracing", "jax_no_execution", "jax_transfer_guard", "jax_transfer_guard_host_to_device",
    "jax_transfer_guard_device_to_device", "jax_transfer_guard_device_to_host",
)  # fmt: skip
"""Settings of JAX with which it refuses to compute, if they are true or begin with "disallow"."""
VARIABLES = ("XLA_FLAGS", "NPROC", "NVIDIA_TF32_OVERRIDE", "LIBTPU_INIT_ARGS")
"""Variables of the environment that XLA reads. It takes NPROC for the number of its threads."""
NOT_OF_BITS = ("python", "machine_cores")
"""Fields of Environment that do not change a bit."""


def environment() -> Environment:
    """Return the software, the machine and the settings of this process."""
    settings = {name: str(value) for name, default in SETTINGS.items() if (value := _config(name, default)) != default}
    return Environment(
        siamese_jax=__version__,
        jax=jax.__version__,
        python=platform.python_version(),
        backend=jax.default_backend(),
        device=jax.devices()[0].device_kind,
        devices=jax.device_count(),
        cores=usable_cores(),
        x64=bool(_config("jax_enable_x64", False)),
        jaxlib=version("jaxlib"),
        processor=_processor(),
        machine_cores=os.cpu_count() or usable_cores(),
        settings=settings | {name: os.environ[name] for name in VARIABLES if os.environ.get(name)},
    )


def check_settings() -> None:
    """Raise UserError where JAX cannot run, or has a setting with which no result would be that of the experiment."""
    check_process()
    _check_can_run()
    for name, value in REQUIRED.items():
        if (given := _config(name, value)) != value:
            raise UserError(
                f"{name.upper()} is {given}, and no experiment gives its results with that: unset this variable, or "
                f'call jax.config.update("{name}", {value!r}) in your program'
            )


def _check_can_run() -> None:
    """Raise UserError where JAX must not compute, or must not move arrays: each would end in a traceback."""
    for name in FORBIDDING:
        given = _config(name, None)
        if given is True or (isinstance(given, str) and given.startswith("disallow")):
            raise UserError(
                f"{name.upper()} is {given}, and JAX can compute nothing with that: unset this variable, or call "
                f'jax.config.update("{name}", {None if isinstance(given, str) else False}) in your program'
            )


def differences(before: Mapping[str, Any], now: Environment) -> str:
    """Return what changes bits between two environments, in words; "" if nothing does.

    Args:
      before: the earlier one, as JSON holds it. A field that it lacks is not compared.
      now: the later one.
    """
    return ", ".join(_differences(before, to_json(now)))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, value in now.items():
        if name == "settings" and name in before:
            for setting in sorted(before[name].keys() | value.keys()):
                was, is_ = (one.get(setting, "not set") for one in (before[name], value))
                if was != is_:
                    yield f"{setting} was {was} and is {is_}"
        elif name not in NOT_OF_BITS and before.get(name, value) != value:
            yield f"{name} was {before[name]} and is {value}"


def _config(name: str, default: Any) -> Any:
    """Return a setting of JAX; `default` where this version of JAX has no setting of that name."""
    return getattr(jax.config, name, default)


def _processor() -> str:
    """Return the model of the processor: programs for one that knows other instructions round differently."""
    lines = system_text("/proc/cpuinfo").splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())
