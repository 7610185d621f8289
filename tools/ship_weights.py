"""Write a finished run's network into the package, with its model card: WORKDIR -> siamese_jax/weights/NAME.

python tools/ship_weights.py --workdir=runs/… --name=best --commit=HASH

Without --commit, WORKDIR is an evaluation of the packaged network itself (--mode=evaluate --checkpoint=NAME). Then its
decisions are added to the card, if every other figure is the one that the card has.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from siamese_jax import pretrained
from siamese_jax.errors import UserError
from siamese_jax.report.model_card import make_card
from siamese_jax.runs import open_run
from siamese_jax.storage.results_file import read_results


def ship(workdir: Path, name: str, commit: str, into: Path) -> Path:
    """Write the network of a run with its card; return the folder.

    Args:
      workdir: The folder of a finished run that was evaluated.
      name: Name of the network.
      commit: Commit of the code that trained it.
      into: Where the folder `name` is made.

    Raises:
      UserError: The run is not finished, or was not evaluated.
    """
    run = open_run(workdir)
    results = read_results(workdir)
    if run.training.stopped_by == "not finished":
        raise UserError(f"{workdir} is not finished: continue it with --workdir={workdir}")
    if results.training != run.training:
        raise UserError(f"{workdir} was trained further than its results say: evaluate it with --mode=evaluate")
    folder = into / name
    pretrained.write(folder, run.experiment, run.params, make_card(name, run.experiment, results, commit))
    return folder


def add_decisions(workdir: Path, name: str, into: Path) -> Path:
    """Add the decisions of an evaluation to the card of a packaged network; return its folder.

    Args:
      workdir: The folder of the evaluation.
      name: Name of the network.
      into: The folder of all packaged networks.

    Raises:
      UserError: There is no such network or evaluation, or another figure differs from the card's.
    """
    model, measured = pretrained.read(into / name), read_results(workdir)
    card = model.card
    same = dataclasses.replace(measured, decisions=card.results.decisions, environment=card.results.environment)
    for field in dataclasses.fields(same):
        if getattr(same, field.name) != getattr(card.results, field.name):
            raise UserError(f"{workdir} differs from the card of {name} in {field.name}: evaluate {name} again")
    results = dataclasses.replace(card.results, decisions=measured.decisions)
    pretrained.write_card(into / name, dataclasses.replace(card, results=results), model.channels)
    return into / name


def main(argv: Sequence[str] | None = None) -> None:
    """Ship what the flags say, and print where it was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="a finished run, or an evaluation")
    parser.add_argument("--name", required=True, help="name of the network, as --checkpoint will take it")
    parser.add_argument("--commit", help="commit of the code that trained it")
    parser.add_argument("--into", type=Path, default=pretrained.FOLDER, help="folder of all packaged networks")
    flags = parser.parse_args(argv)
    try:
        if flags.commit:
            folder = ship(flags.workdir, flags.name, flags.commit, flags.into)
        else:
            folder = add_decisions(flags.workdir, flags.name, flags.into)
    except UserError as error:
        sys.exit(str(error))
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"written: {folder}, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
