"""Files from outside: somebody else's runs, networks, galleries and pictures, damaged or made to do harm."""

import json
import os
import random
import resource
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from campaign import DERIVED, TINY, Command, digests, nothing_lost
from hostile_pictures import PICTURES, drawing
from mutations import mutations

SECRET = "a secret that no report may show"
REPORTS = ("report.md", "report.html", "lock")
MEMORY = 6 << 30
"""Bytes of addresses that a command may use where a file would take more."""


def limited() -> None:
    """Let a process use MEMORY; call it before the command starts."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def replace(path: Path, how: str) -> None:
    """Put something else in the place of a file."""
    path.unlink()
    match how:
        case "a folder":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case "an endless device":
            path.symlink_to("/dev/zero")
        case "a terabyte":
            path.touch()
            os.truncate(path, 1 << 40)
        case "deep JSON":
            path.write_text('{"a":' * 1_000_000)
        case "nothing":
            path.touch()
        case "noise":
            path.write_bytes(random.Random(0).randbytes(1000))


KINDS = ("a folder", "a pipe", "an endless device", "a terabyte", "deep JSON", "nothing", "noise")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["results.json", "experiment.json", "metrics.jsonl"])
def test_a_changed_field_of_a_run_is_reported_or_refused_by_name(finished, command, name, seed):
    path = finished / name
    lines = path.read_text().splitlines() if name == "metrics.jsonl" else []
    value = [json.loads(line) for line in lines] if lines else json.loads(path.read_text())
    *_, (_, damaged) = mutations(value, 10, seed)
    path.write_text("".join(json.dumps(row) + "\n" for row in damaged) if lines else json.dumps(damaged))
    with nothing_lost(finished, REPORTS):
        outcome = command("--mode=report", f"--workdir={finished}").survived(0, 2)
    if outcome.code:
        outcome.says(str(path))


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize("name", ["results.json", "trials.npz"])
def test_something_else_in_the_place_of_a_file_of_a_run_is_refused(finished, command, name, how):
    replace(finished / name, how)
    with nothing_lost(finished, (name, *REPORTS)):
        command("--mode=report", f"--workdir={finished}", preexec_fn=limited).survived(2).says(name)


@pytest.fixture
def secret(tmp_path) -> Path:
    path = tmp_path / "secret.png"
    path.write_bytes(drawing() + SECRET.encode())
    return path


@pytest.mark.parametrize("form", ["![x]({})", "<img src='{}'>", "[x]: {}\n\n![x]", "<script src='{}'></script>", "{}"])
def test_text_of_a_run_is_never_markup_nor_a_path_to_read(finished, command, secret, form):
    text = form.format(secret)
    results = json.loads((finished / "results.json").read_text())
    results |= {"experiment": text, "command": text, "not_measured": {text: text}}
    for one in results["data"]["sets"].values():
        one["groups"] = [text]
    results["data"]["words"] = {"group": text, "class_": text, "author": text}
    (finished / "results.json").write_text(json.dumps(results))
    (finished / "training.png").unlink()
    (finished / "training.png").symlink_to(secret)
    with nothing_lost(finished, REPORTS):
        command("--mode=report", f"--workdir={finished}").survived(0)
    page = (finished / "report.html").read_text()
    assert drawing().hex()[:64] not in page
    assert page.count("<img") == page.count("data:image/png") < len(list(finished.glob("*.png")))
    assert "<script" not in page
    assert 'src="/' not in page


@pytest.mark.parametrize("text", ["\x1b]0;title\x07\x1b[2J", "a\nb\rc", "\x9b31m", "\u202egnp.exe", "\udcff"])
def test_names_give_no_orders_to_a_terminal(tmp_path, command, text):
    folder = tmp_path / "pictures" / "class"
    folder.mkdir(parents=True)
    (folder / "good.png").write_bytes(drawing())
    (folder / f"{text}.png").write_bytes(b"")
    for words in (["--json"], []):
        outcome = command("enrol", folder.parent, f"--gallery={tmp_path / 'g'}", *words).survived(0).says("is empty")
        assert not [one for one in outcome.out + outcome.err if not one.isprintable() and one != "\n"]


@pytest.mark.parametrize("part", range(4))
def test_hostile_pictures_are_skipped_and_named(tmp_path, command, part):
    folder = tmp_path / "pictures" / "class"
    folder.mkdir(parents=True)
    (folder / "good.png").write_bytes(drawing())
    made = [what for number, what in enumerate(PICTURES) if number % 4 == part]
    for number, what in enumerate(made):
        (folder / f"{number}.png").write_bytes(PICTURES[what]())
    os.mkfifo(folder / "pipe.png")
    (folder / "device.png").symlink_to("/dev/zero")
    outcome = command("enrol", folder.parent, f"--gallery={tmp_path / 'g'}", preexec_fn=limited).survived(0)
    outcome.says("skipped")
    assert "Warning" not in outcome.err
    assert outcome.seconds < 60


@pytest.mark.parametrize("what", ["60,000 × 60,000 PNG", "EPS", "PNG with 5 MB of text", "half a JPEG"])
def test_a_hostile_picture_that_is_named_is_refused(tmp_path, command, what):
    (tmp_path / "good.png").write_bytes(drawing())
    (tmp_path / "bad.png").write_bytes(PICTURES[what]())
    command("verify", tmp_path / "good.png", tmp_path / "bad.png", preexec_fn=limited).survived(2).says("bad.png")


@pytest.fixture
def network(tmp_path) -> Path:
    """A copy of the network that comes with the package, as somebody would send it."""
    import siamese_jax

    return Path(shutil.copytree(Path(siamese_jax.__file__).parent / "weights" / "best", tmp_path / "network"))


def change_card(folder: Path) -> None:
    path = folder / "card.json"
    *_, (_, damaged) = mutations(json.loads(path.read_text()), 3, seed=5)
    path.write_text(json.dumps(damaged))


def change_experiment(folder: Path) -> None:
    path = folder / "experiment.json"
    written = json.loads(path.read_text())
    written["network"]["units"] = 2**31 - 1
    path.write_text(json.dumps(written))


NETWORKS: dict[str, Callable[[Path], None]] = {
    "a card with another field": change_card,
    "an experiment of another size": change_experiment,
    "parameters of 10 GB": lambda folder: os.truncate(folder / "params.npz", 10 << 30),
    "no parameters": lambda folder: (folder / "params.npz").unlink(),
    "parameters from a pipe": lambda folder: replace(folder / "params.npz", "a pipe"),
    "a card from a device": lambda folder: replace(folder / "card.json", "an endless device"),
    "a card without end": lambda folder: replace(folder / "card.json", "deep JSON"),
}


@pytest.mark.parametrize("what", NETWORKS)
def test_a_damaged_network_is_refused_by_its_file(tmp_path, network, command, what):
    NETWORKS[what](network)
    before = digests(network) if "10 GB" not in what else {}
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(drawing())
    outcome = command("verify", tmp_path / "a.png", tmp_path / "b.png", f"--checkpoint={network}", preexec_fn=limited)
    outcome.survived(2).says(str(network))
    assert before == (digests(network) if before else {})


@pytest.fixture(scope="session")
def enrolled(once, programs) -> Path:
    """A gallery with one picture, in its folder."""

    def build(folder):
        (folder / "class").mkdir()
        (folder / "class" / "a.png").write_bytes(drawing())
        Command(folder.parent, programs)("enrol", folder, f"--gallery={folder / 'g'}").survived(0)

    return once("enrolled", build)


GALLERIES = {
    "a view": ["DROP TABLE pictures", "CREATE VIEW pictures AS SELECT 1 id"],
    "a trigger": ["CREATE TRIGGER t AFTER DELETE ON pictures BEGIN DELETE FROM about; END"],
    "another application": ["PRAGMA application_id = 1196444487"],
    "a name of bytes": ["UPDATE pictures SET class_name = x'ff00'"],
    "an image of 60 MB": ["UPDATE pictures SET image = zeroblob(60000000)"],
    "an embedding of 60 MB": ["UPDATE pictures SET embedding = zeroblob(60000000)"],
    "no network": ["DELETE FROM about"],
    "a size of words": ["UPDATE about SET embedding_size = 'many'"],
}


@pytest.mark.parametrize("what", [*GALLERIES, *KINDS])
def test_a_hostile_gallery_is_refused_and_stays(tmp_path, enrolled, command, what):
    place = Path(shutil.copy(enrolled / "g", tmp_path / "g"))
    if what in GALLERIES:
        with closing(sqlite3.connect(place, isolation_level=None)) as database:
            for statement in GALLERIES[what]:
                database.execute(statement)
    else:
        replace(place, what)
    outcome = command("identify", enrolled / "class" / "a.png", f"--gallery={place}", preexec_fn=limited)
    if what == "an image of 60 MB":
        outcome.survived(0)  # only its embedding is used
        outcome = command("gallery", "check", f"--gallery={place}", preexec_fn=limited).survived(0)
    else:
        outcome.survived(2)
    outcome.says(str(place))
    assert os.path.lexists(place)


@pytest.mark.parametrize("how", KINDS)
def test_something_else_in_the_place_of_a_table_is_refused(tmp_path, pictures, command, how):
    table = tmp_path / "table.csv"
    table.touch()
    replace(table, how)
    flags = [flag for flag in TINY if not flag.startswith("--data.path")]
    outcome = command(*flags, f"--data.table={table}", f"--workdir={tmp_path / 'run'}", preexec_fn=limited)
    outcome.survived(2).says("table.csv")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("how", ["a terabyte", "a pipe", "noise"])
def test_the_list_of_a_runs_pictures_is_read_with_bounds(finished, command, how):
    replace(finished / "images.csv", how)
    with nothing_lost(finished, ("images.csv", *DERIVED)):
        command("--mode=evaluate", f"--workdir={finished}", preexec_fn=limited).survived(2).says("images.csv")
