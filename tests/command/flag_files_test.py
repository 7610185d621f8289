"""Flag files, as people and editors write them."""

import re
from pathlib import Path

import pytest
from absl import flags as absl_flags

from siamese_jax.command import flags, usual_names, verbs
from siamese_jax.command.flag_files import expanded
from siamese_jax.errors import UserError

FOLDER = Path(__file__).parents[2] / "experiments"


def read(path: Path, content: str | bytes) -> list[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return expanded([f"--flagfile={path}"])


@pytest.mark.parametrize(
    ("line", "wanted"),
    {
        "--seed=3": ["--seed=3"],
        "  --seed=3  ": ["--seed=3"],
        "\t--seed=3 # a note": ["--seed=3"],
        "--seed=3\t# a note": ["--seed=3"],
        "--seed=3 #note": ["--seed=3"],
        "--seed 3": ["--seed=3"],
        "--seed 3 # note": ["--seed=3"],
        "--seed = 3": ["--seed=3"],
        "-seed=3": ["-seed=3"],
        "--seed=-3": ["--seed=-3"],
        "--seed -3": ["--seed=-3"],
        "--list": ["--list"],
        "--list # note": ["--list"],
        "--nomultivariate": ["--nomultivariate"],
        "--study=": ["--study="],
        "--study= # none": ["--study="],
        '--study=""': ["--study="],
        "--only=#1": ["--only=#1"],
        "--only=a#1.png": ["--only=a#1.png"],
        "--only='a #1.png' # note": ["--only=a #1.png"],
        '--only="a #1.png"': ["--only=a #1.png"],
        '--only "a #1"': ["--only=a #1"],
        '--only="it\'s" # its note': ["--only=it's"],
        "--only=it's # its note": ["--only=it's"],
        '--only="a': ['--only="a'],
        "--data.path=/my pictures/x": ["--data.path=/my pictures/x"],
        "--data.path=/my  pictures": ["--data.path=/my  pictures"],
        '--data.path="/my --pictures"': ["--data.path=/my --pictures"],
        "--seed=3 --max_epochs=4": ["--seed=3", "--max_epochs=4"],
        "--list --seed 3 # note --max_epochs=4": ["--list", "--seed=3"],
        "--seed=3 \\": ["--seed=3"],
        "--list \\": ["--list"],
        "--storage=postgresql://a@b/c": ["--storage=postgresql://a@b/c"],
        "--search=network.units=16..256:16": ["--search=network.units=16..256:16"],
        "# note": [],
        "   # note": [],
        "// note": [],
        "   ": [],
    }.items(),
)
def test_a_line_becomes_flags(tmp_path, line, wanted):
    assert read(tmp_path / "x.flags", line) == wanted


@pytest.mark.parametrize("line", ["seed=3", "--", "--3=a", "--seed:3", "=3", "python -m siamese_jax.main --seed=3"])
def test_what_is_no_flag_is_a_sentence_with_its_place(tmp_path, line):
    with pytest.raises(UserError, match=r"x\.flags:3: .* is not a flag: flags are written --name=value"):
        read(tmp_path / "x.flags", f"--seed=3\n\n{line}\n")


TEXT = "# note\n--seed=3 # é\n\n--max_epochs=4\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.replace("\n", "\r\n").encode("utf-8-sig"),
        TEXT.replace("\n", "\r").encode(),
        TEXT.rstrip("\n").encode(),
    ],
    ids=["plain", "BOM", "UTF-16", "BOM and CRLF", "CR", "no last newline"],
)
def test_every_editor_writes_the_same_flags(tmp_path, content):
    assert read(tmp_path / "x.flags", content) == ["--seed=3", "--max_epochs=4"]


@pytest.mark.parametrize("form", ["--flagfile=", "--flagfile ", "-flagfile=", "--flagfile='", "  --flagfile="])
def test_a_nested_file_is_looked_up_beside_the_file_that_names_it(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    read(tmp_path / "base.flags", "--seed=1\n")  # the wrong one, in the current folder
    read(tmp_path / "a" / "base.flags", "--seed=2\n")
    end = "'" if form.endswith("'") else ""
    assert read(tmp_path / "a" / "b" / "x.flags", f"--list\n{form}../base.flags{end} # note\n--seed=4") == [
        "--list",
        "--seed=2",
        "--seed=4",
    ]


def test_flags_stand_where_their_file_was_named_and_all_spellings_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    read(tmp_path / "x.flags", "--seed=3")
    for words in (["--flagfile", "~/x.flags"], ["-flagfile", str(tmp_path / "x.flags")], ["--flagfile=~/x.flags"]):
        assert expanded(["--a=1", *words, "--b=2"]) == ["--a=1", "--seed=3", "--b=2"]
    assert expanded(["--a", "--", "--flagfile=x"]) == ["--a", "--", "--flagfile=x"]


def test_verbs_read_flag_files_too(tmp_path):
    read(tmp_path / "x.flags", "--only='a #1*' # note\n--gallery=g")
    request = verbs.read_request(["enrol", "d", f"--flagfile={tmp_path / 'x.flags'}"])
    assert (request.only, request.gallery) == ("a #1*", "g")


def test_a_file_that_names_itself_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"x\.flags names itself: take"):
        read(tmp_path / "x.flags", "--flagfile=x.flags")
    (tmp_path / "y.flags").write_text("--flagfile=../" + tmp_path.name + "/x.flags")
    with pytest.raises(UserError, match=r"x\.flags names itself, by way of .*y\.flags"):
        read(tmp_path / "x.flags", "--flagfile=y.flags")


def test_files_that_name_each_other_without_end_are_a_sentence(tmp_path):
    for number in range(1500):
        (tmp_path / str(number)).write_text(f"--flagfile={number + 1}")
    with pytest.raises(UserError, match="more than 20 deep"):
        expanded([f"--flagfile={tmp_path / '0'}"])
    for number in range(15):
        (tmp_path / str(number)).write_text(f"--flagfile={number + 1}\n" * 2)
    (tmp_path / "15").write_text("")
    with pytest.raises(UserError, match="more than 200 in all"):
        expanded([f"--flagfile={tmp_path / '0'}"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/dev/zero", "is not text"),
        ("/dev/urandom", "is not text"),
        ("/", "could not be read: Is a directory"),
        ("/nowhere.flags", "could not be read: No such file"),
        ("/etc/passwd/x", "could not be read: Not a directory"),
        ("x" * 300, "could not be read: File name too long"),
        ("a\0b", "could not be read"),
        ("~nobody-of-that-name/x", "begins with ~"),
        ("", "names no file in the command line"),
        (" ", "names no file in the command line"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(name, words):
    with pytest.raises(UserError, match=re.escape(words)):
        expanded([f"--flagfile={name}"])


def test_a_word_without_a_file_and_a_loop_of_links_are_sentences(tmp_path):
    with pytest.raises(UserError, match="names no file"):
        expanded(["--flagfile"])
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match="could not be read: Too many levels"):
        expanded([f"--flagfile={tmp_path / 'loop'}"])


def test_a_large_or_binary_file_is_a_sentence_and_is_not_read_to_its_end(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.write(b"--seed=3\n" * 200000)
        file.truncate(1 << 30)
    with pytest.raises(UserError, match="larger than 1 MB"):
        expanded([f"--flagfile={tmp_path / 'large'}"])
    for content in (bytes(range(256)), b"--seed=3\0", b"\xff\xfe\x00"):
        with pytest.raises(UserError, match="is not text"):
            read(tmp_path / "binary", content)


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.flags")), ids=lambda path: path.stem)
def test_the_files_of_experiments_hold_what_absl_reads_in_them(path):
    assert expanded([f"--flagfile={path}"]) == absl_flags.FlagValues().read_flags_from_files([f"--flagfile={path}"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lr", "use --optimizer.rate, or --optimizer.layers.LAYER.learning_rate"),
        ("learning-rate", "use --optimizer.rate"),
        ("epochs", "did you mean --max_epochs?"),
        ("batch", "did you mean --batch_size?"),
        ("gpu", "JAX_PLATFORMS"),
        ("name", "use --experiment for what is trained"),
        ("workers", "the images are in memory"),
        ("model", "did you mean --network.tower?"),
        ("lrr", ""),
    ],
)
def test_usual_names_of_other_programs_get_a_suggestion(name, words):
    found = usual_names.elsewhere(name)
    assert found.startswith(words) if words.startswith(("use", "did")) else words in found
    assert bool(found) == bool(words)


def test_every_suggestion_is_a_flag_and_no_usual_name_is_one():
    if "experiment" not in flags.FLAGS:
        flags.define_flags()
    of_files = {"flagfile"}
    for names, to in usual_names.USUAL.items():
        for flag in re.findall(r"--([\w.]+)", to):
            assert flag.replace("LAYER", "fc") in flags.FLAGS or flag in of_files, flag
        assert not {name for name in names.split() if name in flags.FLAGS}
