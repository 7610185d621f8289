"""The registry: every experiment is a change of one base, the paper's, with what it costs and what came out of it."""

import difflib
from dataclasses import replace

from siamese_jax.specs import (
    ConvSpec,
    DataSpec,
    DistortSpec,
    EvalSpec,
    Experiment,
    LayerSpec,
    NetSpec,
    OptimizerSpec,
    UserError,
)

LAYERS = ("conv1", "conv2", "conv3", "conv4", "fc", "out")

# The paper's rates, momenta and penalties came from a search and are unpublished: these were set by hand.
BASE = Experiment(
    name="omniglot_20way",
    summary="the paper's network and recipe: 105×105, 150k pairs, ×9 with affine distortions",
    cost_cpu="PLACEHOLDER",
    cost_gpu="PLACEHOLDER",
    expected="PLACEHOLDER",
    optimizer=OptimizerSpec(layers=dict.fromkeys(LAYERS, LayerSpec(learning_rate=0.1, momentum=0.9, l2=1e-5))),
    log_steps=10,
)

# Section 4.4 of the paper reduces its network for 35×35 without saying how: here every filter is about a third as wide.
REDUCED = NetSpec(
    conv1=ConvSpec(32, 4, pool=True),
    conv2=ConvSpec(64, 3, pool=True),
    conv3=ConvSpec(64, 2, pool=True),
    conv4=ConvSpec(128, 2, pool=False),
    units=1024,
)

SMALL = replace(
    BASE,
    name="omniglot_20way_small",
    summary="35×35 by averaging 3×3 blocks, and a network reduced for it",
    cost_cpu="PLACEHOLDER",
    cost_gpu="PLACEHOLDER",
    expected="PLACEHOLDER",
    data=DataSpec(downsample=3, train_pairs=54_000, redraw=True),
    distort=DistortSpec(translation=2 / 3),
    network=REDUCED,
    # As much decay in 10 epochs as the paper has in 200, and a momentum that rises as early.
    optimizer=replace(BASE.optimizer, decay=0.82, momentum_epochs=1),
    max_epochs=10,
    log_steps=50,
)

GLYPHS = replace(
    SMALL,
    name="glyphs_20way",
    summary="the quick start: rendered glyphs (not handwriting) that the package draws itself, 35×35",
    cost_cpu="PLACEHOLDER",
    cost_gpu="PLACEHOLDER",
    expected="PLACEHOLDER",
    data=replace(SMALL.data, name="glyphs", train_pairs=14_400, validation_pairs=2_000, test_pairs=2_000),
    evaluation=EvalSpec(random_trials=2_000),
    max_epochs=5,
    log_steps=20,
)


BASELINES = replace(
    BASE,
    name="baselines_20way",
    summary="no training: nearest neighbour on pixels, and modified Hausdorff distance",
    cost_cpu="under a minute",
    cost_gpu="the same: it computes on the CPU",
    expected="official runs, 400 trials: nearest neighbour 19.0 %, modified Hausdorff distance 61.25 %",
    method="baselines",
)


def _verification(pairs: int, distorted: bool) -> Experiment:
    """A cell of the paper's table 1."""
    return replace(
        BASE,
        name=f"verification_{pairs // 1000}k{'_affine' if distorted else ''}",
        summary=f"table 1: {pairs // 1000}k pairs, {'×9 with affine distortions' if distorted else 'no distortions'}",
        cost_cpu="PLACEHOLDER",
        cost_gpu="PLACEHOLDER",
        expected="PLACEHOLDER",
        data=DataSpec(train_pairs=pairs),
        distort=DistortSpec(copies=8 if distorted else 0),
    )


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        BASE,
        SMALL,
        GLYPHS,
        BASELINES,
        *(_verification(pairs, distorted) for distorted in (False, True) for pairs in (30_000, 90_000, 150_000)),
    )
}

QUICK = ("omniglot_20way_small", "glyphs_20way")
"""What to suggest to someone for whom an experiment would take too long."""


def find(name: str) -> Experiment:
    """Returns the experiment of that name; UserError with the likeliest names if there is none."""
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    near = difflib.get_close_matches(name, EXPERIMENTS, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UserError(f"there is no experiment {name!r}: {hint}--list shows all")
