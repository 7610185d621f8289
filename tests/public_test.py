"""The public interface: every name is there, documented, and imported only when it is used."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import siamese_jax

TREE = ast.parse(Path(siamese_jax.__file__).read_text())
NAMES = [name for name in siamese_jax.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_can_be_imported_and_has_a_docstring_of_its_own(name):
    value = getattr(siamese_jax, name)
    assert value.__doc__
    assert value.__doc__.partition("\n")[0].endswith((".", ":"))
    assert not value.__doc__.startswith(f"{name}(")  # what dataclasses and NamedTuples write where nobody has


@pytest.mark.parametrize("name", NAMES)
def test_every_public_method_has_a_docstring(name):
    value = getattr(siamese_jax, name)
    methods = [method for method in vars(value) if not method.startswith("_")] if isinstance(value, type) else []
    fields = getattr(value, "__annotations__", {})
    assert [method for method in methods if method not in fields and not getattr(value, method).__doc__] == []


def test_what_is_listed_is_what_type_checkers_and_dir_see():
    (block,) = [node for node in TREE.body if isinstance(node, ast.If)]  # TYPE_CHECKING
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert sorted(NAMES) == sorted(seen)
    assert seen == {name: f"siamese_jax.{module}" for name, module in siamese_jax._MODULES.items()}
    assert dir(siamese_jax) == sorted(siamese_jax.__all__)
    assert siamese_jax.__all__ == sorted(siamese_jax.__all__)
    assert (Path(siamese_jax.__file__).parent / "py.typed").exists()


def test_a_name_is_what_its_module_defines():
    for name in NAMES:
        module = importlib.import_module(f"siamese_jax.{siamese_jax._MODULES[name]}")
        assert getattr(siamese_jax, name) is getattr(module, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'siamese_jax' has no attribute 'load_pretraned'"):
        _ = siamese_jax.load_pretraned
    with pytest.raises(ImportError, match="cannot import name 'load_pretraned'"):
        from siamese_jax import load_pretraned  # noqa: F401


def test_importing_the_package_is_light_and_names_load_what_they_need():
    code = """if True:
        import sys
        import time
        start = time.process_time()
        import siamese_jax
        seconds = time.process_time() - start
        from siamese_jax import UserError, __version__
        heavy = {"jax", "numpy", "PIL", "flax", "absl"} & set(sys.modules)
        siamese_jax.read_image
        print(seconds, sorted(heavy), "PIL" in sys.modules, "jax" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, heavy, pillow, _ = done.stdout.split()
    assert float(seconds) < 0.3
    assert (heavy, pillow) == ("[]", "True")
