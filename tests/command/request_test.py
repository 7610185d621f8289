import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from siamese_jax import specs
from siamese_jax.command.flags import SEARCH
from siamese_jax.experiments import EXPERIMENTS, replay
from siamese_jax.storage.experiment_file import write_experiment

ROOT = Path(__file__).parents[2]
FLAG_FILES = sorted((ROOT / "experiments").glob("*.flags"))
assert FLAG_FILES


def run(*flags: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "siamese_jax.main", *flags]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, check=False)


def resolve(*flags: str) -> subprocess.CompletedProcess:
    """Prints the experiment that flags resolve to, and stops there."""
    code = (
        "import sys; from siamese_jax import specs; from siamese_jax.command import flags, request;"
        "flags.define_flags(); flags.parse(sys.argv); print(dict(specs.leaves(request.resolve())))"
    )
    return subprocess.run([sys.executable, "-c", code, *flags], capture_output=True, text=True, cwd=ROOT, check=False)


def refused(done: subprocess.CompletedProcess) -> str:
    """Returns the one sentence that a mistake is answered with."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("siamese_jax: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_help_fits_two_screens_and_names_every_flag_of_the_command():
    done = run("--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) < 48
    for flag in (
        "experiment",
        "list",
        "mode",
        "workdir",
        "output",
        "archives",
        "data_dir",
        "flagfile",
        "seed",
        "max_epochs",
        "checkpoint",
        "search",
        *SEARCH,
    ):
        assert f"--{flag}" in done.stdout


def test_list_shows_every_experiment_with_its_cost_and_result():
    done = run("--list")
    assert done.returncode == 0
    for experiment in EXPERIMENTS.values():
        for text in (
            experiment.name,
            experiment.summary,
            experiment.cost_cpu,
            experiment.cost_gpu,
            experiment.expected,
        ):
            assert text in done.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "--experiment=NAME"),
        (["--experiment=omniglot_20wya"], "did you mean omniglot_20way?"),
        (["--experiment=omniglot_20way_fst"], "did you mean omniglot_20way_fast?"),
        (["--experiment=glyphs_20way", "--sed=1"], "--sed is not a flag: did you mean --seed?"),
        (["--experiment=glyphs_20way", "--epochs=3"], "did you mean --max_epochs? --help explains"),
        (["--experiment=glyphs_20way", "--units=3"], "did you mean --network.units?"),
        (["--experiment=glyphs_20way", "--zzz=3"], "--zzz is not a flag: --help explains"),
        (["--experiment=glyphs_20way", "--network.conv5.size=3"], "network.conv1.size"),
        (["--experiment=glyphs_20way", "--seed=x"], "seed"),
        (["--experiment=glyphs_20way", "--optimizer.decay=nan"], "optimizer.decay=nan"),
        (["--experiment=glyphs_20way", "--optimizer.layers.fc.l2=inf"], "optimizer.layers.fc.l2=inf"),
        (["--experiment=glyphs_20way", "--data.name=cifar"], "omniglot, glyphs"),
        (["--experiment=glyphs_20way", "fast"], "fast is not a flag"),
        (["--experiment=glyphs_20way", "--mode=test"], "mode"),
        (["--experiment=glyphs_20way", "--mode=evaluate"], "--workdir=DIR"),
        (["--experiment=glyphs_20way", "--mode=evaluate", "--workdir=/nowhere"], "/nowhere holds no run"),
        (["--flagfile=/nowhere.flags"], "/nowhere.flags"),
        (["--experiment=glyphs_20way", "--mode=evaluate", "--workdir=/a", "--workdir=/b"], "/b holds no run"),
        (["--experiment=glyphs_20way", "--output=a"], "--output is for --mode=report"),
        (["--experiment=glyphs_20way", "--checkpoint=best"], "--checkpoint is for --mode=evaluate"),
        (["--mode=evaluate", "--checkpoint=/nowhere"], "'/nowhere' is not a trained network"),
        (["--mode=evaluate", "--checkpoint=best", "--evaluation.validation_trials=20"], "cannot be changed by"),
        (["--mode=report"], "--mode=report needs --workdir=DIR"),
        (["--mode=report", "--workdir=a", "--output=b"], "the report of one run is written into its --workdir"),
        (["--mode=report", "--workdir=a", "--checkpoint=b"], "--checkpoint cannot be used with --mode=report"),
        (["--mode=report", "--workdir=a", "--seed=3"], "--seed cannot be used with --mode=report"),
        (["--mode=report", "--workdir=a", "--experiment=glyphs_20way"], "--experiment cannot be used"),
        (["--mode=report", "--workdir=/nowhere"], "/nowhere holds no results"),
        (["--mode=report", "--workdir=/nowhere", "--workdir=/nowhere/"], "names /nowhere twice"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence_with_exit_code_2(flags, words):
    assert words in refused(run(*flags))


def test_any_field_can_be_overridden_and_short_names_stand_for_longer_ones():
    done = resolve(
        "--experiment=omniglot_20way", "--train_pairs=600", "--batch_size=32", "--network.conv2.filters=16",
        "--optimizer.layers.conv1.learning_rate=0.5", "--data.redraw", "--network.initialiser=paper",
        "--compute_dtype=bfloat16",
    )  # fmt: skip
    for text in (
        "'data.train_pairs': 600", "'batch_size': 32", "'network.conv2.filters': 16", "'data.redraw': True",
        "'optimizer.layers.conv1.learning_rate': 0.5", "'network.initialiser': 'paper'",
        "'network.compute_dtype': 'bfloat16'",
    ):  # fmt: skip
        assert text in done.stdout, done.stderr


@pytest.mark.parametrize("path", FLAG_FILES, ids=lambda path: path.stem)
def test_every_flag_file_builds_and_says_what_it_costs(path):
    done = resolve(f"--flagfile={path}")
    assert done.returncode == 0, done.stderr
    notes = [line for line in path.read_text().splitlines() if line.startswith("#")]
    for word in ("command", "cost", "result"):
        assert any(note.startswith(f"# {word}: ") and "PLACEHOLDER" not in note for note in notes), word


def test_a_renamed_experiment_is_found_by_its_old_name_which_says_so():
    done = resolve("--experiment=omniglot_20way_paper_allpairs")
    assert "'name': 'omniglot_20way_paper_n_way'" in done.stdout
    assert done.stderr == "omniglot_20way_paper_allpairs is now called omniglot_20way_paper_n_way\n"


def test_the_later_of_a_short_and_a_long_name_counts():
    done = resolve("--experiment=glyphs_20way", "--train_pairs=600", "--data.train_pairs=1600")
    assert "'data.train_pairs': 1600" in done.stdout


def test_a_run_can_be_evaluated_with_the_fields_it_was_trained_with(tmp_path):
    trained = specs.with_value(EXPERIMENTS["glyphs_20way"], "network.conv2.filters", 16)
    write_experiment(tmp_path, trained)
    evaluate = ["--experiment=glyphs_20way", "--mode=evaluate", f"--workdir={tmp_path}"]
    assert "'network.conv2.filters': 16" in resolve(*evaluate).stdout
    assert "'evaluation.random_trials': 40" in resolve(*evaluate, "--evaluation.random_trials=40").stdout
    assert "--seed cannot be changed" in refused(run(*evaluate, "--seed=3"))
    assert "give --experiment=glyphs_20way" in refused(run("--experiment=omniglot_20way", *evaluate[1:]))


def test_a_run_is_evaluated_without_its_experiment_being_named(tmp_path):
    trained = specs.with_value(EXPERIMENTS["glyphs_20way"], "network.conv2.filters", 16)
    write_experiment(tmp_path, trained)
    assert "'network.conv2.filters': 16" in resolve("--mode=evaluate", f"--workdir={tmp_path}").stdout
    assert "/nowhere holds no run" in refused(run("--mode=evaluate", "--workdir=/nowhere"))
    assert "--workdir=DIR" in refused(run("--mode=evaluate"))


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "glyphs_20way", "optimizer": {"decay": "x"}}'])
def test_a_damaged_experiment_json_is_a_sentence(tmp_path, text):
    (tmp_path / "experiment.json").write_text(text)
    said = refused(run("--experiment=glyphs_20way", "--mode=evaluate", f"--workdir={tmp_path}"))
    assert "experiment.json" in said


def test_the_command_that_runs_it_again_names_what_was_changed_and_resolves_to_the_same():
    experiment = EXPERIMENTS["glyphs_20way"]
    for name, value in {"seed": 3, "data.redraw": False, "distort.scale": 0.1, "network.initialiser": "paper"}.items():
        experiment = specs.with_value(experiment, name, value)
    words = shlex.split(replay(experiment))
    described_otherwise = specs.with_value(experiment, "expected", "what an earlier version said")
    assert shlex.split(replay(described_otherwise)) == words
    assert words[:3] == ["python", "-m", "siamese_jax.main"]
    assert len(words) == 3 + 1 + 4
    assert resolve(*words[3:]).stdout == f"{dict(specs.leaves(experiment))}\n"


def test_a_flag_file_that_is_no_text_is_a_sentence(tmp_path):
    (tmp_path / "picture.png").write_bytes(bytes(range(256)))
    assert "not text" in refused(run(f"--flagfile={tmp_path / 'picture.png'}"))


def test_flags_after_a_flag_file_override_it():
    path = ROOT / "experiments" / "omniglot_20way_small.flags"
    assert "'seed': 7" in resolve(f"--flagfile={path}", "--seed=7").stdout


def test_mistakes_are_answered_before_anything_heavy_is_imported():
    refused(run("--experiment=glyphs_20way", "--seed=-1"))
    code = "import sys, siamese_jax.main; assert not {'jax', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
