import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from tiny import SIDE, make_dataset, make_digits
from tiny import make_experiment as make_tiny

from siamese_jax import data, main, pretrained, runs
from siamese_jax.command.request import Evaluate, Train
from siamese_jax.errors import UserError
from siamese_jax.experiments import LAYERS
from siamese_jax.report import PICTURES, compare
from siamese_jax.report.model_card import make_card
from siamese_jax.specs import DistortSpec, EvalSpec, LayerSpec, Omniglot, PaperSGD, with_value
from siamese_jax.storage.array_files import read_arrays
from siamese_jax.storage.experiment_file import write_experiment
from siamese_jax.storage.results_file import read_results
from siamese_jax.training import fit as fitting


def make_experiment(**changes):
    """The tiny experiment, whose fields name the side of its images: it is evaluated from its folder alone."""
    return make_tiny(**{"data": Omniglot(train_pairs=12, validation_pairs=8, test_pairs=8, side=SIDE), **changes})


@pytest.fixture(autouse=True)
def tiny_data(monkeypatch):
    use_tiny_data(monkeypatch)


def use_tiny_data(monkeypatch):
    monkeypatch.setattr(data, "load", lambda spec, data_dir=None, archives=None: make_dataset())
    monkeypatch.setattr(data, "load_digits", lambda side, data_dir=None, archives=None: make_digits(side))
    monkeypatch.setattr("siamese_jax.runs.replay", lambda experiment: "the command")


def parse(*given: str) -> None:
    flags.FLAGS.unparse_flags()
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    flags.FLAGS(["siamese_jax", *given])


def run(workdir, *given: str, experiment=None) -> None:
    parse(*given)
    print(main.perform(request_of(workdir, experiment)))


def request_of(workdir, experiment=None):
    """What the command makes of the flags, with the tiny experiment in place of a registered one."""
    experiment, sources = experiment or make_experiment(), {"data_dir": None, "archives": None}
    if flags.FLAGS.mode == "evaluate":
        return Evaluate(experiment, workdir, sources, flags.FLAGS.checkpoint)
    return Train(experiment, workdir, sources)


def report(*given: str) -> None:
    parse("--mode=report", *given)
    main.main([])


def read_fields(workdir) -> dict:
    return json.loads((workdir / "experiment.json").read_text())


@pytest.fixture(scope="session")
def trained_once(once):
    def build(folder):
        with pytest.MonkeyPatch.context() as patch:
            use_tiny_data(patch)
            run(folder)

    return once("tiny_run", build)


@pytest.fixture
def finished(trained_once, tmp_path):
    """A workdir in which the tiny experiment has been trained and measured, for one test alone."""
    return Path(shutil.copytree(trained_once, tmp_path / "finished"))


def test_a_run_leaves_everything_that_was_promised(tmp_path, capsys):
    run(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    promised = {
        "experiment.json",
        "metrics.jsonl",
        "checkpoints",
        "results.json",
        "trials.npz",
        "report.md",
        "report.html",
        *PICTURES,
    }
    assert promised < names
    assert any(name.startswith("events.out.tfevents.") for name in names)
    said = capsys.readouterr().out
    assert said.index("optimizer.layers.conv1.learning_rate = 0.05") < said.index("official runs, 3-way 1-shot: ")
    assert str(tmp_path / "report.md") in said


def test_results_hold_what_was_run_and_what_came_out(finished):
    results = read_results(finished)
    assert (results.experiment, results.seed, results.command) == ("omniglot_20way", 0, "the command")
    training = results.training
    assert (training.epochs, training.steps) == (2, 18)
    assert 0 < training.seconds < 600
    assert training.best_epoch in (0, 1, 2)
    assert training.pairs_per_second > 0
    validation, test = results.verification.validation, results.verification.test
    assert validation.pairs == test.pairs == 8
    assert validation.threshold == test.threshold
    assert test.ci95[0] <= test.accuracy <= test.ci95[1]
    for name, trials in (("official_runs", 6), ("within_alphabet", 12)):
        result = results.one_shot[name]
        assert (result.card.n_way, result.card.k_shot, result.card.trials) == (3, 1, trials)
        np.testing.assert_allclose(result.correct / trials, result.accuracy)
        assert result.ci95[0] <= result.accuracy <= result.ci95[1]
    assert read_fields(finished)["batch_size"] == 4


def test_the_credit_of_each_trial_is_kept_for_comparisons_in_pairs(finished):
    trials, one_shot = read_arrays(finished / "trials.npz"), read_results(finished).one_shot
    assert trials.keys() == one_shot.keys()
    assert trials["official_runs"].shape == (2, 3)
    for name, credit in trials.items():
        assert credit.dtype == np.float32
        assert credit.size == one_shot[name].card.trials
        np.testing.assert_allclose(credit.mean(), one_shot[name].accuracy, rtol=1e-6)


def test_baselines_are_measured_with_nothing_trained(tmp_path, capsys):
    run(tmp_path, experiment=make_experiment(method="baselines"))
    results = read_results(tmp_path)
    assert set(results.baselines) == {"nearest_neighbour", "modified_hausdorff"}
    for measured in results.baselines.values():
        card = measured["official_runs"].card
        assert (card.n_way, card.trials, card.seen) == (3, 6, ())
    assert "modified hausdorff, official runs, 3-way 1-shot: " in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {
        "experiment.json",
        "results.json",
        "trials.npz",
        "report.md",
        "report.html",
    }
    trials = read_arrays(tmp_path / "trials.npz")
    assert set(trials) == {
        "nearest_neighbour.official_runs",
        "nearest_neighbour.mnist_10way",
        "nearest_neighbour.mnist_10way_10000",
        "modified_hausdorff.official_runs",
        "modified_hausdorff.mnist_10way",
    }
    for name, credit in trials.items():
        method, protocol = name.split(".")
        np.testing.assert_allclose(credit.mean(), results.baselines[method][protocol].accuracy, rtol=1e-6)


def test_digits_are_measured_by_networks_and_baselines_and_say_that_nobody_knows_the_drawers(finished):
    results = read_results(finished)
    for name, trials in (("mnist_10way", 400), ("mnist_10way_10000", 10_000)):
        card = results.one_shot[name].card
        assert (card.n_way, card.k_shot, card.trials, card.authors) == (10, 1, trials, ())
        assert results.one_shot[name].ci95_by_group is None
        assert card.seen == ("trained", "chosen")
    assert "a" in results.data.sets["train"].groups
    few, many = (results.one_shot[name].card.trials_id for name in ("mnist_10way", "mnist_10way_10000"))
    assert few != many


@pytest.mark.usefixtures("few_protocols")
@pytest.mark.parametrize("method", ["siamese", "baselines"])
def test_without_digits_the_rest_is_measured_and_the_reason_is_told(finished, tmp_path, monkeypatch, method):
    def missing(*_):
        raise UserError("there is no network")

    workdir, mode = (finished, "--mode=evaluate") if method == "siamese" else (tmp_path, "--mode=train")
    monkeypatch.setattr(data, "load_digits", missing)
    run(workdir, mode, experiment=make_experiment(method=method))
    missed = read_results(workdir).not_measured
    assert missed["mnist_10way"] == missed["mnist_10way_10000"] == "there is no network"
    assert "`mnist_10way` was not measured: there is no network." in (workdir / "report.md").read_text()
    off = replace(make_experiment(method=method), evaluation=replace(make_experiment().evaluation, mnist=False))
    run(workdir, mode, experiment=off)
    assert read_results(workdir).not_measured["mnist_10way"] == "evaluation.mnist is false"


def test_evaluate_measures_the_same_and_leaves_the_training_alone(finished):
    before, metrics = read_results(finished), (finished / "metrics.jsonl").read_bytes()
    (finished / "results.json").unlink()
    run(finished, "--mode=evaluate")
    assert read_results(finished) == before
    assert (finished / "metrics.jsonl").read_bytes() == metrics


def ship(trained, folder):
    """Write the network of a finished run as a packaged one; return its card."""
    experiment = make_experiment()
    card = make_card("tiny", experiment, read_results(trained), "")
    pretrained.write(folder, experiment, fitting.read_fitted(experiment, trained).params, card)
    return card


def test_a_network_that_was_shipped_reproduces_its_cards_figures_in_a_folder_of_its_own(finished, tmp_path):
    trained, shipped, workdir, experiment = finished, tmp_path / "shipped", tmp_path / "again", make_experiment()
    results, params = read_results(trained), fitting.read_fitted(experiment, trained).params
    card = ship(trained, shipped)
    workdir.mkdir()
    run(workdir, "--mode=evaluate", f"--checkpoint={shipped}", experiment=experiment)
    assert read_results(workdir) == results == pretrained.read(str(shipped)).card.results
    assert (workdir / "report.html").exists()
    said = (workdir / "report.md").read_text()
    report(f"--workdir={workdir}")
    assert (workdir / "report.md").read_text() == said
    before = read_results(trained)
    with pytest.raises(UserError, match="holds a run of its own"):
        run(trained, "--mode=evaluate", f"--checkpoint={shipped}", experiment=experiment)
    assert read_results(trained) == before
    (trained / "metrics.jsonl").unlink()  # as baselines, and evaluations of other checkpoints, have none
    pretrained.write(shipped, replace(experiment, seed=7), params, card)
    with pytest.raises(UserError, match="belongs to a run with seed=0, not 7"):
        run(trained, "--mode=evaluate", f"--checkpoint={shipped}", experiment=experiment)
    assert read_results(trained) == before


@pytest.mark.usefixtures("few_protocols")
def test_views_can_be_asked_for_in_an_evaluation_and_stand_apart(finished):
    assert read_results(finished).one_shot_views == {}
    evaluation = replace(make_experiment().evaluation, views=3)
    run(finished, "--mode=evaluate", experiment=replace(make_experiment(), evaluation=evaluation))
    assert {result.card.views for result in read_results(finished).one_shot_views.values()} == {3}


@pytest.mark.usefixtures("few_protocols")
def test_measured_with_other_ways_the_epoch_is_still_judged_by_the_trials_it_was_chosen_by(finished):
    before = read_results(finished)
    two = replace(make_experiment().evaluation, n_way=2, combine="best_score")
    run(finished, "--mode=evaluate", experiment=replace(make_experiment(), evaluation=two))
    after = read_results(finished)
    ways = [results.one_shot["within_alphabet"].card.n_way for results in (after, before)]
    assert ways == [2, 3]
    assert after.one_shot["validation"] == before.one_shot["validation"]
    said = (finished / "report.md").read_text()
    report(f"--workdir={finished}")
    assert (finished / "report.md").read_text() == said


@pytest.mark.usefixtures("few_protocols")
def test_a_picture_of_an_earlier_measurement_does_not_stay(tmp_path):
    run = runs.train(make_experiment(distort=DistortSpec(copies=0), max_epochs=1), tmp_path)
    (tmp_path / "distortions.png").write_bytes(b"of another day")  # without distortions it is not drawn
    run.evaluate()
    assert not (tmp_path / "distortions.png").exists()
    assert (tmp_path / "training.png").exists()


def test_evaluating_a_workdir_without_a_checkpoint_is_refused(tmp_path):
    write_experiment(tmp_path, make_experiment())
    with pytest.raises(UserError, match="no checkpoint yet"):
        run(tmp_path, "--mode=evaluate")


@pytest.mark.parametrize("change", [{"seed": 3}, {"batch_size": 6}])
def test_a_workdir_of_another_run_is_refused_and_left_as_it_is(finished, change):
    before = {path: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    ((name, value),) = change.items()
    with pytest.raises(UserError, match=rf"belongs to a run with {name}=\d+, not {value}.*another --workdir"):
        run(finished, experiment=make_experiment(**change))
    assert {path: path.read_bytes() for path in finished.iterdir() if path.is_file()} == before


def test_a_workdir_of_another_experiment_is_refused(finished):
    with pytest.raises(UserError, match="belongs to the experiment 'omniglot_20way', not 'other'"):
        run(finished, experiment=make_experiment(name="other"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network": with_value(make_experiment().network, "conv1.size", 200)}, "conv1.size=200"),
        ({"evaluation": EvalSpec(n_way=6, validation_trials=12, random_trials=12)}, "n_way=6"),
        ({"data": Omniglot(train_pairs=13, validation_pairs=8, test_pairs=8)}, "train_pairs=13"),
        ({"data": Omniglot(train_pairs=12, validation_pairs=9, test_pairs=8)}, "validation_pairs=9"),
        ({"batch_size": 100}, "batch_size=100"),
        ({"optimizer": PaperSGD({"conv1": LayerSpec(0.1, 0.9, 0.0)})}, "missing"),
        ({"network": with_value(make_experiment().network, "tower", "dense")}, "registered with this network.tower"),
        ({"optimizer": PaperSGD(dict.fromkeys(LAYERS, LayerSpec(1e30, 0.9, 0.0)))}, "not finite at step"),
    ],
)
def test_bad_values_are_one_sentence_and_exit_code_2(tmp_path, monkeypatch, capsys, change, words):
    monkeypatch.setattr(main, "read_request", lambda: request_of(tmp_path, make_experiment(**change)))
    parse()
    with pytest.raises(SystemExit) as stopped:
        main.main([])
    assert stopped.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("siamese_jax: ")
    assert words in said


def test_a_mistake_found_before_training_leaves_no_claim_on_the_workdir(tmp_path):
    with pytest.raises(UserError, match="batch_size=100"):
        run(tmp_path, experiment=make_experiment(batch_size=100))
    runs.train(make_experiment(), tmp_path)


def test_data_that_cannot_be_loaded_leave_no_folder_behind(finished, tmp_path, monkeypatch):
    packaged = tmp_path / "packaged"
    ship(finished, packaged)

    def load(spec, data_dir=None, archives=None):
        raise UserError("there are no archives")

    monkeypatch.setattr(data, "load", load)
    workdir = tmp_path / "runs" / "new"
    for given in ((), ("--mode=evaluate", f"--checkpoint={packaged}")):
        for method in ("siamese", "baselines"):
            with pytest.raises(UserError, match="there are no archives"):
                run(workdir, *given, experiment=make_experiment(method=method))
            assert not workdir.parent.exists()


def test_a_workdir_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        run(tmp_path / "file" / "run")


def test_sigterm_saves_says_how_to_go_on_and_exits_as_a_shell_expects(tmp_path, monkeypatch, capsys):
    real, calls = fitting.compile_update, []

    def interrupted(*arguments):
        update = real(*arguments)

        def step(state):
            calls.append(1)
            if len(calls) == 3:  # the first one looks how large an update would be
                os.kill(os.getpid(), signal.SIGTERM)
            return update(state)

        return step

    monkeypatch.setattr(fitting, "compile_update", interrupted)
    monkeypatch.setattr(main, "read_request", lambda: request_of(tmp_path))
    parse()
    with pytest.raises(SystemExit) as stopped:
        main.main([])
    assert stopped.value.code == 128 + signal.SIGTERM
    assert f"--workdir={tmp_path} resumes" in capsys.readouterr().err
    monkeypatch.setattr(fitting, "compile_update", real)
    assert runs.train(make_experiment(), tmp_path).training.steps == 18


def test_a_users_mistake_anywhere_is_one_sentence_and_exit_code_2(monkeypatch, capsys):
    def broken():
        raise UserError("what,\nwhere, what to do")

    monkeypatch.setattr(main, "read_request", broken)
    parse()
    with pytest.raises(SystemExit) as stopped:
        main.main([])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "siamese_jax: what, where, what to do\n"


def test_a_report_is_written_again_from_what_the_run_left_and_nothing_else(finished, monkeypatch, capsys):
    before = {name: (finished / name).read_bytes() for name in ("report.md", "report.html")}
    for name in before:
        (finished / name).unlink()
    monkeypatch.setattr(data, "load", None)
    monkeypatch.setattr(fitting, "read_fitted", None)
    capsys.readouterr()
    report(f"--workdir={finished}")
    assert {name: (finished / name).read_bytes() for name in before} == before
    assert capsys.readouterr().out == f"report: {finished / 'report.md'} and {finished / 'report.html'}\n"


def test_an_interrupt_says_how_to_go_on_only_where_there_is_something_to_go_on_with(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "report_again", interrupted)
    with pytest.raises(SystemExit) as stopped:
        report("--workdir=a")
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "siamese_jax: interrupted\n"


def test_several_runs_are_compared_in_a_folder_of_their_own(tmp_path, monkeypatch, capsys):
    compared = []
    monkeypatch.setattr(compare, "compare_runs", lambda workdirs, folder: compared.append((workdirs, folder)))
    monkeypatch.chdir(tmp_path)
    report("--workdir=a", "--workdir=b", "--output=c")
    report("--workdir=a", "--workdir=b")
    (workdirs, folder), (_, default) = compared
    assert ([str(path) for path in workdirs], str(folder)) == (["a", "b"], "c")
    assert default.parent.name == "runs"
    assert default.name.startswith("report-")
    assert f"{default / 'report.html'}" in capsys.readouterr().out
