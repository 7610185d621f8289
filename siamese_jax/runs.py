"""Jobs as functions: train, resume, evaluate, measure baselines. What a command can do, a program can.

They work in a notebook, in any thread, and more than once in a process. A run is a folder, the workdir.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from siamese_jax import checks, data, keys, pretrained
from siamese_jax.data.folder import table_of
from siamese_jax.devices import keep_compiled
from siamese_jax.errors import UserError
from siamese_jax.evaluation import doctor, figures, measure, one_shot
from siamese_jax.evaluation.embedder import Evaluator
from siamese_jax.experiments import replay
from siamese_jax.network.siamese import Params, build, init_params
from siamese_jax.records import Dataset, Images
from siamese_jax.report import write_report
from siamese_jax.results import RunResults, TrainingSummary
from siamese_jax.sampling import splits
from siamese_jax.specs import DataSpec, EvalSpec, Experiment, Folder, InMemory, leaves
from siamese_jax.storage import files
from siamese_jax.storage.checkpoint import Checkpoints
from siamese_jax.storage.experiment_file import read_experiment, read_written, write_experiment
from siamese_jax.storage.log import read_metrics
from siamese_jax.storage.workdir import check_not_in_use, opened
from siamese_jax.training import memory, sizes
from siamese_jax.training.fit import fit, read_fitted
from siamese_jax.training.listeners import Listener
from siamese_jax.training.start import adapted

Say = Callable[[str], Any]


def _silent(text: str) -> None:
    """Say nothing."""


@dataclasses.dataclass(frozen=True)
class Data:
    """Where the images of a run come from.

    Attributes:
      dataset: images in memory; None loads what the experiment names.
      data_dir: where prepared data are kept; None is TFDS's own folder.
      archives: folder with the published archives; None downloads them.
    """

    dataset: Dataset | None = None
    data_dir: str | None = None
    archives: str | None = None

    def load(self, spec: DataSpec) -> Dataset:
        """Return all images."""
        return data.load(spec, self.data_dir, self.archives) if self.dataset is None else self.dataset

    def described(self, experiment: Experiment) -> Experiment:
        """Return the experiment, with the shape of images in memory filled in; UserError where it has another one."""
        if self.dataset is None:
            return experiment
        shape = self.dataset.images.images.shape[1:]
        if isinstance(experiment.data, InMemory) and experiment.data.image_shape == (0, 0, 0):
            height, width, channels = shape
            filled = dataclasses.replace(experiment.data, height=height, width=width, channels=channels)
            return dataclasses.replace(experiment, data=filled)
        if shape != experiment.data.image_shape:
            raise UserError(
                f"the images in memory have shape {list(shape)}, and data.name={experiment.data.name} says "
                f"{list(experiment.data.image_shape)}: give images of that shape, or data=InMemory()"
            )
        return experiment

    def load_digits(self, side: int | None) -> Images:
        """Return MNIST's test digits, resized to side×side unless it is None."""
        return data.load_digits(side, self.data_dir, self.archives)


@dataclasses.dataclass(frozen=True)
class Run:
    """A network that was trained, or is being trained, with the folder it is written to.

    Attributes:
      experiment: as it was trained.
      workdir: the folder that holds everything the run leaves.
      params: the parameters of the best epoch.
      training: epochs, steps, seconds, and which epoch was best.
      data: where its images come from.
    """

    experiment: Experiment
    workdir: Path
    params: Params
    training: TrainingSummary
    data: Data = Data()

    def evaluate(self, evaluation: EvalSpec | None = None, say: Say = _silent) -> RunResults:
        """Measure the network under every protocol; write results, pictures and the report to the workdir.

        Args:
          evaluation: how to evaluate. None: the experiment's own. It never changes the validation trials.
          say: called with each line that a command would print.

        Returns:
          The results, as results.json holds them.

        Raises:
          UserError: the data cannot serve the evaluation, or the workdir cannot be written, or another run works in it.
        """
        keep_compiled()
        with opened(self.workdir):
            return self._evaluate(evaluation, say)

    def _evaluate(self, evaluation: EvalSpec | None, say: Say) -> RunResults:
        spec = self.experiment.evaluation if evaluation is None else evaluation
        checked = dataclasses.replace(self.experiment, evaluation=spec)
        checks.check_experiment(checked)
        memory.check_embedding(checked)
        dataset = self.data.load(self.experiment.data)
        sets = splits.split(dataset, self.experiment.data.author_split)
        checks.check_table(dataset, self.workdir)
        checks.check_evaluation(checked, sets)
        _announce(checked, self.workdir, say)
        if read_written(self.workdir) is None:  # a network that was trained elsewhere
            write_experiment(self.workdir, self.experiment)
        evaluator = Evaluator(build(self.experiment.network), spec.embed_batch, spec.combine)
        measurement = measure.measure_network(
            self.experiment,
            dataset,
            sets,
            evaluator,
            self.params,
            self.training,
            self.data.load_digits,
            replay(self.experiment),
            spec,
        )
        measure.write(self.workdir, measurement)
        rows = read_metrics(self.workdir)
        figures.plot_run(self.workdir, self.experiment, dataset, sets, evaluator, self.params, measurement, rows)
        write_report(self.workdir, self.experiment, measurement.results, rows)
        return measurement.results

    def model(self) -> pretrained.Model:
        """Return the network to use: to read images, embed them and compare them. UserError before `evaluate`."""
        return pretrained.of_run(self.experiment, self.params, self.workdir)


def train(
    experiment: Experiment,
    workdir: str | Path,
    *,
    dataset: Dataset | None = None,
    data_dir: str | None = None,
    archives: str | None = None,
    listeners: Sequence[Listener] = (),
    if_slow: str = "",
    say: Say = _silent,
) -> Run:
    """Train a network. If the workdir holds an unfinished run, resume it.

    Args:
      experiment: what to train, for example `siamese_jax.find("glyphs_20way")` with fields replaced.
      workdir: where everything is written. A run that was stopped resumes there, and ends with the same bits.
      dataset: images in memory; None loads what `experiment.data` names.
      data_dir: where prepared data are kept; None is TFDS's own folder.
      archives: folder with the published archives; None downloads them.
      listeners: called with a `training.loop.Pause` after some steps, and at the end of every epoch.
      if_slow: a hint, printed once if a run on a CPU will take more than an hour.
      say: called with each line that a command would print.

    Returns:
      The run. Its `evaluate` measures the network.

    Raises:
      UserError: the experiment, the data or the workdir cannot be used, or training has diverged.
      errors.Stopped: after SIGINT or SIGTERM in the main thread, when the state has been saved.
    """
    keep_compiled()
    workdir, source = Path(workdir), Data(dataset, data_dir, archives)
    if experiment.method != "siamese":
        raise UserError(f"{experiment.name} trains no network: call measure_baselines instead of train")
    experiment = source.described(experiment)
    checks.check_experiment(experiment)
    memory.check_network(experiment)
    with Checkpoints(workdir) as checkpoints:
        checks.check_workdir(experiment, workdir, but=sizes.SIZED if isinstance(experiment.data, Folder) else ())
        loaded = source.load(experiment.data)
        sets = splits.split(loaded, experiment.data.author_split)
        experiment = sizes.sized(experiment, sets)
        checks.check_workdir(experiment, workdir)
        checks.check_table(loaded, workdir)
        checks.check_training(experiment, sets)
        checks.check_evaluation(experiment, sets)
        _announce(experiment, workdir, say)
        for line in (*loaded.notes, *_examined(sets), *sizes.advice(experiment, sets)):
            say(line)
        write_experiment(workdir, experiment)
        if loaded.files and not (workdir / checks.TABLE).exists():  # else `check_table` has found it to be the same
            files.write_text(workdir / checks.TABLE, table_of(loaded))
        spec = experiment.evaluation
        validate = functools.partial(
            one_shot.validation_accuracy,
            Evaluator(build(experiment.network), spec.embed_batch, spec.combine),
            images=sets["validation"],
            episodes=one_shot.validation_episodes(experiment, sets["validation"]),
        )
        start = _start(experiment, say) if experiment.start_from and checkpoints.latest is None else None
        fitted = fit(experiment, sets["train"], validate, checkpoints, listeners, if_slow, start)
    training = measure.training_summary(experiment, fitted)
    return Run(experiment, workdir, fitted.params, training, dataclasses.replace(source, dataset=loaded))


def resume(workdir: str | Path, **how: Any) -> Run:
    """Continue the training of a workdir with the fields that it was begun with; see `train` for the arguments."""
    return train(read_experiment(Path(workdir)), workdir, **how)


def open_run(
    workdir: str | Path,
    *,
    name: str | None = None,
    dataset: Dataset | None = None,
    data_dir: str | None = None,
    archives: str | None = None,
) -> Run:
    """Return the run of a workdir as its newest checkpoint has it, to be evaluated.

    Args:
      workdir: the folder that a training wrote.
      name: the experiment that it must be of. None: any.
      dataset: images in memory; None loads what the experiment names.
      data_dir: where prepared data are kept; None is TFDS's own folder.
      archives: folder with the published archives; None downloads them.

    Raises:
      UserError: the folder holds no run, or no checkpoint yet, or the run is still training.
    """
    workdir, source = Path(workdir), Data(dataset, data_dir, archives)
    check_not_in_use(workdir)
    experiment = source.described(read_experiment(workdir, name))
    checks.check_experiment(experiment)
    fitted = read_fitted(experiment, workdir)
    if fitted is None:
        raise UserError(f"{workdir} holds no checkpoint yet: train it first, without --mode=evaluate")
    return Run(experiment, workdir, fitted.params, measure.training_summary(experiment, fitted), source)


def open_checkpoint(name: str, workdir: str | Path, *, data_dir: str | None = None, archives: str | None = None) -> Run:
    """Return a network that was trained elsewhere as a run, to be evaluated into a workdir of its own.

    Args:
      name: as `load_pretrained` takes it.
      workdir: where its results are written.
      data_dir: where prepared data are kept; None is TFDS's own folder.
      archives: folder with the published archives; None downloads them.

    Raises:
      UserError: there is no such network, or the workdir holds another run.
    """
    workdir = Path(workdir)
    if (workdir / "metrics.jsonl").exists():
        raise UserError(f"{workdir} holds a run of its own: choose another --workdir for --checkpoint")
    model = pretrained.read(name)
    experiment, training = model.experiment, model.card.results.training
    assert training is not None  # `pretrained.read` has checked it
    checks.check_workdir(experiment, workdir)
    return Run(experiment, workdir, model.params, training, Data(None, data_dir, archives))


def measure_baselines(
    experiment: Experiment,
    workdir: str | Path,
    *,
    dataset: Dataset | None = None,
    data_dir: str | None = None,
    archives: str | None = None,
    say: Say = _silent,
) -> RunResults:
    """Measure the untrained baselines; write results and the report to the workdir.

    Args:
      experiment: which images and which trials.
      workdir: where everything is written.
      dataset: images in memory; None loads what `experiment.data` names.
      data_dir: where prepared data are kept; None is TFDS's own folder.
      archives: folder with the published archives; None downloads them.
      say: called with each line that a command would print.

    Raises:
      UserError: the experiment, the data or the workdir cannot be used.
    """
    workdir, source = Path(workdir), Data(dataset, data_dir, archives)
    experiment = source.described(experiment)
    checks.check_experiment(experiment)
    with opened(workdir):
        checks.check_workdir(experiment, workdir)
        loaded = source.load(experiment.data)
        sets = splits.split(loaded, experiment.data.author_split)
        _announce(experiment, workdir, say)
        write_experiment(workdir, experiment)
        measurement = measure.measure_baselines(experiment, loaded, sets, source.load_digits, replay(experiment))
        measure.write(workdir, measurement)
        write_report(workdir, experiment, measurement.results, [])
    return measurement.results


def _examined(sets: dict[str, Images]) -> list[str]:
    """Return warnings about the sets of images that were not split as they were released."""
    return [] if sets["train"].origins else doctor.examine_sets(sets)


def _start(experiment: Experiment, say: Say) -> Params:
    """Return the parameters of the network that training starts from, adapted to the experiment's network."""
    trained = pretrained.read(experiment.start_from).params
    fresh = init_params(keys.root_key(experiment.seed), experiment.network, experiment.data.image_shape)
    params, new = adapted(trained, fresh)
    say(f"starting from {experiment.start_from}" + (f", with random {', '.join(new)}" if new else ""))
    return params


def _announce(experiment: Experiment, workdir: Path, say: Say) -> None:
    """Say every field, when nothing is known to be wrong with them: a mistake would be lost above the list."""
    for name, value in leaves(experiment):
        say(f"{name} = {value}")
    say(f"workdir = {workdir}")
