"""The first lines of a report: its result in one sentence, beside the figures that it compares with."""

from siamese_jax.data import source_of
from siamese_jax.published import PAPER_NETWORK, TABLE_2
from siamese_jax.report.one_shot import BASELINES, label
from siamese_jax.report.tables import interval, percent
from siamese_jax.results import OneShot, OneShotResult, RunResults

MAIN = ("official_runs", "within_alphabet")
"""The protocols that a headline is about, the first that was measured."""
COMPARED = {
    "humans": "humans",
    PAPER_NETWORK: "the paper's network",
    "1-nearest neighbour": "1-nearest neighbour",
}
"""The rows of the paper's table 2 in a headline, in words."""


def headline(results: RunResults) -> str:
    """Return the main result of a run in two sentences; "" if no one-shot accuracy was measured."""
    found, who = _main(results.one_shot), f"The network chooses the right {results.data.words.class_} in"
    if found is None and results.baselines:
        best = max(results.baselines, key=lambda name: _accuracy(results.baselines[name]))
        found = _main(results.baselines[best])
        who = f"The best untrained baseline, {BASELINES.get(best, best)}, is right in"
    if found is None:
        return ""
    protocol, part = found
    what = label(results.data.name, protocol, part)
    text = (
        f"{who} **{percent(part.accuracy)} %** of {part.card.trials:,} trials ({part.card.task}, {what}; 95 % "
        f"interval {interval(part.ci95)} %)."
    )
    if results.training and results.training.stopped_by == "not finished":
        text += " Training is not finished."
    compared = [f"chance level {100 / part.card.n_way:.1f} %"]
    if protocol == "official_runs" and source_of(results.data.name).in_paper:
        compared = [f"{said} {TABLE_2[who]:.1f} %" for who, said in COMPARED.items()] + compared
    if results.one_shot:
        beside = [(BASELINES.get(who, who), of[protocol]) for who, of in results.baselines.items() if protocol in of]
        compared = [f"{who} {percent(part.accuracy)} %" for who, part in beside] + compared
    return f"{text} For comparison: {', '.join(compared)}."


def _main(one_shot: OneShot) -> tuple[str, OneShotResult] | None:
    names = [*(name for name in MAIN if name in one_shot), *one_shot]
    return (names[0], one_shot[names[0]]) if names else None


def _accuracy(one_shot: OneShot) -> float:
    found = _main(one_shot)
    return found[1].accuracy if found else 0.0
