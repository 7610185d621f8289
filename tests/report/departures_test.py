"""What differs from the paper is said, every field of an experiment, and nothing else."""

import pytest
from example_run import RESULTS, SMALL, line_with
from other_values import with_another_value

from siamese_jax.experiments import find
from siamese_jax.report import DIFFERENCES, PAPER, choices, differences, report
from siamese_jax.specs import DESCRIPTION, leaves, with_value


def test_the_papers_own_experiment_differs_in_nothing():
    assert differences(PAPER) == []
    assert "Nothing differs from what the paper states." in report(PAPER, RESULTS)
    assert not any("by hand" in sentence for sentence in choices(PAPER))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        (
            "data.downsample",
            3,
            "Blocks of 3×3 pixels are averaged, which gives 35×35 pixels; the paper's images have 105×105.",
        ),
        ("data.train_pairs", 30_000, "The training set has 30,000 pairs; the paper's largest has 150,000."),
        ("distort.translation", 0.7, "Distortions translate by up to 0.7 pixels; the paper's by up to 2."),
        (
            "network.conv2.filters",
            64,
            "conv2 has 64 filters of 7×7 with a pool; the paper's has 128 filters of 7×7 with a pool.",
        ),
        (
            "network.compute_dtype",
            "bfloat16",
            "The tower computes in bfloat16; its parameters, gradients and embeddings are float32.",
        ),
        ("batch_size", 32, "A minibatch has 32 pairs; the paper's has 128."),
        ("max_epochs", 20, "Training lasts at most 20 epochs; the paper's at most 200."),
    ],
)
def test_a_difference_is_one_sentence_with_both_values(field, value, sentence):
    experiment = with_value(PAPER, field, value)
    assert differences(experiment) == [sentence]
    assert f"* {sentence}\n" in report(experiment, RESULTS)


def test_the_other_drawer_split_names_its_drawers():
    (sentence,) = differences(with_value(PAPER, "data.drawer_split", "official"))
    assert "drawers 9–20, validation 5–8 and test 1–4 (`official` split)" in sentence


def test_every_field_of_an_experiment_is_a_difference_a_choice_or_none_of_the_papers_business():
    our_own = {"method", "seed", "log_steps", "checkpoint_minutes", "evaluation.mnist", "evaluation.baseline"}
    # Of grid batches and distortions that are not the paper's; their sentences name them.
    our_own |= {"data.batch_alphabets", "data.batch_characters", "data.batch_drawers", "data.epoch_steps"}
    our_own |= {"distort.elastic_scale", "evaluation.views"}
    our_own |= {"evaluation.combine", "evaluation.random_trials", "evaluation.embed_batch"}
    for name, _ in leaves(PAPER):
        experiment = with_another_value(PAPER, name)
        said = len(differences(experiment)) == 1 or choices(experiment) != choices(PAPER)
        assert said != (name in our_own.union(DESCRIPTION)), name
    assert set(DIFFERENCES) <= dict(leaves(PAPER)).keys()


def test_distortions_that_are_off_differ_only_in_being_off():
    experiment = with_value(with_value(PAPER, "distort.copies", 0), "distort.rotation", 45.0)
    assert differences(experiment) == ["Each training pair has 0 distorted copies; the paper's best networks have 8."]


def test_hand_set_rates_are_listed_and_called_hand_set():
    text = report(SMALL, RESULTS)
    assert "were set by hand" in text
    assert [cell.strip() for cell in line_with(text, "| conv1").split("|")[1:5]] == ["conv1", "0.02", "0.9", "0.0002"]


def test_another_tower_energy_or_loss_is_told_with_what_only_it_has():
    dense = with_value(with_value(PAPER, "network.tower", "dense"), "network.hidden", 77)
    assert "The tower is `dense`, without convolutions." in differences(dense)
    assert any("two hidden layers of 77 ReLUs" in sentence for sentence in choices(dense))
    triplet = with_value(with_value(PAPER, "loss.name", "triplet"), "loss.margin", 0.25)
    assert any("`triplet` loss" in sentence for sentence in differences(triplet))
    assert "The margin of the loss is 0.25." in choices(triplet)
    assert any("`cosine`" in sentence for sentence in differences(with_value(PAPER, "network.energy", "cosine")))


def test_training_on_grids_of_another_tower_by_another_optimizer_is_told_whole_and_without_what_it_does_not_use():
    experiment = find("omniglot_20way_fast")
    sentences = differences(experiment)
    told = " ".join(sentences)
    assert not any("{" in sentence or "pairs; the paper's" in sentence for sentence in sentences)
    assert "resized to 48×48" in told
    assert "2 alphabets × 20 characters × 4 drawers" in told
    assert (
        "`residual`: 3 stages of two 3×3 convolutions with a skip connection, the first of 32 filters, `group`" in told
    )
    assert (
        "AdamW, with learning rates up to 0.002 (`one_cycle`, rising for 25 % of all steps), weight decay 0.01" in told
    )
    assert "norm of 1" in told
    assert "in fc" not in told
    slow = " ".join(differences(with_value(experiment, "optimizer.fc_rate", 0.05)))
    assert "(`one_cycle`, rising for 25 % of all steps, 0.05 times as high in fc), weight decay" in slow
    assert "elastic ones, with a standard deviation of 0.7 pixels at points 8 pixels apart" in told
    assert "running mean of the weights is evaluated, with decay 0.995" in told
    assert not any("Momentum rises" in sentence or "L2 penalty" in sentence for sentence in choices(experiment))
    assert any("An epoch is 100 steps" in sentence for sentence in choices(experiment))
    assert any("Every image of a batch is distorted" in sentence for sentence in choices(experiment))
    assert not any('"different" pair' in sentence for sentence in choices(experiment))
    plain = with_value(experiment, "distort.copies", 0)
    assert not any("is distorted" in sentence for sentence in choices(plain))
    all_pairs = with_value(PAPER, "loss.name", "all_pairs")
    assert any("p(same) of all pairs in a batch" in sentence for sentence in differences(all_pairs))
