"""One-shot learning with siamese networks in JAX, after Koch, Zemel and Salakhutdinov (2015).

The names of `__all__` are the public interface. Each is imported when it is first used, so that `import siamese_jax`
loads neither JAX nor numpy.
"""

import importlib
from typing import TYPE_CHECKING

import siamese_jax.devices  # noqa: F401  # it notes from now on whether JAX had started when a process is forked

if TYPE_CHECKING:
    from siamese_jax.errors import UserError
    from siamese_jax.experiments import find
    from siamese_jax.export import export_model
    from siamese_jax.gallery import Gallery
    from siamese_jax.pretrained import Model, load_pretrained
    from siamese_jax.records import Dataset, Images
    from siamese_jax.report.compare import compare_runs
    from siamese_jax.runs import Run, measure_baselines, open_checkpoint, open_run, resume, train
    from siamese_jax.search.conduct import run_search
    from siamese_jax.search.plan import make_plan
    from siamese_jax.specs import Experiment
    from siamese_jax.storage.image_files import read_image

__version__ = "0.1.0"

__all__ = [
    "Dataset",
    "Experiment",
    "Gallery",
    "Images",
    "Model",
    "Run",
    "UserError",
    "__version__",
    "compare_runs",
    "export_model",
    "find",
    "load_pretrained",
    "make_plan",
    "measure_baselines",
    "open_checkpoint",
    "open_run",
    "read_image",
    "resume",
    "run_search",
    "train",
]
_MODULES = {
    "Dataset": "records",
    "Experiment": "specs",
    "Gallery": "gallery",
    "Images": "records",
    "Model": "pretrained",
    "Run": "runs",
    "UserError": "errors",
    "compare_runs": "report.compare",
    "export_model": "export",
    "find": "experiments",
    "load_pretrained": "pretrained",
    "make_plan": "search.plan",
    "measure_baselines": "runs",
    "open_checkpoint": "runs",
    "open_run": "runs",
    "read_image": "storage.image_files",
    "resume": "runs",
    "run_search": "search.conduct",
    "train": "runs",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
