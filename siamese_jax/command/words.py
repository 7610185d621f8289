"""What the command prints: the list of experiments, and results in words."""

import re
from pathlib import Path

from siamese_jax.experiments import EXPERIMENTS
from siamese_jax.results import OneShot, RunResults, Words, plural


def listing() -> str:
    """Return the table that --list shows."""
    lines = []
    for experiment in EXPERIMENTS.values():
        lines += [
            f"{experiment.name}",
            f"    {experiment.summary}",
            f"    CPU: {experiment.cost_cpu}    GPU: {experiment.cost_gpu}",
            f"    result: {experiment.expected}",
        ]
    return "\n".join(lines)


def summary(results: RunResults) -> str:
    """Return the results in lines, each figure with its trials and 95 % interval."""
    words = results.data.words
    lines = _one_shot(results.one_shot, words)
    lines += _one_shot(results.one_shot_views, words, "test-time augmentation, ")
    for name, measured in results.baselines.items():
        lines += _one_shot(measured, words, f"{name.replace('_', ' ')}, ")
    lines += [f"not measured, {_name(name, words)}: {reason}" for name, reason in results.not_measured.items()]
    if results.verification:
        test = results.verification.test
        low, high = test.ci95
        lines.append(f"verification, test: {test.accuracy:.1%} ({low:.1%} to {high:.1%}; {test.pairs} pairs)")
    return "\n".join(lines)


def where(folder: Path) -> str:
    """Return the line that says where a report is."""
    return f"report: {folder / 'report.md'} and {folder / 'report.html'}"


def _one_shot(one_shot: OneShot, words: Words, who: str = "") -> list[str]:
    lines = []
    for name, result in one_shot.items():
        low, high = result.ci95
        label, task = _name(name, words, known=bool(result.card.authors)), result.card.task
        accuracy = f"{result.accuracy:.2%} ({low:.1%} to {high:.1%}; {result.card.trials} trials)"
        lines.append(f"{who}{label}, {task}: {accuracy}")
    return lines


def _name(protocol: str, words: Words, known: bool = True) -> str:
    """Return the name of a protocol in the source's words. `known`: whether the authors of its images are."""
    if re.fullmatch(r"\d+_way_\d+_shot", protocol):
        return f"{plural(words.author)} not used in training" if known else "all test images"
    names = {
        "koch_400": f"two {plural(words.author)} of the test set, as in the paper's text",
        "within_alphabet": f"random trials within {words.group}",
        "unstructured": f"{plural(words.group)} mixed",
        "mnist_10way": "MNIST digits",
        "mnist_10way_10000": "MNIST digits, more trials",
    }
    return names.get(protocol, protocol.replace("_", " "))
