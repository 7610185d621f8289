"""The model card: what a run reached, with its data, licence and commit; nothing is made up."""

import dataclasses

import pytest
from example_results import RESULTS
from example_run import changed, line_with
from tiny import make_experiment

from siamese_jax.errors import UserError
from siamese_jax.report.model_card import card_text, make_card
from siamese_jax.specs import InMemory

EXPERIMENT = make_experiment()
CARD = make_card("tiny", EXPERIMENT, RESULTS, "0123456789")


def test_a_card_holds_the_results_of_the_run():
    assert (CARD.name, CARD.commit, CARD.results) == ("tiny", "0123456789", RESULTS)
    assert CARD.licence.startswith("MIT")
    assert CARD.summary == EXPERIMENT.summary


def test_the_text_says_who_what_and_how_well():
    text = card_text(CARD)
    for said in (
        'load_pretrained("tiny")',
        "--checkpoint=tiny",
        "[N, 35, 35, 1]",
        "seed 7, commit `0123456789`, 12,345 steps",
        "epoch 23 of 43",
        "600 images of 2 alphabets by drawers 1–12",
        "Validation data: 1 alphabet by drawers 13–16",
        "92.22 % of 9,990 test pairs",
        "a logit of -0.12",
        f"Licence: {CARD.licence}",
    ):
        assert said in text
    assert "88.25 |         84.1–91.3 |    400 |" in line_with(text, "official_runs")


def test_results_of_averaged_views_say_of_how_many():
    result = RESULTS.one_shot["official_runs"]
    viewed = dataclasses.replace(result, accuracy=0.9, card=dataclasses.replace(result.card, views=8))
    text = card_text(dataclasses.replace(CARD, results=changed(one_shot_views={"official_runs": viewed})))
    assert "|     8 |        90.00 |" in line_with(text, "official_runs", "90.00")


@pytest.mark.parametrize("part", ["training", "verification"])
def test_untrained_baselines_have_no_card(part):
    with pytest.raises(UserError, match="not those of a trained network"):
        make_card("tiny", EXPERIMENT, changed(**{part: None}), "0123456789")


def test_data_of_unknown_licence_have_no_card():
    experiment = dataclasses.replace(EXPERIMENT, data=InMemory())
    with pytest.raises(UserError, match="the licence of 'in_memory' data is not known"):
        make_card("tiny", experiment, RESULTS, "0123456789")
