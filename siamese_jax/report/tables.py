"""Markdown tables, readable as raw text, too, and numbers in words."""

from collections.abc import Iterable, Sequence
from typing import Any

from siamese_jax.results import Interval


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns.

    The first column and columns of words are aligned to the left, columns of numbers to the right.

    Args:
      head: The heads of the columns.
      rows: The cells of each row.
    """
    head, *rows = ([cell.replace("|", "\\|") for cell in row] for row in (head, *rows))
    widths = [max(3, *(len(row[i]) for row in (head, *rows))) for i in range(len(head))]
    numbers = [i > 0 and all(_begins_as_number(row[i]) for row in rows) for i in range(len(head))]

    def line(cells):
        places = zip(cells, widths, numbers, strict=True)
        return f"| {' | '.join(cell.rjust(width) if number else cell.ljust(width) for cell, width, number in places)} |"

    rule = ["-" * (width - 1) + (":" if number else "-") for width, number in zip(widths, numbers, strict=True)]
    return "\n".join(line(cells) for cells in (head, rule, *rows))


def _begins_as_number(cell: str) -> bool:
    return cell.lstrip("*+-–< ")[:1].isdigit() or cell == "–"


def bullets(lines: Iterable[str]) -> str:
    """Return a Markdown list."""
    return "\n".join(f"* {line}" for line in lines)


def percent(fraction: float) -> str:
    """Return a fraction in per cent: 0.855 is "85.50"."""
    return f"{100 * fraction:.2f}"


def interval(bounds: Interval | None) -> str:
    """Return an interval in per cent: (0.841, 0.913) is "84.1–91.3", and None is a dash."""
    return "–".join(f"{100 * bound:.1f}" for bound in bounds) if bounds else "–"


def value(number: Any) -> str:
    """Return the value of a field as it is written in a sentence."""
    if isinstance(number, int) and not isinstance(number, bool):
        return f"{number:,}"
    return f"{number:g}" if isinstance(number, float) else str(number)


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as ranges: [1, 2, 3, 7] is "1–3, 7", and no number is a dash."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs) or "–"


def duration(seconds: float) -> str:
    """Return a time in seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def sentence(text: str) -> str:
    """Return a text with a full stop at its end."""
    return text if text.endswith(".") or not text else text + "."
