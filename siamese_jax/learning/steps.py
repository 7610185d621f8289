"""The train step and the initial state: free pure functions, not yet jitted."""

import jax
import jax.numpy as jnp
import optax
from jax import Array

from siamese_jax import keys
from siamese_jax.learning.losses import grid_loss, n_way_of_guessing, pair_loss
from siamese_jax.learning.optimizers import penalty
from siamese_jax.network.siamese import Params, SiameseNet, init_params
from siamese_jax.records import GridBatch, PairBatch, TrainState
from siamese_jax.specs import Experiment

Metrics = dict[str, Array]


def init_state(
    key: Array, experiment: Experiment, optimizer: optax.GradientTransformation, shape: tuple[int, int, int]
) -> TrainState:
    """Return the state before the first step, from random parameters.

    Args:
        key: a random key; the parameters are sampled from its stream "parameters".
        experiment: its network is used.
        optimizer: see `make_optimizer`.
        shape: rows, columns and channels of the images.
    """
    params = init_params(keys.stream(key, "parameters"), experiment.network, shape)
    return TrainState(jnp.int32(0), params, optimizer.init(params))


def train_step(
    state: TrainState,
    batch: PairBatch | GridBatch,
    net: SiameseNet,
    optimizer: optax.GradientTransformation,
    experiment: Experiment,
) -> tuple[TrainState, Metrics]:
    """Make one update.

    Args:
        state: parameters and the state of the optimizer.
        batch: a grid batch if the loss is of grids, else a batch of pairs.
        net: the network of the experiment.
        optimizer: the optimizer of the experiment.
        experiment: its loss and its optimizer are used.

    Returns:
        The new state, and metrics of the parameters before the update, float32 []: the loss in nats, under its name;
        `penalty` (see `optimizers.penalty`); `accuracy`, the share of right decisions (see `losses`); and for the N-way
        loss `guessing`, the loss of a network that guesses.
    """

    def objective(params: Params) -> tuple[Array, Array]:
        if isinstance(batch, GridBatch):
            embed = jax.vmap(net.embed, in_axes=(None, 0))
            grid = batch.images.shape[:3]
            embeddings = embed(params, batch.images.reshape(-1, *batch.images.shape[3:])).reshape(*grid, -1)
            return grid_loss(net.grid_logits(params, embeddings), batch.present, experiment.loss)
        score = net.pair_distances if experiment.loss.of_distances else net.pair_logits
        return pair_loss(score(params, batch.left, batch.right), batch.same, experiment.loss)

    # Only the loss of the batch is differentiated; the optimizer adds the gradient of the penalty (2λw), exactly.
    (loss, accuracy), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    metrics = {
        experiment.loss.name: loss,
        "penalty": penalty(state.params, experiment.optimizer),
        "accuracy": accuracy,
    }
    if isinstance(batch, GridBatch) and experiment.loss.name == "n_way":
        metrics["guessing"] = n_way_of_guessing(batch.present)
    return TrainState(state.step + 1, optax.apply_updates(state.params, updates), opt_state), metrics
