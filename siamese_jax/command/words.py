"""What the command prints: the list of experiments, and results in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siamese_jax.experiments import EXPERIMENTS


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


def summary(results: Mapping[str, Any]) -> str:
    """Return the results in lines, each figure with its trials and 95 % interval."""
    lines = _one_shot({name: part for name, part in results.get("one_shot", {}).items() if name != "random_trials"})
    lines += _one_shot(results.get("one_shot_views", {}), "averaged views, ")
    for name, measured in results.get("baselines", {}).items():
        lines += _one_shot(measured, f"{name.replace('_', ' ')}, ")
    lines += [f"not measured, {name.replace('_', ' ')}: {reason}" for name, reason in results["not_measured"].items()]
    if "verification" in results:
        result = results["verification"]["test"]
        low, high = result["ci95"]
        lines.append(f"verification, test: {result['accuracy']:.1%} ({low:.1%} to {high:.1%}; {result['pairs']} pairs)")
    return "\n".join(lines)


def where(folder: Path) -> str:
    """Return the line that says where a report is."""
    return f"report: {folder / 'report.md'} and {folder / 'report.html'}"


def _one_shot(one_shot: Mapping[str, Any], who: str = "") -> list[str]:
    lines = []
    for name, result in one_shot.items():
        low, high = result["ci95"]
        task = f"{result['n_way']}-way {result['k_shot']}-shot"
        of_grid = name == task.replace("-", "_").replace(" ", "_")
        label = "within alphabet, all untrained drawers" if of_grid else name.replace("_", " ")
        accuracy = f"{result['accuracy']:.2%} ({low:.1%} to {high:.1%}; {result['trials']} trials)"
        lines.append(f"{who}{label}, {task}: {accuracy}")
    return lines
