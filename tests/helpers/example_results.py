"""The results of a run that never was, for tests of what is read and reported."""

from siamese_jax.results import (
    Calibration,
    Card,
    DataDescription,
    Decisions,
    Environment,
    Familiarity,
    GalleryDecisions,
    GroupResult,
    ModelCard,
    OneShotResult,
    OpenSetResult,
    OperatingPoint,
    PairDecisions,
    PredictionSetResult,
    Reliability,
    Roc,
    RunResults,
    SetDescription,
    TrainingSummary,
    Verification,
    VerificationResult,
    Words,
)

CARD = Card(
    protocol="the runs released with the data",
    n_way=20,
    k_shot=1,
    combine=None,
    trials=400,
    groups=("Tengwar", "Keble"),
    authors=(1, 2, 3, 4, 5, 6, 7, 8),
    seed=None,
    trials_id="0123456789abcdef0123456789abcdef",
    views=1,
    seen=("trained", "chosen"),
)
OFFICIAL = OneShotResult(
    accuracy=0.8825,
    correct=353,
    ties=0,
    ci95=(0.841, 0.913),
    ci95_by_group=(0.822, 0.931),
    by_group={
        "Tengwar": GroupResult(trials=200, correct=180, accuracy=0.9),
        "Keble": GroupResult(trials=200, correct=173, accuracy=0.865),
    },
    authors_seen_in_training=(1, 2, 3, 4, 5, 6, 7, 8),
    warnings=("drawers numbered 1, 2 also made images of other alphabets",),
    card=CARD,
)
WITHIN = OneShotResult(
    accuracy=0.86545,
    correct=8654.5,
    ties=3,
    ci95=(0.85, 0.88),
    ci95_by_group=(0.81, 0.92),
    by_group={"Tengwar": GroupResult(trials=10000, correct=8654.5, accuracy=0.86545)},
    authors_seen_in_training=(),
    warnings=("3 trials have equal highest scores",),
    card=Card(
        protocol="random trials within alphabet",
        n_way=20,
        k_shot=1,
        combine=None,
        trials=10000,
        groups=("Tengwar",),
        authors=(17, 18, 20),
        seed=0,
        trials_id="fedcba9876543210fedcba9876543210",
        views=1,
        seen=("trained", "chosen"),
    ),
)


def verification(accuracy: float, ci95: tuple[float, float], pairs: int) -> VerificationResult:
    """Verification of a set, alike but for its accuracy."""
    return VerificationResult(
        pairs=pairs,
        threshold=-0.12,
        accuracy=accuracy,
        ci95=ci95,
        auc=0.9734,
        auc_ci95=(0.961, 0.982),
        equal_error_rate=0.0789,
        equal_error_rate_ci95=(0.061, 0.095),
        operating_points=(
            OperatingPoint(
                false_accept_rate=0.001,
                measured_false_accept_rate=0.0023,
                measured_false_accept_rate_ci95=(0.001, 0.004),
                true_accept_rate=0.4321,
                true_accept_rate_ci95=(0.401, 0.456),
                false_reject_rate=0.5679,
                threshold=2.59,
            ),
        ),
        roc=Roc(false_accept_rate=(0.0, 0.1, 1.0), true_accept_rate=(0.0, 0.9, 1.0)),
    )


def calibration(error: float) -> Calibration:
    """How far probabilities are from what happens."""
    return Calibration(
        expected_calibration_error=error,
        ci95=(error / 2, 2 * error),
        brier_score=error / 3,
        reliability=Reliability(counts=(60.0, 40.0), probabilities=(0.1, 0.9), shares=(0.1 + error, 0.9 - error)),
    )


def gallery(classes: int, harder: float) -> GalleryDecisions:
    """Decisions in galleries of that size; all scores of the larger ones are by `harder` higher."""
    return GalleryDecisions(
        classes=classes,
        known=1000,
        unknown=250,
        temperature=2.0,
        before=calibration(0.2),
        after=calibration(0.01),
        open_set=tuple(
            OpenSetResult(
                fpir=fpir,
                threshold=threshold + harder,
                measured_fpir=1.1 * fpir,
                measured_fpir_ci95=(0.5 * fpir, 2 * fpir),
                chosen_again_ci95=(0.2 * fpir, 3 * fpir),
                dir=0.3 + 4 * fpir,
                dir_ci95=(0.2 + 4 * fpir, 0.4 + 4 * fpir),
            )
            for fpir, threshold in ((0.01, -8.0), (0.05, -10.0), (0.1, -11.0))
        ),
        prediction_sets=tuple(
            PredictionSetResult(
                coverage=coverage,
                gap=gap + harder,
                measured_coverage=coverage + 0.003,
                measured_coverage_ci95=(coverage - 0.02, coverage + 0.02),
                mean_size=1 + gap / 4,
            )
            for coverage, gap in ((0.9, 0.5), (0.95, 1.5))
        ),
    )


DECISIONS = Decisions(
    pairs=PairDecisions(
        slope=0.5,
        intercept=4.0,
        threshold=-8.0,
        pairs=9990,
        before=calibration(0.4),
        after=calibration(0.02),
        false_match_rate=0.06,
        false_non_match_rate=0.07,
    ),
    galleries=(gallery(5, 0.0), gallery(20, 1.0)),
    familiarity=Familiarity(
        mean=(0.1, 0.05, 0.1),
        precision=((400.0, 0.0, 0.0), (0.0, 400.0, 0.0), (0.0, 0.0, 400.0)),
        threshold=2.5,
        false_alarm_rate=0.01,
        measured_false_alarm_rate=0.012,
        measured_false_alarm_rate_ci95=(0.003, 0.021),
        detected={"noise": 1.0, "gradient": 0.99, "clouds": 0.98},
    ),
)
RESULTS = RunResults(
    experiment="omniglot_20way_small",
    seed=7,
    command="python -m siamese_jax.main --experiment=omniglot_20way_small --seed=7",
    data=DataDescription(
        name="omniglot",
        background="all",
        image_side=35,
        split="paper",
        words=Words(group="alphabet", class_="character", author="drawer"),
        sets={
            "train": SetDescription(groups=("Latin", "Greek"), classes=50, authors=tuple(range(1, 13)), images=600),
            "validation": SetDescription(groups=("Keble",), classes=26, authors=(13, 14, 15, 16), images=104),
            "test": SetDescription(groups=("Tengwar",), classes=25, authors=(17, 18, 20), images=75),
        },
    ),
    environment=Environment(
        siamese_jax="0.1.0",
        jax="0.10.2",
        python="3.11.2",
        backend="cpu",
        device="cpu",
        devices=1,
        cores=2,
        x64=False,
    ),
    training=TrainingSummary(
        epochs=43,
        steps=12345,
        seconds=1500.0,
        best_epoch=23,
        best_validation_accuracy=0.8,
        pairs_per_second=1234.5,
        stopped_by="patience",
    ),
    verification=Verification(
        validation=verification(0.9311, (0.92, 0.94), 10000), test=verification(0.9222, (0.911, 0.933), 9990)
    ),
    decisions=DECISIONS,
    one_shot={"official_runs": OFFICIAL, "within_alphabet": WITHIN},
    one_shot_views={},
    baselines={},
    not_measured={},
)
MODEL_CARD = ModelCard(name="tiny", summary="a network", licence="MIT", commit="0123456789", results=RESULTS)
