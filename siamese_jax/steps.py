"""The train step and its start: free pure functions, not yet jitted."""

import jax
import jax.numpy as jnp
import optax
from jax import Array

from siamese_jax import keys
from siamese_jax.loss import cross_entropy, penalty
from siamese_jax.model import Params, SiameseNet, init_params
from siamese_jax.records import PairBatch, TrainState
from siamese_jax.specs import Experiment, OptimizerSpec

Metrics = dict[str, Array]


def init_state(key: Array, experiment: Experiment, optimizer: optax.GradientTransformation, side: int) -> TrainState:
    """Draws the parameters for images [side, side, 1] and starts the optimizer on them, at step 0."""
    params = init_params(keys.stream(key, "parameters"), experiment.network, side)
    return TrainState(jnp.int32(0), params, optimizer.init(params))


def train_step(
    state: TrainState,
    batch: PairBatch,
    net: SiameseNet,
    optimizer: optax.GradientTransformation,
    spec: OptimizerSpec,
) -> tuple[TrainState, Metrics]:
    """Makes one update from one batch; returns the new state and the metrics of the parameters before it.

    Metrics, float32 []: `cross_entropy` (nats), `penalty` (Σ λ‖w‖²), `accuracy` in [0, 1] at p(same) = ½.
    """

    def objective(params: Params) -> tuple[Array, Array]:
        logits = net.pair_logits(params, batch.left, batch.right)
        return cross_entropy(logits, batch.same), logits

    # Only cross-entropy is differentiated: the penalty's gradient is the optimizer's (2λw), exactly.
    (loss, logits), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    metrics = {
        "cross_entropy": loss,
        "penalty": penalty(state.params, spec),
        "accuracy": jnp.mean((logits > 0) == (batch.same > 0.5)),
    }
    return TrainState(state.step + 1, optax.apply_updates(state.params, updates), opt_state), metrics
