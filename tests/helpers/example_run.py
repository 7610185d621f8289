"""A run that never was: its experiment and its results.json, for tests of what is said of them."""

import copy
import dataclasses

from siamese_jax.report import PAPER
from siamese_jax.specs import LayerSpec, PaperSGD, with_value

SMALL = dataclasses.replace(
    with_value(with_value(PAPER, "data.downsample", 3), "network.conv1.size", 5),
    name="omniglot_20way_small",
    summary="The paper's task at 35×35",
    optimizer=PaperSGD(layers={"conv1": LayerSpec(0.02, 0.9, 2e-4), "out": LayerSpec(0.03, 0.9, 0.0)}),
)
ONE_SHOT = {
    "n_way": 20,
    "k_shot": 1,
    "ties": 0,
    "drawers": [1, 2, 3, 4, 5, 6, 7, 8],
    "warnings": [],
    "card": {"protocol": "the runs released with the data"},
}
RESULTS = {
    "experiment": "omniglot_20way_small",
    "seed": 7,
    "command": "python -m siamese_jax.main --experiment=omniglot_20way_small --seed=7",
    "data": {
        "name": "omniglot",
        "image_side": 35,
        "drawer_split": "paper",
        "sets": {
            "train": {"alphabets": ["Latin", "Greek"], "characters": 50, "drawers": [*range(1, 13)], "images": 600},
            "validation": {"alphabets": ["Keble"], "characters": 26, "drawers": [13, 14, 15, 16], "images": 104},
            "test": {"alphabets": ["Tengwar"], "characters": 25, "drawers": [17, 18, 20], "images": 75},
        },
    },
    "training": {
        "epochs": 43,
        "steps": 12345,
        "seconds": 1500.0,
        "best_epoch": 23,
        "best_validation_accuracy": 0.8,
        "pairs_per_second": 1234.5,
        "stopped_by": "patience",
    },
    "environment": {
        "siamese_jax": "0.1.0",
        "jax": "0.10.2",
        "python": "3.11.2",
        "backend": "cpu",
        "device": "cpu",
        "devices": 1,
        "cores": 2,
    },
    "verification": {
        "validation": {"pairs": 10000, "threshold": 0.47, "accuracy": 0.9311, "ci95": (0.92, 0.94)},
        "test": {
            "pairs": 9990,
            "threshold": 0.47,
            "accuracy": 0.9222,
            "ci95": (0.911, 0.933),
            "auc": 0.9734,
            "auc_ci95": (0.961, 0.982),
            "equal_error_rate": 0.0789,
            "equal_error_rate_ci95": (0.061, 0.095),
            "operating_points": [
                {
                    "false_accept_rate": 0.001,
                    "measured_false_accept_rate": 0.0023,
                    "measured_false_accept_rate_ci95": (0.001, 0.004),
                    "true_accept_rate": 0.4321,
                    "true_accept_rate_ci95": (0.401, 0.456),
                    "false_reject_rate": 0.5679,
                    "threshold": 0.93,
                }
            ],
            "roc": {"false_accept_rate": [0.0, 0.1, 1.0], "true_accept_rate": [0.0, 0.9, 1.0]},
        },
    },
    "one_shot": {
        "official_runs": {
            **ONE_SHOT,
            "trials": 400,
            "correct": 353,
            "accuracy": 0.8825,
            "ci95": (0.841, 0.913),
            "ci95_by_alphabet": (0.822, 0.931),
            "drawers_seen_in_training": [1, 2, 3, 4, 5, 6, 7, 8],
            "warnings": ["drawers numbered 1, 2 also drew characters, of other alphabets"],
        },
        "within_alphabet": {
            **ONE_SHOT,
            "trials": 10000,
            "correct": 8654.5,
            "accuracy": 0.86545,
            "ci95": (0.85, 0.88),
            "ci95_by_alphabet": (0.81, 0.92),
            "drawers": [17, 18, 20],
            "drawers_seen_in_training": [],
            "ties": 3,
            "warnings": ["3 trials have equal highest scores"],
            "card": {"protocol": "random trials within alphabet"},
        },
    },
}


def changed(**parts):
    return {**copy.deepcopy(RESULTS), **parts}


def line_with(text, *words):
    (line,) = [line for line in text.splitlines() if all(word in line for word in words)]
    return line
