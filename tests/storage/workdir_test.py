"""The folder of a run: locked, and gone again if the run left nothing there."""

from pathlib import Path

import pytest

from siamese_jax.errors import UserError
from siamese_jax.storage.workdir import InUseError, check_not_in_use, opened


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


ERROR = UserError("found late")


def a_mistake(workdir: Path, *written: str, metrics: str = "", error: BaseException = ERROR) -> None:
    """Opens a workdir, writes files as a run does, then ends with a mistake."""

    def work() -> None:
        with opened(workdir):
            (workdir / "checkpoints").mkdir(exist_ok=True)
            for name in written:
                (workdir / name).write_text(metrics if name == "metrics.jsonl" else "text")
            raise error

    with pytest.raises(type(error)):
        work()


FIRST = [(), ("experiment.json",), ("experiment.json", "images.csv"), ("experiment.json", "metrics.jsonl")]


@pytest.mark.parametrize("written", FIRST)
def test_a_run_that_left_nothing_lasting_leaves_no_folder_and_no_parents(tmp_path, written):
    a_mistake(tmp_path / "a" / "b" / "run", *written)
    assert tree(tmp_path) == set()


@pytest.mark.parametrize("written", FIRST)
def test_a_folder_that_was_there_stays_as_it_was(tmp_path, written):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    a_mistake(tmp_path / "run", *written)
    assert tree(tmp_path) == {"run", "run/notes.txt"}


@pytest.mark.parametrize("name", ["experiment.json", "images.csv", "checkpoints"])
def test_what_was_there_before_is_never_removed(tmp_path, name):
    (tmp_path / name).mkdir() if name == "checkpoints" else (tmp_path / name).write_text("before")
    a_mistake(tmp_path)
    assert tree(tmp_path) == {name}


def test_after_the_first_lasting_file_everything_stays(tmp_path):
    a_mistake(tmp_path / "run", "experiment.json", "metrics.jsonl", metrics="{}\n")
    assert tree(tmp_path) == {"run", "run/experiment.json", "run/metrics.jsonl"}


def test_an_empty_file_of_the_user_stays(tmp_path):
    def work() -> None:
        with opened(tmp_path / "run"):
            (tmp_path / "run" / "NOTES").touch()
            raise ERROR

    with pytest.raises(UserError):
        work()
    assert tree(tmp_path) == {"run", "run/NOTES"}


def test_two_runs_in_one_folder_are_refused_and_the_refused_one_removes_nothing(tmp_path):
    with opened(tmp_path / "run"):
        with pytest.raises(InUseError, match=r"in use by another run.*another --workdir"), opened(tmp_path / "run"):
            pass
        assert tree(tmp_path) == {"run", "run/lock"}
    with opened(tmp_path / "run"):
        (tmp_path / "run" / "results.json").write_text("{}")
    assert tree(tmp_path) == {"run", "run/results.json"}


def test_an_interrupt_before_the_first_step_leaves_nothing(tmp_path):
    a_mistake(tmp_path / "run", "experiment.json", error=KeyboardInterrupt())
    assert tree(tmp_path) == set()


@pytest.mark.parametrize("there", ["file", "loop", "dangling", "lock is a folder"])
def test_what_is_no_folder_is_a_sentence(tmp_path, there):
    folder = tmp_path / "x"
    if there == "file":
        folder.write_text("")
    elif there == "lock is a folder":
        (folder / "lock").mkdir(parents=True)
    else:
        folder.symlink_to(folder if there == "loop" else tmp_path / "nowhere" / "at all")
    before = tree(tmp_path)
    with pytest.raises(UserError, match="could not be opened"), opened(folder):
        pass
    assert tree(tmp_path) == before


def test_a_folder_that_is_only_read_is_refused_while_a_run_works_there_and_not_changed(tmp_path):
    check_not_in_use(tmp_path)
    with opened(tmp_path), pytest.raises(InUseError, match="in use by another run"):
        check_not_in_use(tmp_path)
    (tmp_path / "lock").write_text("")  # a killed run left it
    check_not_in_use(tmp_path)
    assert tree(tmp_path) == {"lock"}
