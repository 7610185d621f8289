"""Decisions in words: probabilities, "unknown", sets of classes, and the warning of unlike images."""

from siamese_jax.report.tables import interval, percent, table
from siamese_jax.results import Calibration, Decisions, Words, plural


def decisions(measured: Decisions | None, words: Words) -> str:
    """Return what was measured of decisions as Markdown; "" if nothing was.

    Args:
      measured: The decisions.
      words: What the source calls a group and a class.
    """
    if measured is None:
        return ""
    parts = (_probabilities(measured, words), _unknown(measured, words), _sets(measured, words), _unlike(measured))
    return "\n\n".join(parts)


def _probabilities(measured: Decisions, words: Words) -> str:
    pairs = measured.pairs
    rows = [
        [
            f"pairs: p(same) = sigmoid({pairs.slope:.3f} · score {pairs.intercept:+.2f})",
            *_errors(pairs.before, pairs.after),
        ]
    ]
    rows += [
        [
            f"choices among {one.classes} {plural(words.class_)}: softmax(scores / {one.temperature:.3f})",
            *_errors(one.before, one.after),
        ]
        for one in measured.galleries
    ]
    head = ["probability", "ECE before (%)", "ECE after (%)", "95 % interval (%)", "Brier before", "Brier after"]
    return (
        "Everything in this section was fitted on validation and measured on test. Intervals are by bootstrap over "
        f"{plural(words.group)}.\n\n### Probabilities\n\n"
        "The table shows how far probabilities are from what happens, before and after calibration. ECE is the "
        "expected calibration error: the mean distance of the probability and the share of right decisions.\n\n"
        f"{table(head, rows)}\n\n"
        f"With p(same) = ½ as the threshold, a score of {_number(pairs.threshold)}, the false match rate is "
        f"{percent(pairs.false_match_rate)} % and the false non-match rate {percent(pairs.false_non_match_rate)} %. "
        "p(same) holds where half of the pairs are the same."
    )


def _errors(before: Calibration, after: Calibration) -> list[str]:
    return [
        percent(before.expected_calibration_error),
        percent(after.expected_calibration_error),
        interval(after.ci95),
        f"{before.brier_score:.3f}",
        f"{after.brier_score:.3f}",
    ]


def _unknown(measured: Decisions, words: Words) -> str:
    rows = [
        [
            str(gallery.classes),
            f"{100 * one.fpir:g}",
            _number(one.threshold),
            percent(one.measured_fpir),
            interval(one.measured_fpir_ci95),
            interval(one.chosen_again_ci95),
            percent(one.dir),
            interval(one.dir_ci95),
        ]
        for gallery in measured.galleries
        for one in gallery.open_set
    ]
    head = [
        "enrolled", "FPIR asked (%)", "threshold", "FPIR (%)", "at this threshold (%)", "chosen again (%)", "DIR (%)",
        "95 % interval (%)",
    ]  # fmt: skip
    return (
        '### Identification with "unknown"\n\n'
        "The table shows how often a query is accepted wrongly or rightly, if its best score must reach the "
        "threshold.\n"
        f"FPIR is the false-positive identification rate: the share of queries whose {words.class_} is not enrolled "
        "which are accepted all the same.\n"
        "DIR is the detection and identification rate: the share of queries of enrolled "
        f"{plural(words.class_)} which are accepted with the right one first (1 − FNIR at rank 1).\n"
        f"Each enrolled {words.class_} has one image. Queries that are not enrolled come from the same "
        f"{plural(words.group)}, the hard case.\n"
        f"The first interval is for other test {plural(words.group)} at this threshold. The second is also for other "
        f"validation {plural(words.group)}, on which the threshold would have been chosen.\n\n{table(head, rows)}"
    )


def _sets(measured: Decisions, words: Words) -> str:
    rows = [
        [
            str(gallery.classes),
            f"{100 * one.coverage:g}",
            _number(one.gap),
            percent(one.measured_coverage),
            interval(one.measured_coverage_ci95),
            f"{one.mean_size:.2f}",
        ]
        for gallery in measured.galleries
        for one in gallery.prediction_sets
    ]
    head = ["enrolled", "coverage asked (%)", "gap", "coverage (%)", "95 % interval (%)", "mean size"]
    return (
        "### Prediction sets\n\n"
        f"A set holds the best {words.class_} and those whose score is at most the gap below it. The table shows how "
        f"often it holds the right one, if that is enrolled, and how many {plural(words.class_)} it has.\n"
        "A gap of 0 is the best one alone, where that is right often enough.\n\n"
        f"{table(head, rows)}"
    )


def _unlike(measured: Decisions) -> str:
    one = measured.familiarity
    found = ", ".join(f"{percent(share)} % of {name}" for name, share in one.detected.items())
    return (
        "### Images unlike those of validation\n\n"
        "A warning is given for an image whose ink, grey and edges are unlike those of validation: above a Mahalanobis "
        f"distance of {_number(one.threshold)}. {percent(one.measured_false_alarm_rate)} % of the test images get it "
        f"by mistake ({interval(one.measured_false_alarm_rate_ci95)}; chosen for {100 * one.false_alarm_rate:g} %). "
        f"Of made-up images, {found} get it."
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
