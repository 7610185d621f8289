"""Markdown and the words for numbers: tables that read as tables in raw text, too."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table padded so that it reads as a table in raw text, too.

    Words stand to the left, as does the whole first column, and numbers to the right.
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
    """Returns a Markdown list."""
    return "\n".join(f"* {line}" for line in lines)


def percent(fraction: float) -> str:
    """Returns a fraction in per cent: 0.855 is "85.50"."""
    return f"{100 * fraction:.2f}"


def interval(part: Mapping[str, Any], key: str = "ci95") -> str:
    """Returns a 95 % interval of a result in per cent; a dash where there is none."""
    return "–".join(f"{100 * bound:.1f}" for bound in part[key]) if part.get(key) else "–"


def value(number: Any) -> str:
    """Returns a field's value as it is written in a sentence."""
    if isinstance(number, int) and not isinstance(number, bool):
        return f"{number:,}"
    return f"{number:g}" if isinstance(number, float) else str(number)


def ranges(numbers: Iterable[int]) -> str:
    """Returns numbers in words: [1, 2, 3, 7] is "1–3, 7", and none is a dash."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs) or "–"


def duration(seconds: float) -> str:
    """Returns a time in the unit that a person would take."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def sentence(text: str) -> str:
    """Returns text that ends with a full stop."""
    return text if text.endswith(".") or not text else text + "."
