"""What ends a command early: a user's mistake, or a request to stop."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake the user can mend: its text says what is wrong, where, and what to do."""


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return "did you mean …?" with one or two names that were probably meant; "" if no name is near.

    Args:
      name: what the user wrote.
      known: all names. They may be dotted, and the user may have written only the start or the last part of one.
      prefix: written before each name in the answer.
    """
    last = name.rpartition(".")[2]

    def likeness(one: str) -> float:
        written_in_part = one.startswith(name) or one.endswith(f".{name}")
        return 1.0 if written_in_part else difflib.SequenceMatcher(None, name, one).ratio()

    likenesses = {one: likeness(one) for one in known}
    enough = max(0.7, max(likenesses.values(), default=0.0) - 0.01)
    near = [one for one, value in likenesses.items() if value >= enough]
    near.sort(key=lambda one: one.rpartition(".")[2] != last)  # a name with the same last part comes first
    return f"did you mean {' or '.join(prefix + one for one in near[:2])}?" if near else ""


class Stopped(Exception):
    """Training was asked to stop by a signal, and has saved where it is."""

    def __init__(self, signal_number: int, step: int):
        super().__init__(f"stopped at step {step}, saved")
        self.signal_number = signal_number
