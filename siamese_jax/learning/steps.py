"""The train step and its start: free pure functions, not yet jitted."""

import jax
import jax.numpy as jnp
import optax
from jax import Array

from siamese_jax import keys
from siamese_jax.learning.losses import batch_loss, grid_loss, n_way_of_guessing, penalty
from siamese_jax.network.siamese import Params, SiameseNet, init_params
from siamese_jax.records import GridBatch, PairBatch, TrainState
from siamese_jax.specs import Experiment

Metrics = dict[str, Array]


def init_state(key: Array, experiment: Experiment, optimizer: optax.GradientTransformation, side: int) -> TrainState:
    """Draws the parameters for images [side, side, 1] and starts the optimizer on them, at step 0."""
    params = init_params(keys.stream(key, "parameters"), experiment.network, side)
    return TrainState(jnp.int32(0), params, optimizer.init(params))


def train_step(
    state: TrainState,
    batch: PairBatch | GridBatch,
    net: SiameseNet,
    optimizer: optax.GradientTransformation,
    experiment: Experiment,
) -> tuple[TrainState, Metrics]:
    """Makes one update from one batch; returns the new state and the metrics of the parameters before it.

    Metrics, float32 []: the loss under its own name (`cross_entropy` in nats), `penalty` (Σ λ‖w‖²), and `accuracy` in
    [0, 1] by the rule that the loss trains (see `loss.batch_loss` and `loss.grid_loss`); of `n_way` also
    `guessing`, the loss of a network that tells nothing apart.
    """

    def objective(params: Params) -> tuple[Array, Array]:
        if experiment.loss.of_grids:
            embed = jax.vmap(net.embed, in_axes=(None, 0))
            grid = batch.images.shape[:3]
            embeddings = embed(params, batch.images.reshape(-1, *batch.images.shape[3:])).reshape(*grid, -1)
            return grid_loss(net.grid_logits(params, embeddings), batch.present, experiment.loss)
        logits = net.pair_logits(params, batch.left, batch.right)
        return batch_loss(logits, params["out"]["bias"][0], batch.same, experiment.loss)

    # Only the loss of the batch is differentiated: the penalty's gradient is the optimizer's (2λw), exactly.
    (loss, accuracy), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    metrics = {
        experiment.loss.name: loss,
        "penalty": penalty(state.params, experiment.optimizer),
        "accuracy": accuracy,
    }
    if experiment.loss.name == "n_way":
        metrics["guessing"] = n_way_of_guessing(batch.present)
    return TrainState(state.step + 1, optax.apply_updates(state.params, updates), opt_state), metrics
