"""Published accuracies in per cent, each written here once.

"The paper" is Koch, Zemel and Salakhutdinov (2015). Its figures were read in secondary copies, one of which has 93.15
for 30,000 pairs, too. Lake et al. (2015) is "Human-level concept learning through probabilistic program induction";
its errors are given here as accuracies, 100 minus the error. Shyam et al. (2017) is "Attentive recurrent comparators".
"""

PAPER_NETWORK = "convolutional siamese net (the paper's own)"

TABLE_1 = {30_000: (90.61, 91.90), 90_000: (91.54, 93.15), 150_000: (91.63, 93.42)}
"""Verification on the test set: training pairs -> (no distortions, 8 distorted copies of each pair)."""

TABLE_2 = {
    "humans": 95.5,
    "hierarchical Bayesian program learning": 95.2,
    PAPER_NETWORK: 92.0,
    "affine model": 81.8,
    "hierarchical deep": 65.2,
    "deep Boltzmann machine": 62.0,
    "siamese neural net, not convolutional": 58.3,
    "simple stroke": 35.2,
    "1-nearest neighbour": 21.7,
}
"""Omniglot, 20-way one-shot within an alphabet."""

TABLE_3 = {PAPER_NETWORK: 70.3, "1-nearest neighbour": 26.5}
"""MNIST, 10-way one-shot without fine-tuning."""

ELSEWHERE = {
    "attentive recurrent comparators": (98.5, "Shyam et al. 2017"),
    "Bayesian program learning": (96.7, "Lake et al. 2015"),
    "deep convnet": (86.5, "Lake et al. 2015"),
    "modified Hausdorff distance": (61.2, "Lake et al. 2015"),
}
"""The official runs in other papers: who -> (accuracy, source)."""

BPL_OF_FIVE, CONVNET_OF_FIVE = {1: 95.7, 2: 96.0}, {1: 76.0, 2: 77.7}
"""Lake et al. (2015) on the official runs after training on 5 alphabets, by the number of the background set."""

OF_FIVE = {
    f"{who}, 5 background alphabets (set {number})": (accuracy, "Lake et al. 2015")
    for who, by_set in (("Bayesian program learning", BPL_OF_FIVE), ("deep convnet", CONVNET_OF_FIVE))
    for number, accuracy in by_set.items()
}
"""The same in the form of ELSEWHERE."""
