"""Draws docs/trial.png: the first trial of Omniglot's official runs, with the scores of the packaged network.

python tools/draw_trial.py [--archives=DIR]
"""

import argparse
from pathlib import Path

from scipy.special import softmax

import siamese_jax
from siamese_jax import data, plots

PICTURE = Path(__file__).parent.parent / "docs" / "trial.png"


def main() -> None:
    """Score the trial, draw it, and say which answer the network gave."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archives", help="a folder with Omniglot's archives (default: none, they are downloaded)")
    parser.add_argument("--data_dir", help="where prepared data are kept (default: TFDS's own)")
    flags = parser.parse_args()
    model = siamese_jax.load_pretrained("best")
    dataset = data.load(model.experiment.data, flags.data_dir, flags.archives)
    pixels, episodes = dataset.images.images, dataset.episodes
    query, supports = pixels[episodes.query[0, 0]], pixels[episodes.support[0, :, 0]]
    scores = model.scores(model.embed(query[None]), model.embed(supports))[0]
    answer = int(episodes.answer[0, 0])
    title = "One query and the supports of 20 characters"
    figure = plots.trial_figure(query, supports, softmax(scores), answer, title, "softmax of the scores")
    plots.save(figure, PICTURE)
    print(f"written: {PICTURE}; the answer is {'right' if scores.argmax() == answer else 'wrong'}")


if __name__ == "__main__":
    main()
