"""How an experiment differs from what the paper states, and what was chosen where the paper is silent."""

from siamese_jax.report.tables import ranges, value
from siamese_jax.sampling import splits
from siamese_jax.specs import (
    AdamW,
    Contrastive,
    Conv,
    ConvSpec,
    Dense,
    Experiment,
    LossSpec,
    NetSpec,
    PaperSGD,
    Residual,
    Tower,
    Triplet,
    leaves,
)

PAPER = Experiment(
    name="paper", summary="", cost_cpu="", cost_gpu="", expected="", network=NetSpec(initialiser="paper")
)
DIFFERENCES = {
    "data.name": "The data source is `{ours}`; the paper's is Omniglot.",
    "data.background": "Training uses the five background alphabets of set `{ours}`; the paper uses all 30.",
    "data.downsample": "Blocks of {ours}×{ours} pixels are averaged, which gives {image_side}×{image_side} pixels; the "
    "paper's images have 105×105.",
    "data.side": "Images are resized to {ours}×{ours} pixels; the paper's have 105×105.",
    "data.rotations": "Alphabets are rotated by multiples of 90°, as new classes; the paper does not do this.",
    "data.drawer_split": "Training uses drawers {train}, validation {validation} and test {test} (`{ours}` split); the "
    "paper trains on 12 drawers, validates on 4 and tests on the last 4.",
    "data.train_pairs": "The training set has {ours} pairs; the paper's largest has {paper}.",
    "data.validation_pairs": "Verification is validated on {ours} pairs; the paper uses {paper}.",
    "data.test_pairs": "Verification is tested on {ours} pairs; the paper uses {paper}.",
    "data.redraw": "Every epoch samples new pairs, with the same proportion distorted; the paper has one fixed set.",
    "distort.copies": "Each training pair has {ours} distorted copies; the paper's best networks have {paper}.",
    "distort.probability": "Each component of a distortion is included with probability {ours}; in the paper {paper}.",
    "distort.rotation": "Distortions rotate by up to {ours}°; the paper's by up to {paper}°.",
    "distort.shear": "Distortions shear by up to {ours}; the paper's by up to {paper}.",
    "distort.scale": "Distortions scale by 1 ± {ours}; the paper's by 1 ± {paper}.",
    "distort.translation": "Distortions translate by up to {ours} pixels; the paper's by up to {paper}.",
    "distort.colour": "Distortions change saturation and the channels by up to {ours}; the paper's images have one "
    "channel.",
    "distort.elastic": "Distortions include elastic ones, with a standard deviation of {ours} pixels at points "
    "{elastic_scale} pixels apart; the paper's are affine only.",
    "network.tower": "{tower}.",
    "network.head": "The units of an embedding are {ours}; the paper's are sigmoids.",
    "network.energy": "Embeddings are compared by `{ours}`; the paper uses a weighted L1 distance.",
    "loss.name": "Training minimises {loss}; the paper minimises the cross-entropy of p(same) of pairs.",
    "network.units": "An embedding has {ours} units; the paper's has {paper}.",
    "network.initialiser": "Initial weights are `{ours}` (variances by fan-in), because the paper's saturate most "
    "sigmoids.",
    "network.compute_dtype": "The tower computes in {ours}; its parameters, gradients and embeddings are float32.",
    "optimizer.name": "{optimizer}; the paper uses SGD with a learning rate, a momentum and a penalty per layer.",
    "optimizer.average": "The running mean of the weights is evaluated, with decay {ours} per step; the paper "
    "evaluates the weights.",
    "optimizer.decay": "Learning rates are multiplied by {ours} per epoch; the paper's by {paper}.",
    "optimizer.initial_momentum": "Momentum starts at {ours}; the paper's at {paper}.",
    "evaluation.n_way": "Random and validation trials are {ours}-way; the paper's are {paper}-way.",
    "evaluation.k_shot": "Random and validation trials have {ours} supports per character; the paper's have {paper}.",
    "evaluation.validation_trials": "Each epoch is validated on {ours} trials; the paper uses {paper}.",
    "start_from": "Training starts from the network `{ours}`; the paper's starts from random weights.",
    "batch_size": "A minibatch has {ours} pairs; the paper's has {paper}.",
    "max_epochs": "Training lasts at most {ours} epochs; the paper's at most {paper}.",
    "patience": "Training stops after {ours} epochs without improvement; the paper's after {paper}.",
}
"""A sentence for each field in which an experiment can differ from the paper; `_convolutions` has some more."""

GRID_LOSSES = {
    "all_pairs": "the cross-entropy of p(same) of all pairs in a batch of {grid}, with each image embedded once",
    "n_way": "the N-way softmax loss of one-shot choices in a batch of {grid}, with each image embedded once, so that "
    "the sigmoid of a logit is not a probability",
}


def differences(experiment: Experiment) -> list[str]:
    """Return one sentence for each way in which an experiment differs from what the paper states."""
    ours, paper = dict(leaves(experiment)), dict(leaves(PAPER))
    drawers = {name: ranges(numbers) for name, numbers in splits.DRAWERS[experiment.data.author_split].items()}
    differing = [
        name
        for name in DIFFERENCES
        if name in ours and name in paper and ours[name] != paper[name] and name not in _without_effect(experiment)
    ]
    words = {**drawers, **_words(experiment)}
    return [
        DIFFERENCES[name].format(ours=value(ours[name]), paper=value(paper[name]), **words) for name in differing
    ] + _convolutions(experiment.network.tower)


def choices(experiment: Experiment) -> list[str]:
    """Return one sentence for each choice where the paper is silent."""
    data, tower, loss, optimizer = experiment.data, experiment.network.tower, experiment.loss, experiment.optimizer
    if loss.of_grids:
        sentences = [f"An epoch is {data.epoch_steps:,} steps, because grid batches have no fixed set to pass over."]
        if experiment.distort.copies:
            sentences.append("Every image of a batch is distorted independently; no image stays undistorted.")
    else:
        two = "two drawers, like those of a" if data.different_drawers else "any drawers, unlike those of a"
        sentences = [f'The images of a "different" pair come from {two} "same" pair.']
    if isinstance(optimizer, PaperSGD):
        covered = "weights and biases" if optimizer.l2_on_biases else "weights, not biases"
        sentences += [
            f"Momentum rises to its final value over {_epochs(optimizer.momentum_epochs)}.",
            f"The L2 penalty covers {covered}.",
        ]
    if isinstance(tower, Dense):
        sentences.append(f"The dense tower has two hidden layers of {tower.hidden:,} ReLUs.")
    if isinstance(loss, Contrastive | Triplet):
        sentences.append(f"The margin of the loss is {loss.margin:g}.")
    if isinstance(optimizer, PaperSGD) and optimizer.layers:
        sentences.append(
            "Learning rates, momenta and penalties were set by hand: the paper found its own by a search, and did not "
            "publish them."
        )
    return sentences


def _epochs(count: int) -> str:
    return f"{count} epoch{'s'[: count != 1]}"


def _without_effect(experiment: Experiment) -> set[str]:
    """Return the fields that have no effect, because of the values of others."""
    fields = set()
    if not experiment.distort.copies:
        fields |= {name for name in DIFFERENCES if name.startswith("distort.")} - {"distort.copies"}
    if experiment.loss.of_grids:
        fields |= {"data.train_pairs", "data.redraw", "batch_size"}
    return fields


def _words(experiment: Experiment) -> dict[str, object]:
    """Return what the sentences need beside the values of their own field."""
    data = experiment.data
    return {
        "image_side": data.image_shape[0],
        "elastic_scale": experiment.distort.elastic_scale,
        "tower": _tower(experiment.network.tower),
        "loss": _loss(experiment.loss).format(
            grid=f"{data.batch_alphabets} alphabets × {data.batch_characters} characters × {data.batch_drawers} drawers"
        ),
        "optimizer": _optimizer(experiment),
    }


def _tower(tower: Tower) -> str:
    if isinstance(tower, Residual):
        return (
            f"The tower is `residual`: {tower.stages} stages of two 3×3 convolutions with a skip connection, the first "
            f"of {tower.width} filters, `{tower.normalisation}` normalisation"
        )
    return f"The tower is `{tower.name}`" + (", without convolutions" if isinstance(tower, Dense) else "")


def _loss(loss: LossSpec) -> str:
    if loss.of_distances:
        return f"the `{loss.name}` loss of distances, so that the sigmoid of a logit is not a probability"
    return GRID_LOSSES.get(loss.name, f"`{loss.name}`")


def _optimizer(experiment: Experiment) -> str:
    spec, last = experiment.optimizer, experiment.network.tower.last_layer
    if not isinstance(spec, AdamW):
        return f"The optimizer is `{spec.name}`"
    rises = f", rising for {100 * spec.warmup:g} % of all steps" if spec.schedule == "one_cycle" else ""
    of_last = f", {spec.fc_rate:g} times as high in {last}" if spec.fc_rate != 1 else ""
    clip = f", gradients clipped to a norm of {spec.clip:g}" if spec.clip else ""
    return (
        f"The optimizer is AdamW, with learning rates up to {spec.rate:g} (`{spec.schedule}`{rises}{of_last}), weight "
        f"decay {spec.weight_decay:g}{clip}"
    )


def _convolutions(tower: Tower) -> list[str]:
    if not isinstance(tower, Conv):
        return []

    def words(conv: ConvSpec) -> str:
        return f"{conv.filters} filters of {conv.size}×{conv.size} {'with' if conv.pool else 'without'} a pool"

    paper = Conv().convs
    return [
        f"{name} has {words(ours)}; the paper's has {words(paper[name])}."
        for name, ours in tower.convs.items()
        if ours != paper[name]
    ]
