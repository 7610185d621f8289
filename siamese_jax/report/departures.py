"""How an experiment differs from what the paper states, and what was chosen where the paper is silent."""

from siamese_jax import splits
from siamese_jax.report.tables import ranges, value
from siamese_jax.specs import Experiment, NetSpec, leaves

PAPER = Experiment(
    name="paper", summary="", cost_cpu="", cost_gpu="", expected="", network=NetSpec(initialiser="paper")
)
DIFFERENCES = {
    "data.name": "The images are {ours}, not Omniglot.",
    "data.background": "Training is on five background alphabets (set `{ours}`); the paper's is on all 30.",
    "data.downsample": "Images are averaged down by {ours} to {side}×{side} pixels; the paper's are 105×105.",
    "data.drawer_split": "Training is by drawers {train}, validation by {validation} and test by {test} (`{ours}` "
    "split); the paper trains on 12 drawers, validates on 4 and tests on the last 4.",
    "data.train_pairs": "The training set has {ours} pairs; the paper's largest has {paper}.",
    "data.validation_pairs": "Verification is validated on {ours} pairs; the paper's is on {paper}.",
    "data.test_pairs": "Verification is tested on {ours} pairs; the paper's is on {paper}.",
    "data.redraw": "Every epoch is of pairs never seen before, distorted as often as in a fixed set; the paper sees "
    "one fixed set again each epoch.",
    "distort.copies": "Each training pair gets {ours} distorted copies; the paper's best networks have {paper}.",
    "distort.probability": "Each component of a distortion is included with probability {ours}; in the paper {paper}.",
    "distort.rotation": "Distortions rotate by up to {ours}°; the paper's by up to {paper}°.",
    "distort.shear": "Distortions shear by up to {ours}; the paper's by up to {paper}.",
    "distort.scale": "Distortions scale by 1 ± {ours}; the paper's by 1 ± {paper}.",
    "distort.translation": "Distortions translate by up to {ours} pixels; the paper's by up to {paper}.",
    "network.tower": "The twins have no convolutions: their tower is `{ours}`.",
    "network.energy": "Embeddings are compared by `{ours}` distance; the paper's by weighted L1.",
    "loss.name": "Training minimises the `{ours}` loss of distances, so that p(same) is a score and no probability; "
    "the paper minimises the cross-entropy of p(same).",
    "network.units": "An embedding has {ours} units; the paper's has {paper}.",
    "network.initialiser": "Initial weights are `{ours}` (variances by fan-in), since the paper's start saturates most "
    "sigmoids.",
    "network.compute_dtype": "The twins compute in {ours}; their parameters, gradients and embeddings are float32.",
    "optimizer.decay": "Learning rates are multiplied by {ours} an epoch; the paper's by {paper}.",
    "optimizer.initial_momentum": "Momentum starts at {ours}; the paper's at {paper}.",
    "evaluation.n_way": "Random and validation trials are {ours}-way; the paper's are {paper}-way.",
    "evaluation.k_shot": "Random and validation trials show {ours} images of each character; the paper's {paper}.",
    "evaluation.validation_trials": "Each epoch is judged on {ours} validation trials; the paper's on {paper}.",
    "batch_size": "A minibatch has {ours} pairs; the paper's has {paper}.",
    "max_epochs": "Training lasts at most {ours} epochs; the paper's at most {paper}.",
    "patience": "Training stops after {ours} epochs without gain; the paper's after {paper}.",
}
"""What is said of each field in which an experiment can differ from the paper; `_convolutions` says the rest."""


def differences(experiment: Experiment) -> list[str]:
    """Returns a sentence for each way in which an experiment differs from what the paper states."""
    ours, paper = dict(leaves(experiment)), dict(leaves(PAPER))
    drawers = {name: ranges(numbers) for name, numbers in splits.DRAWERS[experiment.data.drawer_split].items()}
    side = 105 // experiment.data.downsample
    # Without distorted copies, how they would have been distorted makes no difference.
    unused = set() if experiment.distort.copies else {n for n in paper if n.startswith("distort.")} - {"distort.copies"}
    return [
        text.format(ours=value(ours[name]), paper=value(paper[name]), side=side, **drawers)
        for name, text in DIFFERENCES.items()
        if ours[name] != paper[name] and name not in unused
    ] + _convolutions(experiment.network)


def choices(experiment: Experiment) -> list[str]:
    """Returns a sentence for each choice where the paper is silent."""
    two, biases = experiment.data.different_drawers, experiment.optimizer.l2_on_biases
    sentences = [
        f'The images of a "different" pair come from {"two drawers, as those of a" if two else "any drawers, unlike a"}'
        ' "same" pair.',
        f"Momentum rises to its final value over {_epochs(experiment.optimizer.momentum_epochs)}.",
        f"The L2 penalty covers {'weights and biases' if biases else 'weights, not biases'}.",
    ]
    if experiment.network.tower == "dense":
        sentences.append(
            f"A dense tower has two hidden layers of {experiment.network.hidden:,} ReLUs before its sigmoids."
        )
    if experiment.loss.name != "cross_entropy":
        sentences.append(f"The loss asks for a margin of {experiment.loss.margin:g} between distances.")
    if experiment.optimizer.layers:
        sentences.append(
            "Learning rates, momenta and penalties were set by hand: the paper found its own by a search, and did not "
            "publish them."
        )
    return sentences


def _epochs(count: int) -> str:
    return f"{count} epoch{'s'[: count != 1]}"


def _convolutions(network: NetSpec) -> list[str]:
    def words(conv):
        return f"{conv.filters} filters of {conv.size}×{conv.size} {'with' if conv.pool else 'without'} a pool"

    return [
        f"{name} has {words(ours)}; the paper's has {words(PAPER.network.convs[name])}."
        for name, ours in network.convs.items()
        if ours != PAPER.network.convs[name]
    ]
