"""Folders, locks, paths, homes and flag files: mistakes that are found late, and systems that lack something."""

import itertools
import os
import resource
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest
from campaign import DERIVED, TINY, Command, nothing_lost, wait_for

ROOT = Path(__file__).parents[1]
SHORT = (*TINY, "--max_epochs=1")


def tree(folder: Path) -> set[str]:
    """Everything below a folder, but for the home."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.relative_to(folder).parts[0] != "home"}


def stub(folder: Path, name: str, text: str) -> dict[str, str]:
    """The environment in which Python finds a module of this text first."""
    (folder / "stubs").mkdir(exist_ok=True)
    (folder / "stubs" / f"{name}.py").write_text(text)
    return {"PYTHONPATH": f"{folder / 'stubs'}{os.pathsep}{os.environ['PYTHONPATH']}"}


def no_file_may_grow() -> None:
    """Every write to a file fails, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def little_memory() -> None:
    """Four gigabytes of addresses."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))


OWN, GLYPHS, OMNIGLOT = TINY[0], "--experiment=glyphs_20way", "--experiment=omniglot_20way_fast"
LATE = {
    "no pictures": ((OWN, "--data.path=empty"), {}),
    "pictures that are missing": ((OWN, "--data.path=nowhere"), {}),
    "a table that is missing": ((OWN, "--data.table=nowhere.csv"), {}),
    "an unknown group": ((*TINY, "--data.path={pictures}", "--data.validation_groups=nowhere"), {}),
    "more shots than pictures": ((*TINY, "--data.path={pictures}", "--evaluation.k_shot=500"), {}),
    "pairs that do not divide": ((GLYPHS, "--data.train_pairs=13"), {}),
    "archives that are missing": ((OMNIGLOT, "--archives=empty", "--data_dir=data"), {}),
    "archives that are damaged": ((OMNIGLOT, "--archives=bad", "--data_dir=data"), {}),
    "archives that are a file": ((OMNIGLOT, "--archives=bad/images_background.zip", "--data_dir=data"), {}),
    "a start that is missing": ((*TINY, "--data.path={pictures}", "--start_from=./nowhere"), {}),
    "a start of another size": ((*TINY, "--data.path={pictures}", "--start_from=best"), {}),
    "a layer that is missing": ((GLYPHS, "--optimizer.layers.dense2.learning_rate=0.1"), {}),
    "a device that is missing": ((*TINY, "--data.path={pictures}"), {"JAX_PLATFORMS": "cuda"}),
    "an extra that is missing": ((*TINY, "--data.path={pictures}"), {"missing": "matplotlib"}),
    "a full disk": ((*TINY, "--data.path={pictures}"), {"full": "1"}),
    "baselines on a full disk": ((*TINY, "--data.path={pictures}", "--method=baselines"), {"full": "1"}),
    "baselines without pictures": ((OWN, "--method=baselines", "--data.path=empty"), {}),
    "a network that is missing": (("--mode=evaluate", "--checkpoint=./nowhere"), {}),
    "a search without pictures": ((OWN, "--data.path=empty", "--search=network.units=8,16", "--study=s"), {}),
    "a study that is missing": (("--mode=report", "--study=s"), {}),
    "runs that are missing": (("--mode=report", "--workdir=nowhere", "--workdir=empty"), {}),
}


@pytest.mark.parametrize(("kind", "workdir"), [*zip(LATE, itertools.cycle(["", "a/b/run", "empty"]), strict=False)])
def test_a_mistake_that_is_found_late_leaves_nothing(command: Command, tmp_path: Path, pictures: Path, kind, workdir):
    words, settings = LATE[kind]
    workdir = "" if "--mode=report" in words else workdir  # there it is what is read
    env = dict(settings)
    full = env.pop("full", "")
    if (missing := env.pop("missing", "")) != "":
        env |= stub(tmp_path, "sitecustomize", f"import sys; sys.modules[{missing!r}] = None")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    for name in ("images_background.zip", "images_evaluation.zip", "images_background_small1.zip"):
        (tmp_path / "bad" / name).write_bytes(b"PK\3\4" + bytes(100))
    before = tree(tmp_path)
    flags = [word.format(pictures=pictures) for word in words] + ([f"--workdir={workdir}"] if workdir else [])
    done = command(*flags, env=env, preexec_fn=no_file_may_grow if full else None)
    done.survived(2)
    left = {name for name in tree(tmp_path) - before if name.split("/")[0] not in ("data", "stubs")}
    assert left == set()
    assert before <= tree(tmp_path)


PATHS = {
    "empty": ("", "is empty"),
    "blank": (" ", "is empty"),
    "a device": ("/dev/null", "is not a folder"),
    "a file": ("file", "is not a folder"),
    "below a file": ("file/x", "Not a directory"),
    "a loop of links": ("loop", "Too many levels"),
    "a dangling link": ("dangling", "does not exist"),
    "a long name": ("x" * 300, "File name too long"),
    "a long path": ("x/" * 3000, "File name too long"),
    "nobody's home": ("~nobody-of-that-name/x", "home is not known"),
    "gs": ("gs://bucket/x", "is an address"),
    "s3": ("s3://bucket/x", "is an address"),
    "hdfs": ("hdfs://host/x", "is an address"),
    "http": ("http://host/x", "is an address"),
}


@pytest.mark.parametrize(
    ("kind", "flag"),
    [
        *zip(
            PATHS,
            itertools.cycle(["--workdir", "--data_dir", "--mode=report --workdir", "unpack glyphs"]),
            strict=False,
        )
    ],
)
def test_a_path_that_cannot_be_a_folder_is_refused_at_once(command: Command, tmp_path: Path, kind, flag):
    text, words = PATHS[kind]
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    before = tree(tmp_path)
    *first, last = flag.split(" ")
    given = [*first, last, text] if first == ["unpack"] else [*first, f"{last}={text}"]
    done = command(*([GLYPHS] if not first else []), *given)
    done.survived(2).says(words)
    assert done.seconds < 30
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["..", ".", "/absolute", "a/b", "-x", ""])
def test_a_study_stays_below_runs(command: Command, tmp_path: Path, name):
    before = tree(tmp_path)
    command(GLYPHS, "--search=network.units=8,16", f"--study={name}").survived(2).says("--study")
    assert tree(tmp_path) == before


def test_a_tilde_is_the_home(command: Command, finished: Path, tmp_path: Path):
    shutil.move(finished, tmp_path / "home" / "run")
    command("--mode=report", "--workdir=~/run").survived(0)
    assert not (tmp_path / "~").exists()


FLAG_FILES = {
    "endless": ("/dev/zero", "is not text"),
    "random": ("/dev/urandom", "is not text"),
    "a folder": ("/", "Is a directory"),
    "missing": ("nowhere", "No such file"),
    "a loop of links": ("loop", "Too many levels"),
    "itself": ("self", "names itself"),
    "1500 deep": ("0", "more than 20 deep"),
    "1 GB": ("large", "larger than 1 MB"),
    "no flags": ("words", "is not a flag"),
    "a picture": ("picture", "is not text"),
}


@pytest.mark.parametrize("kind", FLAG_FILES)
def test_something_else_in_the_place_of_a_flag_file_is_a_sentence(command: Command, tmp_path: Path, kind):
    name, words = FLAG_FILES[kind]
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "self").write_text("--flagfile=self\n")
    (tmp_path / "words").write_text("hello world\n")
    (tmp_path / "picture").write_bytes(bytes(range(256)))
    with (tmp_path / "large").open("wb") as file:
        file.write(b"--seed=1\n" * 200_000)
        file.truncate(1 << 30)
    if name == "0":
        for number in range(1500):
            (tmp_path / str(number)).write_text(f"--flagfile={number + 1}\n")
    for first in ((), ("enrol", "d")):
        done = command(*first, f"--flagfile={name}", preexec_fn=little_memory)
        done.survived(2).says(words)
        assert done.seconds < 30


WITHOUT_LOCKS = ("ENOLCK", "EBADF", "ENOTSUP", "EINVAL", "ENOSYS")


def without_locks(folder: Path, code: str) -> dict[str, str]:
    """The environment of a file system that answers every lock with an error."""
    return stub(
        folder,
        "sitecustomize",
        f"import errno, fcntl, os\ndef flock(*_): raise OSError(errno.{code}, os.strerror(errno.{code}))\n"
        "fcntl.flock = flock\n",
    )


@pytest.mark.parametrize("code", ["", *WITHOUT_LOCKS[:2]])
def test_one_command_at_a_time_works_in_a_folder(command: Command, pictures: Path, tmp_path: Path, code):
    """Also on a file system without locks, and after the first was killed."""
    env = without_locks(tmp_path, code) if code else {}
    workdir = tmp_path / "run"
    flags = (*TINY, "--max_epochs=2000", "--patience=2000", f"--data.path={pictures}", f"--workdir={workdir}")
    first = command.start(*flags, env=env)
    wait_for(first, workdir / "metrics.jsonl")
    for words in (flags, ("--mode=evaluate", f"--workdir={workdir}"), (*flags, "--method=baselines")):
        command(*words, env=env).survived(2).says("in use by another run")
    assert first.poll() is None
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    with nothing_lost(workdir, but=("checkpoints", "metrics.jsonl", "lock", "lock.holder", *DERIVED)):
        command("--mode=report", f"--workdir={workdir}", env=env).survived(2).says("holds no results")
        again = command.start(*flags, env=env)
        time.sleep(12)
        assert again.poll() is None, command.ended(again)
        os.killpg(again.pid, signal.SIGTERM)
        command.ended(again).survived(143)
    assert not [path.name for path in workdir.iterdir() if path.name.startswith("lock")]


@pytest.mark.parametrize("code", WITHOUT_LOCKS)
def test_a_report_is_written_where_files_cannot_be_locked(command: Command, finished: Path, tmp_path: Path, code):
    env = without_locks(tmp_path, code)
    with nothing_lost(finished, but=DERIVED):
        command("--mode=report", f"--workdir={finished}", env=env).survived(0)
    assert not [path.name for path in finished.iterdir() if path.name.startswith("lock")]


@pytest.mark.parametrize(
    "text",
    [
        '{"host": "elsewhere", "pid": 1, "started": "1"}', "", "{", "[]", '{"host": 1}', '{"pid": 1}', "\0" * 100,
        '{"host": "h", "pid": 1e400, "started": null}',
    ],
)  # fmt: skip
def test_a_holder_that_nobody_can_ask_is_named(command: Command, finished: Path, text):
    (finished / "lock.holder").write_text(text)
    with nothing_lost(finished):
        command("--mode=report", f"--workdir={finished}").survived(2).says("lock.holder")


def test_commands_that_start_in_one_second_get_folders_of_their_own(command: Command, finished: Path, tmp_path: Path):
    shutil.copytree(finished, tmp_path / "other")
    words = ("--mode=report", f"--workdir={finished}", "--workdir=other")
    processes = [command.start(*words) for _ in range(4)]
    for process in processes:
        command.ended(process).survived(0)
    folders = sorted((tmp_path / "runs").iterdir())
    assert len(folders) == 4
    assert all((folder / "report.html").exists() for folder in folders)


HOMES = {"that is missing": "/nonexistent", "that is /": "/", "without a name": "", "that is unset": None}
READ_ALL = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
"""The user may read everything, such as a Python that only root can read, and writes as others do."""


def as_nobody() -> tuple[str, ...]:
    """What starts a command as a user without a home."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user")
    return ("setpriv", "--reuid", "1234", "--regid", "1234", "--clear-groups", *READ_ALL)


@pytest.mark.parametrize(
    ("job", "kind"), [*itertools.product(["report", "unpack"], HOMES), ("train", "that is missing")]
)
def test_a_user_without_a_home_can_work(command: Command, finished: Path, pictures: Path, tmp_path: Path, job, kind):
    words = {
        "report": ("--mode=report", "--workdir=finished", "--workdir=other", "--output=compared"),
        "unpack": ("unpack", "glyphs", "glyphs"),
        "train": (*SHORT, f"--data.path={pictures}", "--workdir=new"),
    }[job]
    shutil.copytree(finished, tmp_path / "other")
    tmp_path.chmod(0o777)
    with tempfile.TemporaryDirectory() as temporary:
        os.chmod(temporary, 0o777)
        env = {"HOME": HOMES[kind], "XDG_CACHE_HOME": None, "TMPDIR": temporary, "JAX_COMPILATION_CACHE_DIR": None}
        done = command(*words, env=env, before=as_nobody()).survived(0)
    assert "not a writable directory" not in done.err
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("job", ["train", "evaluate", "report", "compare", "unpack", "search"])
def test_a_folder_that_cannot_be_written_is_a_sentence(
    command: Command, finished: Path, pictures: Path, tmp_path: Path, job
):
    words = {
        "train": (*SHORT, f"--data.path={pictures}", "--workdir=new"),
        "evaluate": ("--mode=evaluate", "--workdir=finished"),
        "report": ("--mode=report", "--workdir=finished"),
        "compare": ("--mode=report", "--workdir=finished", "--workdir=other"),
        "unpack": ("unpack", "glyphs", "glyphs"),
        "search": (*SHORT, f"--data.path={pictures}", "--search=network.units=8,16", "--study=s"),
    }[job]
    shutil.copytree(finished, tmp_path / "other")
    with nothing_lost(tmp_path):
        command(*words, before=as_nobody()).survived(2).says("Permission denied")
