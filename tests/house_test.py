"""The structure of the package, and what importing it costs."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "siamese_jax"
LAYERS = {
    "shared by all": {"errors", "experiments", "extras", "keys", "printable", "published"}
    | {"records", "results", "specs"},
    "pure functions": {"images", "learning", "network", "sampling", "statistics"},
    "input and output": {"data", "devices", "environment", "interrupts", "pages"}
    | {"plots", "report", "storage", "terminal"},
    "jobs": {"checks", "evaluation", "export", "gallery", "pretrained", "runs", "search", "serve", "training"},
    "command line": {"__init__", "__main__", "command", "main"},
}
ORDER = list(LAYERS)
LAYER = {room: ORDER.index(layer) for layer, rooms in LAYERS.items() for room in rooms}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Returns the rooms that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in found if name and name.startswith("siamese_jax")]
    return {part[1] for part in parts if len(part) > 1 and part[1] in LAYER} - {room_of(path)}


FILES = sorted(PACKAGE.rglob("*.py"))
IMPORTS = {room: set() for room in map(room_of, FILES)}
for file in FILES:
    IMPORTS[room_of(file)] |= imports_of(file)


def test_every_file_is_in_a_layer():
    assert set(IMPORTS) == set(LAYER)


def test_imports_never_go_up():
    breaches = [(a, b) for a, used in IMPORTS.items() for b in used if LAYER[b] > LAYER[a]]
    assert breaches == []


def test_imports_within_a_layer_never_form_a_circle():
    seen = {}

    def visit(room: str, path: tuple[str, ...]) -> None:
        assert room not in path, f"circle: {' -> '.join([*path, room])}"
        if room not in seen:
            for used in IMPORTS[room]:
                visit(used, (*path, room))
            seen[room] = True

    for room in IMPORTS:
        visit(room, ())


def test_pure_functions_have_no_files_flags_clock_logging_or_jit():
    forbidden = {"os", "pathlib", "absl", "time", "logging", "io", "sys"}
    for path in FILES:
        if LAYER[room_of(path)] > ORDER.index("pure functions"):
            continue
        source = path.read_text()
        roots = {
            alias.name.split(".")[0]
            for n in ast.walk(ast.parse(source))
            if isinstance(n, ast.Import)
            for alias in n.names
        }
        assert not roots & forbidden, path
        assert "jax.jit" not in source, path


def test_only_jobs_call_jit():
    users = {room_of(path) for path in FILES if "jax.jit" in path.read_text()}
    assert users <= LAYERS["jobs"]


def test_importing_the_package_or_asking_for_help_loads_no_jax():
    heavy = {"jax", "flax", "numpy", "matplotlib", "optuna", "sqlalchemy", "tensorflow_datasets"}
    code = f"import sys, siamese_jax, siamese_jax.main; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_module_has_a_test_file():
    tests = Path(__file__).parent
    without = {room for room in LAYER if not (tests / room).is_dir() and not (tests / f"{room}_test.py").exists()}
    assert without <= {"__init__", "__main__", "errors", "published", "records"}
