"""What was published, in per cent.

The paper's figures were read in secondary copies (one prints 93.15 for 30,000 pairs, too). Lake et al. (2015) is
"Human-level concept learning through probabilistic program induction", Shyam et al. (2017) "Attentive recurrent
comparators"; Lake's errors stand here as accuracies, 100 minus the error.
"""

TABLE_1 = {30_000: (90.61, 91.90), 90_000: (91.54, 93.15), 150_000: (91.63, 93.42)}
"""Verification on the test set: training pairs -> (no distortions, 8 distorted copies of each pair)."""

TABLE_2 = {
    "humans": 95.5,
    "hierarchical Bayesian program learning": 95.2,
    "convolutional siamese net (the paper's own)": 92.0,
    "affine model": 81.8,
    "hierarchical deep": 65.2,
    "deep Boltzmann machine": 62.0,
    "siamese neural net, not convolutional": 58.3,
    "simple stroke": 35.2,
    "1-nearest neighbour": 21.7,
}
"""Omniglot 20-way within-alphabet one-shot."""

ELSEWHERE = {
    "attentive recurrent comparators": (98.5, "Shyam et al. 2017"),
    "Bayesian program learning": (96.7, "Lake et al. 2015"),
    "deep convnet": (86.5, "Lake et al. 2015"),
    "modified Hausdorff distance": (61.2, "Lake et al. 2015"),
}
"""What others published of the same runs, and who."""

SMALL_BACKGROUNDS = {
    "Bayesian program learning, 5 background alphabets (set 1)": (95.7, "Lake et al. 2015"),
    "Bayesian program learning, 5 background alphabets (set 2)": (96.0, "Lake et al. 2015"),
    "deep convnet, 5 background alphabets (set 1)": (76.0, "Lake et al. 2015"),
    "deep convnet, 5 background alphabets (set 2)": (77.7, "Lake et al. 2015"),
}
"""What was published of the same runs after training on a small background."""

TABLE_3 = {"convolutional siamese net (the paper's own)": 70.3, "1-nearest neighbour": 26.5}
"""MNIST 10-way one-shot, with no fine-tuning."""
