"""A sweep from its flags to its winner, and when the test alphabets are read."""

import contextlib
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from absl import flags
from folders import make_folder
from tiny import make_dataset, make_digits, make_experiment

import siamese_jax
from siamese_jax import data, main, runs
from siamese_jax.command.flag_files import expanded
from siamese_jax.command.request import Search, read_request, resolve
from siamese_jax.errors import UserError
from siamese_jax.records import Dataset
from siamese_jax.sampling.splits import select
from siamese_jax.search import Plan, checked, parse
from siamese_jax.search import worker as worker_module
from siamese_jax.search.candidates import Ended
from siamese_jax.search.findings import winner_folder
from siamese_jax.search.study import Study
from siamese_jax.specs import Folder, NetSpec, Residual, leaves
from siamese_jax.storage.checkpoint import Checkpoints

SWEEPS = sorted((Path(__file__).parents[2] / "experiments" / "sweeps").glob("*.flags"))
BASE = make_experiment()
pytestmark = pytest.mark.usefixtures("few_protocols")


def give(*given: str) -> None:
    flags.FLAGS.unparse_flags()
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    flags.FLAGS(["siamese_jax", *expanded(given)])


def untested() -> Dataset:
    """The tiny data set without its test alphabets, "e" and "f"."""
    alphabets = make_dataset().images
    return Dataset(select(alphabets, ~(alphabets.group_index[::100] >= 4), range(1, 21)))


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """What is done with data, in order: "untested" and "everything" loaded, "trials" trained."""
    done = []
    train = worker_module.train
    monkeypatch.setattr(data, "load_untested", lambda *_: done.append("untested") or untested())
    monkeypatch.setattr(data, "load", lambda *_: done.append("everything") or make_dataset())
    monkeypatch.setattr(data, "load_digits", lambda side, *_: make_digits(side))
    monkeypatch.setattr(worker_module, "train", lambda *arguments: done.append("trials") or train(*arguments))
    monkeypatch.setattr("siamese_jax.runs.replay", lambda experiment: "the command")
    return done


def make_plan(**changes) -> Plan:
    spaces = parse(["optimizer.layers.fc.learning_rate=0.05,1e30"], BASE)
    return checked(Plan("tiny", BASE, spaces, 0, sampler="grid", pruner="none", **changes))


def test_the_test_alphabets_are_not_loaded_during_a_sweep(tmp_path, read, capsys):
    assert untested().images.group_names == ("a", "b", "c", "d")
    give("--study=tiny")
    print(main.perform(Search(make_plan(), tmp_path, None, {})))
    assert set(read) == {"untested", "trials"}
    text = (tmp_path / "report.md").read_text()
    assert "1 candidates completed, 0 pruned, 1 failed" in text
    assert "not been trained again, nor measured on test" in text
    assert not (tmp_path / "winner").exists()
    assert f"report: {tmp_path / 'report.md'}" in capsys.readouterr().out


def test_a_search_is_a_function_that_says_nothing_unless_it_is_asked_to(tmp_path, read, capsys):
    spaces = ["optimizer.layers.fc.learning_rate=0.05,1e30"]
    plan = siamese_jax.make_plan("tiny", BASE, spaces, sampler="grid", pruner="none")
    assert plan == make_plan()
    siamese_jax.run_search(plan, str(tmp_path))
    assert set(read) == {"untested", "trials"}
    assert capsys.readouterr().out == ""
    assert "1 candidates completed, 0 pruned, 1 failed" in (tmp_path / "report.md").read_text()


def test_a_search_of_the_number_of_training_classes_is_a_learning_curve_of_own_pictures(tmp_path):
    make_folder(tmp_path / "mine", {f"{group}/{class_}": 3 for group in "abcde" for class_ in "wxyz"})
    base = replace(
        siamese_jax.find("own_images"),
        data=Folder(path=str(tmp_path / "mine"), side=16, epoch_steps=1),
        network=NetSpec(Residual(width=8, stages=1, units=8)),
        max_epochs=1,
    )
    plan = siamese_jax.make_plan("curve", base, ["data.train_classes=4,12"], sampler="grid", pruner="none")
    said = []
    siamese_jax.run_search(plan, tmp_path / "study", data_dir=str(tmp_path), say=said.append)
    assert "2 candidates completed, 0 pruned, 0 failed" in (tmp_path / "study" / "report.md").read_text()
    with pytest.raises(UserError, match="a search starts from random weights"):
        siamese_jax.make_plan("curve", replace(base, start_from="best"), ["data.train_classes=4,12"])


def test_the_winner_alone_is_trained_again_and_read_on_test_once_a_seed(tmp_path, read, capsys):
    give("--study=tiny")
    print(main.perform(Search(make_plan(winner_seeds=(0, 1)), tmp_path, None, {})))
    assert read.count("everything") == 2
    assert "everything" not in read[: max(place for place, what in enumerate(read) if what == "trials")]
    assert sorted(path.name for path in (tmp_path / "winner").iterdir()) == ["trial0-seed0", "trial0-seed1"]
    text = (tmp_path / "report.md").read_text()
    assert re.findall(r"\| ([01])    \| \d+\.\d\d \(\d", text) == ["0", "1"]
    assert "measured on test once a seed" in text
    flag_file = (tmp_path / "best.flags").read_text()
    assert "--optimizer.layers.fc.learning_rate=0.05" in flag_file
    capsys.readouterr()
    give("--mode=report", "--study=tiny", f"--workdir={tmp_path}")
    main.main([])
    assert (tmp_path / "report.md").read_text() == text


def test_a_better_trial_makes_another_winner_with_runs_of_its_own(tmp_path, read, monkeypatch):
    give("--study=tiny")
    accuracies = iter([0.2, 0.9])
    monkeypatch.setattr(worker_module, "train", lambda *_: [Ended(next(accuracies))])

    def run(experiment, workdir, **_):
        workdir.mkdir(parents=True, exist_ok=True)
        return SimpleNamespace(evaluate=lambda: None)

    monkeypatch.setattr(runs, "train", run)
    spaces = parse(["optimizer.layers.fc.learning_rate=0.05,0.1"], BASE)
    plan = checked(Plan("tiny", BASE, spaces, 1, sampler="grid", pruner="none", winner_seeds=(0,)))
    print(main.perform(Search(plan, tmp_path, None, {})))
    print(main.perform(Search(plan._replace(trials=2), tmp_path, None, {})))
    assert sorted(path.name for path in (tmp_path / "winner").iterdir()) == ["trial0-seed0", "trial1-seed0"]
    assert "Candidate 1, 90.00 % on validation" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("begun", [False, True])
def test_a_second_worker_leaves_the_winner_to_the_first(tmp_path, read, capsys, begun):
    give("--study=tiny")
    plan = make_plan(winner_seeds=(0,))
    with contextlib.ExitStack() as first:
        other = first.enter_context(Study(plan, tmp_path))
        assert other.claims_winner(0, seed=0)
        if begun:
            first.enter_context(Checkpoints(winner_folder(tmp_path, 0, 0)))
        print(main.perform(Search(plan, tmp_path, None, {})))
    assert "everything" not in read
    assert "the winner with seed 0 is trained by another worker" in capsys.readouterr().out


def test_a_winner_is_trained_with_seeds_that_are_asked_for_later_and_with_no_seed_twice(tmp_path, read, monkeypatch):
    give("--study=tiny")
    ran = []

    def run(experiment, workdir, **_):
        ran.append(experiment.seed)
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / "report.html").touch()
        return SimpleNamespace(evaluate=lambda: None)

    monkeypatch.setattr(runs, "train", run)
    for seeds in ((0,), (0, 1, 2), (2,)):
        print(main.perform(Search(make_plan(winner_seeds=seeds), tmp_path, None, {})))
    assert ran == [0, 1, 2]


def test_a_sweep_that_was_refused_can_be_begun_with_other_flags(tmp_path, read):
    give("--study=tiny")
    plan = make_plan()
    wrong = plan._replace(base=replace(BASE, evaluation=replace(BASE.evaluation, n_way=50)))
    with pytest.raises(UserError, match="50"):
        print(main.perform(Search(wrong, tmp_path, None, {})))
    print(main.perform(Search(plan, tmp_path, None, {})))


def test_a_finished_sweep_says_so_again_and_trains_nothing(tmp_path, read):
    give("--study=tiny")
    print(main.perform(Search(make_plan(), tmp_path, None, {})))
    text = (tmp_path / "report.md").read_text()
    read.clear()
    print(main.perform(Search(make_plan(), tmp_path, None, {})))
    assert "trials" not in read
    assert (tmp_path / "report.md").read_text() == text


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_every_sweep_of_the_project_can_be_begun(path):
    give(f"--flagfile={path}")
    plan = read_request().plan
    assert plan.name == path.stem
    assert plan.spaces
    assert plan.trials > 0
    assert (
        path.read_text()
        .splitlines()[1]
        .startswith(f"# command: python -m siamese_jax.main --flagfile=experiments/sweeps/{path.name}")
    )


def test_the_papers_search_is_over_the_papers_whole_space():
    (path,) = [path for path in SWEEPS if path.stem == "paper_search"]
    give(f"--flagfile={path}")
    by_field = {space.field: space for space in read_request().plan.spaces}
    base = dict(leaves(resolve()))
    rules = {name for name in base if name.startswith("optimizer.layers.")}
    sizes = {name for name in base if name.startswith("network.conv") and name.endswith((".filters", ".size"))}
    assert set(by_field) == rules | sizes | {"network.units"}
    for field, space in by_field.items():
        kind = field.rsplit(".", 1)[1]
        expected = {
            "learning_rate": (1e-4, 1e-1, None, True), "momentum": (0, 1, None, False), "l2": (0, 0.1, None, False),
            "size": (3, 20, 1, False), "filters": (16, 256, 16, False), "units": (128, 4096, 16, False),
        }[kind]  # fmt: skip
        assert tuple(space)[1:] == expected, field


SWEEP = ("--experiment=glyphs_20way", "--search=seed=0,1", "--study=x")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("--experiment=glyphs_20way", "--trials=3"), "--trials is for a search: add --search=FIELD=SPACE"),
        (("--experiment=glyphs_20way", "--search=seed=0,1"), "a search needs --study=NAME"),
        ((*SWEEP, "--study=a/b"), "--study=a/b is not a name"),
        ((*SWEEP, "--mode=evaluate"), "--search cannot be used with --mode=evaluate"),
        ((*SWEEP, "--winner_seeds=0,one"), "--winner_seeds=0,one are not whole numbers"),
        ((*SWEEP, "--winner_seeds=-1"), "seed=-1 is out of range"),
        ((*SWEEP, "--experiment=baselines_20way"), "baselines_20way trains no network"),
    ],
)
def test_flags_that_do_not_make_a_sweep_are_refused(given, why):
    give(*given)
    with pytest.raises(UserError, match=re.escape(why)):
        read_request()


@pytest.mark.parametrize("other", ["--output=here", "--experiment=glyphs_20way", "--seed=3", "--search=seed=0,1"])
def test_the_report_of_a_study_takes_no_other_flags(other):
    give("--mode=report", "--study=x", other)
    with pytest.raises(UserError, match="cannot be used with the report of a study"):
        read_request()


def test_the_flags_make_the_plan(tmp_path):
    give(*SWEEP, "--trials=2", "--sampler=random", "--nomultivariate", "--pruner=hyperband", "--trial_epochs=2",
         "--trial_minutes=1.5", "--population=3", "--winner_seeds=4,4,5", "--max_epochs=9")  # fmt: skip
    plan = read_request().plan
    assert plan._replace(base=None, spaces=None) == Plan(
        "x", None, None, 2, "random", False, "hyperband", 2, 1.5, 3, (4, 5)
    )
    assert (plan.base.max_epochs, plan.trial_base.max_epochs) == (9, 2)
    assert read_request().folder == Path("runs/x")
    give(*SWEEP, f"--workdir={tmp_path}")
    assert read_request().folder == tmp_path
