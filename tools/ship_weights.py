"""Writes a finished run's network into the package, with its model card: WORKDIR -> siamese_jax/weights/NAME.

    python tools/ship_weights.py --workdir=runs/… --name=best

The commit is that of the checkout, which must have no changes: the weights are of an experiment as committed.
"""

import argparse
import dataclasses
import json
import subprocess
from pathlib import Path

from siamese_jax import loop, pretrained
from siamese_jax.written import read_experiment


def main() -> None:
    """Reads the run, writes the folder, and says where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="a run that is finished")
    parser.add_argument("--name", required=True, help="what --checkpoint will call it")
    parser.add_argument("--commit", help="the commit that trained it (default: that of the checkout)")
    flags = parser.parse_args()
    experiment = read_experiment(flags.workdir)
    fitted = loop.read_fitted(experiment, experiment.data.image_side, flags.workdir)
    results = json.loads((flags.workdir / "results.json").read_text())
    if fitted is None or fitted.history.stopped_by(experiment) == "not finished":
        raise SystemExit(f"{flags.workdir} is not finished")
    commit = flags.commit or _commit()
    card = pretrained.make_card(
        flags.name, experiment, fitted.step, dataclasses.asdict(fitted.history), results, commit
    )
    folder = pretrained.FOLDER / flags.name
    pretrained.write(folder, experiment, fitted.params, card)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"written: {folder}, {size / 1e6:.1f} MB")


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()

    if git("status", "--porcelain", "siamese_jax"):
        raise SystemExit("siamese_jax has changes that are not committed: commit them, or give --commit")
    return git("rev-parse", "--short=10", "HEAD")


if __name__ == "__main__":
    main()
