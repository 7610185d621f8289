"""Optional libraries of the package: which extra installs them, and one sentence where they are missing."""

import importlib.util

from siamese_jax.errors import UserError

LIBRARIES = {
    "data": ("array_record", "importlib_resources", "matplotlib", "tensorflow_datasets"),
    "report": ("markdown_it", "matplotlib", "sklearn"),
    "search": ("optuna",),
    "postgresql": ("psycopg",),
    "export": ("onnx", "onnxruntime", "safetensors"),
    "serve": ("fastapi", "prometheus_client", "python_multipart", "uvicorn"),
}
"""The modules that each extra of pyproject.toml installs."""


def require(extra: str) -> None:
    """Raise UserError unless every library of `extra` (a key of LIBRARIES) can be imported."""
    missing = [name for name in LIBRARIES[extra] if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed: "
            f"run pip install 'siamese_jax[{extra}]'"
        )
