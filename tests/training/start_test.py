"""Fine-tuning starts from trained parameters, also of another number of channels."""

from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SIDE, make_dataset, make_experiment, make_images, make_params

from siamese_jax import runs
from siamese_jax.errors import UserError
from siamese_jax.network.siamese import build
from siamese_jax.records import Dataset
from siamese_jax.specs import AdamW, Dense, InMemory, NetSpec, NWay, Residual
from siamese_jax.training.start import adapted

# Without normalisation, which would hide a kernel of the wrong size.
NETWORK = NetSpec(Residual(width=8, stages=1, units=8, normalisation="none"))
GREY, COLOUR = (make_params(NETWORK, (SIDE, SIDE, channels), seed) for seed, channels in ((0, 1), (1, 3)))


def embed(params, images):
    return np.asarray(jax.jit(build(NETWORK).embed_images)(params, jnp.asarray(images)))


def test_a_network_of_the_same_shape_is_taken_whole():
    params, new = adapted(GREY, make_params(NETWORK, seed=2))
    chex.assert_trees_all_equal(params, GREY)
    assert new == []


def test_a_grey_picture_has_the_same_embedding_in_a_network_adapted_to_colour():
    params, new = adapted(GREY, COLOUR)
    assert new == []
    grey = make_dataset().images.images[:6]
    np.testing.assert_allclose(embed(params, grey.repeat(3, axis=-1)), embed(GREY, grey), atol=1e-5)


def test_a_grey_picture_has_the_same_embedding_in_a_network_adapted_to_grey():
    params, _ = adapted(COLOUR, GREY)
    grey = make_dataset().images.images[:6]
    np.testing.assert_allclose(embed(params, grey), embed(COLOUR, grey.repeat(3, axis=-1)), atol=1e-5)


def test_layers_that_do_not_fit_are_fresh_and_named():
    wider = make_params(NetSpec(Residual(width=8, stages=1, units=16, normalisation="none")), seed=3)
    params, new = adapted(GREY, wider)
    assert new == ["fc/bias", "fc/kernel", "out/weight"]
    chex.assert_trees_all_equal(params["stem"], GREY["stem"])
    chex.assert_trees_all_equal(params["fc"], wider["fc"])
    with pytest.raises(UserError, match="no layer of the trained network fits"):
        adapted(GREY, {"dense1": {"kernel": jnp.zeros((4, 4))}})


@pytest.mark.usefixtures("few_protocols")
def test_a_run_starts_from_the_network_of_another_run(tmp_path):
    experiment = make_experiment(
        network=NETWORK,
        data=InMemory(batch_characters=4, batch_drawers=2, epoch_steps=1, validation_pairs=8, test_pairs=8),
        loss=NWay(),
        optimizer=AdamW(rate=0.0, average=0.5),
        max_epochs=1,
    )
    experiment = replace(experiment, evaluation=replace(experiment.evaluation, mnist=False))
    grey = runs.train(experiment, tmp_path / "grey", dataset=make_dataset())
    grey.evaluate()
    said = []
    tuned = replace(experiment, start_from=str(tmp_path / "grey"), seed=7)
    colour = runs.train(tuned, tmp_path / "colour", dataset=Dataset(make_images()), say=said.append)
    assert f"starting from {tmp_path / 'grey'}" in said
    # A rate of 0 leaves the start as it was.
    chex.assert_trees_all_close(colour.params, adapted(grey.params, COLOUR)[0], atol=1e-6)
    with pytest.raises(UserError, match="is not a trained network"):
        runs.train(replace(tuned, start_from="none"), tmp_path / "none", dataset=Dataset(make_images()))
    dense = replace(tuned, network=NetSpec(Dense(units=5)))
    with pytest.raises(UserError, match="no layer of the trained network fits"):
        runs.train(dense, tmp_path / "dense", dataset=Dataset(make_images()))
