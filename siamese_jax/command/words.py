"""What the command prints: the list of experiments, and results in words."""

from pathlib import Path

from siamese_jax.experiments import EXPERIMENTS
from siamese_jax.results import OneShot, RunResults


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
    lines = _one_shot(results.one_shot)
    lines += _one_shot(results.one_shot_views, "test-time augmentation, ")
    for name, measured in results.baselines.items():
        lines += _one_shot(measured, f"{name.replace('_', ' ')}, ")
    lines += [f"not measured, {name.replace('_', ' ')}: {reason}" for name, reason in results.not_measured.items()]
    if results.verification:
        test = results.verification.test
        low, high = test.ci95
        lines.append(f"verification, test: {test.accuracy:.1%} ({low:.1%} to {high:.1%}; {test.pairs} pairs)")
    return "\n".join(lines)


def where(folder: Path) -> str:
    """Return the line that says where a report is."""
    return f"report: {folder / 'report.md'} and {folder / 'report.html'}"


def _one_shot(one_shot: OneShot, who: str = "") -> list[str]:
    lines = []
    for name, result in one_shot.items():
        low, high = result.ci95
        task = result.card.task
        of_grid = name == task.replace("-", "_").replace(" ", "_")
        label = "within alphabet, all untrained drawers" if of_grid else name.replace("_", " ")
        accuracy = f"{result.accuracy:.2%} ({low:.1%} to {high:.1%}; {result.card.trials} trials)"
        lines.append(f"{who}{label}, {task}: {accuracy}")
    return lines
