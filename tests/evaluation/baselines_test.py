import math

import numpy as np
import pytest

from siamese_jax import data
from siamese_jax.errors import UserError
from siamese_jax.evaluation.baselines import BASELINES, episode_scores, modified_hausdorff, nearest_neighbour
from siamese_jax.records import Episodes
from siamese_jax.specs import Omniglot
from siamese_jax.statistics.scores import credit


def draw(seed: int) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random((9, 9, 1)) < 0.2, 255, 0).astype(np.uint8)


def test_the_modified_hausdorff_distance_equals_a_loop_over_pixels():
    def ink(image):
        pixels = [(row, column) for row in range(9) for column in range(9) if image[row, column]]
        middle = [sum(p[axis] for p in pixels) / len(pixels) for axis in (0, 1)]
        return [(row - middle[0], column - middle[1]) for row, column in pixels]

    def directed(here, there):
        return sum(min(math.dist(a, b) for b in there) for a in here) / len(here)

    for left, right in ((draw(0), draw(1)), (draw(2), draw(3))):
        expected = max(directed(ink(left), ink(right)), directed(ink(right), ink(left)))
        np.testing.assert_allclose(modified_hausdorff(left, right), -expected)
        np.testing.assert_allclose(modified_hausdorff(right, left), -expected)


def test_the_modified_hausdorff_distance_is_zero_for_a_drawing_that_was_moved_and_refuses_a_blank_one():
    image = np.zeros((12, 12, 1), np.uint8)
    image[:9, :9] = draw(0)
    np.testing.assert_allclose(modified_hausdorff(image, np.roll(image, (2, 3), axis=(0, 1))), 0, atol=1e-12)
    with pytest.raises(UserError, match="no ink"):
        modified_hausdorff(image, np.zeros_like(image))


def test_the_nearest_neighbour_counts_the_pixels_that_differ():
    left, right = draw(0), draw(1)
    np.testing.assert_allclose(nearest_neighbour(left, right), -math.sqrt((left != right).sum()))
    assert nearest_neighbour(left, left) == 0


def test_a_class_scores_its_best_support():
    images = np.stack([draw(seed) for seed in range(6)])
    runs = Episodes(np.array([[[0, 1], [2, 3]]]), np.array([[4, 5]]), np.array([[0, 1]]))
    scores = episode_scores(nearest_neighbour, images, runs)
    for q in (0, 1):
        for way, shots in enumerate([(0, 1), (2, 3)]):
            assert scores[0, q, way] == max(nearest_neighbour(images[4 + q], images[s]) for s in shots)


@pytest.mark.parametrize(("name", "correct"), [("modified_hausdorff", 245), ("nearest_neighbour", 76)])
def test_on_the_official_runs_the_baselines_give_the_published_error(prepared_omniglot, name, correct):
    """The self-check of the whole evaluator: Lake et al. publish an error of 38.8 %, which is 155 of 400."""
    images, runs, *_ = data.load(Omniglot(), prepared_omniglot)
    scores = episode_scores(BASELINES[name], images.images, runs)
    assert credit(scores, runs.answer).sum() == correct
