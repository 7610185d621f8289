"""How an experiment differs from what the paper states, and what was chosen where the paper is silent."""

from siamese_jax.report.tables import ranges, value
from siamese_jax.sampling import splits
from siamese_jax.specs import Experiment, NetSpec, leaves

PAPER = Experiment(
    name="paper", summary="", cost_cpu="", cost_gpu="", expected="", network=NetSpec(initialiser="paper")
)
DIFFERENCES = {
    "data.name": "The images are {ours}, not Omniglot.",
    "data.background": "Training is on five background alphabets (set `{ours}`); the paper's is on all 30.",
    "data.downsample": "Images are averaged down by {ours} to {image_side}×{image_side} pixels; the paper's are "
    "105×105.",
    "data.side": "Images are resized to {ours}×{ours} pixels; the paper's are 105×105.",
    "data.rotations": "Whole alphabets are turned by multiples of 90°, as new ones; the paper turns none.",
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
    "distort.elastic": "Distortions are elastic, too, by a standard deviation of {ours} pixels at points "
    "{elastic_scale} pixels apart; the paper's are affine alone.",
    "network.tower": "{tower}.",
    "network.head": "The units of an embedding are {ours}; the paper's are sigmoids.",
    "network.energy": "Embeddings are compared by `{ours}` distance; the paper's by weighted L1.",
    "loss.name": "Training minimises {loss}; the paper minimises the cross-entropy of p(same), pair by pair.",
    "network.units": "An embedding has {ours} units; the paper's has {paper}.",
    "network.initialiser": "Initial weights are `{ours}` (variances by fan-in), since the paper's start saturates most "
    "sigmoids.",
    "network.compute_dtype": "The twins compute in {ours}; their parameters, gradients and embeddings are float32.",
    "optimizer.name": "{adamw}; the paper's optimizer is SGD with a rate, a momentum and a penalty a layer.",
    "optimizer.average": "What is measured is the running mean of the weights, with decay {ours} a step; the paper "
    "measures the weights.",
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

TOWERS = {
    "dense": "The twins have no convolutions: their tower is `dense`",
    "residual": "The twins' tower is `residual`: {stages} stages of two 3×3 convolutions with a way around them, the "
    "first of {width} filters, `{normalisation}` normalisation",
}
LOSSES = {
    "all_pairs": "the cross-entropy of p(same) over all pairs of a batch of {grid}, each image embedded once",
    "n_way": "the cross-entropy of one-shot choices within a batch of {grid}, each image embedded once, so that "
    "p(same) is a score and no probability",
}
"""Said of a loss; the others are of distances."""


def differences(experiment: Experiment) -> list[str]:
    """Returns a sentence for each way in which an experiment differs from what the paper states."""
    ours, paper = dict(leaves(experiment)), dict(leaves(PAPER))
    drawers = {name: ranges(numbers) for name, numbers in splits.DRAWERS[experiment.data.drawer_split].items()}
    return [
        text.format(ours=value(ours[name]), paper=value(paper[name]), **drawers, **_words(experiment))
        for name, text in DIFFERENCES.items()
        if ours[name] != paper[name] and name not in _unused(experiment)
    ] + _convolutions(experiment.network)


def choices(experiment: Experiment) -> list[str]:
    """Returns a sentence for each choice where the paper is silent."""
    two, biases = experiment.data.different_drawers, experiment.optimizer.l2_on_biases
    if experiment.loss.of_grids:
        sentences = [
            f"There is no pass over a set: validation comes every {experiment.data.epoch_steps:,} steps, which count "
            "as an epoch."
        ]
        if experiment.distort.copies:
            sentences.append("Every image of a batch is distorted, each on its own; none is left as it is.")
    else:
        sentences = [
            f'The images of a "different" pair come from '
            f'{"two drawers, as those of a" if two else "any drawers, unlike a"} "same" pair.'
        ]
    if experiment.optimizer.name != "adamw":
        sentences += [
            f"Momentum rises to its final value over {_epochs(experiment.optimizer.momentum_epochs)}.",
            f"The L2 penalty covers {'weights and biases' if biases else 'weights, not biases'}.",
        ]
    if experiment.network.tower == "dense":
        sentences.append(
            f"A dense tower has two hidden layers of {experiment.network.hidden:,} ReLUs before its units."
        )
    if experiment.loss.name in ("contrastive", "triplet"):
        sentences.append(f"The loss asks for a margin of {experiment.loss.margin:g} between distances.")
    if experiment.optimizer.layers:
        sentences.append(
            "Learning rates, momenta and penalties were set by hand: the paper found its own by a search, and did not "
            "publish them."
        )
    return sentences


def _epochs(count: int) -> str:
    return f"{count} epoch{'s'[: count != 1]}"


def _unused(experiment: Experiment) -> set[str]:
    """Returns the fields that make no difference, given others."""
    unused = set()
    if not experiment.distort.copies:  # then how images would have been distorted makes none
        unused |= {name for name in DIFFERENCES if name.startswith("distort.")} - {"distort.copies"}
    if experiment.loss.of_grids:
        unused |= {"data.train_pairs", "data.redraw", "batch_size"}
    if experiment.optimizer.name == "adamw":
        unused |= {"optimizer.decay", "optimizer.initial_momentum"}
    return unused


def _words(experiment: Experiment) -> dict[str, object]:
    """Returns what stands in the sentences of more than one field."""
    data, network, optimizer = experiment.data, experiment.network, experiment.optimizer
    clip = f", its gradient cut down to a norm of {optimizer.clip:g}" if optimizer.clip else ""
    grid = f"{data.batch_alphabets} alphabets × {data.batch_characters} characters × {data.batch_drawers} drawers"
    of_distances = "the `{loss}` loss of distances, so that p(same) is a score and no probability"
    loss = LOSSES.get(experiment.loss.name, of_distances)
    return {
        "image_side": data.image_side,
        "elastic_scale": experiment.distort.elastic_scale,
        "tower": TOWERS.get(network.tower, "{tower}").format(**vars(network)),
        "loss": loss.format(loss=experiment.loss.name, grid=grid),
        "adamw": f"The optimizer is AdamW, with rates up to {optimizer.rate:g} (`{optimizer.schedule}`"
        + (f", rising for {100 * optimizer.warmup:g} % of all steps" if optimizer.schedule == "one_cycle" else "")
        + (f", {optimizer.fc_rate:g} times as high in fc" if optimizer.fc_rate != 1 else "")
        + f"), weight decay {optimizer.weight_decay:g}{clip}",
    }


def _convolutions(network: NetSpec) -> list[str]:
    def words(conv):
        return f"{conv.filters} filters of {conv.size}×{conv.size} {'with' if conv.pool else 'without'} a pool"

    return [
        f"{name} has {words(ours)}; the paper's has {words(PAPER.network.convs[name])}."
        for name, ours in network.convs.items()
        if ours != PAPER.network.convs[name]
    ]
