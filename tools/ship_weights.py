"""Writes a finished run's network into the package, with its model card: WORKDIR -> siamese_jax/weights/NAME.

python tools/ship_weights.py --workdir=runs/… --name=best --commit=HASH
"""

import argparse
from pathlib import Path

from siamese_jax import pretrained
from siamese_jax.storage.experiment_file import read_experiment
from siamese_jax.storage.results_file import read_results
from siamese_jax.training.fit import read_fitted


def main() -> None:
    """Reads the run, writes the folder, and says where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="a run that is finished")
    parser.add_argument("--name", required=True, help="what --checkpoint will call it")
    parser.add_argument("--commit", required=True, help="of the code that trained it")
    flags = parser.parse_args()
    experiment = read_experiment(flags.workdir)
    fitted = read_fitted(experiment, experiment.data.image_side, flags.workdir)
    results = read_results(flags.workdir)
    if fitted is None or fitted.history.stopped_by(experiment) == "not finished":
        raise SystemExit(f"{flags.workdir} is not finished")
    card = pretrained.make_card(flags.name, experiment, results, flags.commit)
    folder = pretrained.FOLDER / flags.name
    pretrained.write(folder, experiment, fitted.params, card)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"written: {folder}, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
