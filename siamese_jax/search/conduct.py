"""A search from its plan to its winner: work on the study, write the findings, train and measure the winner."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from siamese_jax import data, interrupts, runs
from siamese_jax.devices import keep_compiled
from siamese_jax.records import Images
from siamese_jax.sampling import splits
from siamese_jax.search import findings
from siamese_jax.search.plan import Plan
from siamese_jax.search.study import Study, find_study
from siamese_jax.search.worker import check_base, load_once, work
from siamese_jax.specs import DataSpec, Experiment
from siamese_jax.storage.files import explained
from siamese_jax.storage.workdir import InUseError


def run_search(
    plan: Plan,
    folder: str | Path,
    *,
    storage: str | None = None,
    data_dir: str | None = None,
    archives: str | None = None,
    say: Callable[[str], Any] = lambda text: None,
) -> None:
    """Work on a study until it is done; write what it found; train the winner and measure it on test.

    No test alphabet is read before the winner is trained.

    Args:
      plan: what is searched, and how; see `make_plan`.
      folder: where everything is written. The same call resumes a study that was stopped.
      storage: address of a PostgreSQL database that several workers share; None is a journal file in the folder.
      data_dir: where prepared data are kept; None is TFDS's own folder.
      archives: folder with the published archives; None downloads them.
      say: called with each line that a command would print.

    Raises:
      UserError: the plan, the data, the folder or the database cannot be used.
    """
    keep_compiled()
    folder = Path(folder)

    @load_once
    def load(spec: DataSpec) -> dict[str, Images]:
        return splits.split_untested(data.load_untested(spec, data_dir, archives), spec.author_split)

    def train_winner(experiment: Experiment, workdir: Path) -> None:
        runs.train(experiment, workdir, data_dir=data_dir, archives=archives, say=say).evaluate()

    with interrupts.terminations_raise():  # so that trials under way are given back
        check_base(plan, load)
        with Study(plan, folder, storage) as study:
            try:
                work(plan, study, load, say)
            finally:
                findings.write_findings(study.study, folder)
            for seed in plan.winner_seeds:
                _run_winner(study, folder, seed, train_winner, say)
    if plan.winner_seeds:
        report_study(plan.name, folder, storage)


def report_study(name: str, folder: str | Path, storage: str | None = None) -> None:
    """Write the report of a study again, from its record and from what its winner's runs have left."""
    findings.write_findings(find_study(name, Path(folder), storage), Path(folder))


def _run_winner(
    study: Study, folder: Path, seed: int, train: Callable[[Experiment, Path], None], say: Callable[[str], Any]
) -> None:
    """Train and measure the winner with a seed, unless that is done, or another worker does it."""
    best, winner = findings.best_trial(study.study), findings.winner_of(study.study)
    if best is None or winner is None:
        return
    workdir = findings.winner_folder(folder, best.number, seed)
    if (workdir / "report.html").exists():  # it is written last
        return
    elsewhere = f"the winner with seed {seed} is trained by another worker"
    if not workdir.exists() and not study.claims_winner(best.number, seed):
        say(elsewhere)
        return
    with explained(workdir):
        workdir.mkdir(parents=True, exist_ok=True)  # then any worker may resume it
    try:
        train(dataclasses.replace(winner, seed=seed), workdir)
    except InUseError:
        say(elsewhere)
