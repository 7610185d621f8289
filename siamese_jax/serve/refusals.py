"""Refusals: a status, and one sentence that says what is wrong and what to do."""

from collections.abc import Mapping


class Refusal(Exception):
    """A request that is not answered."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None):
        """Keep them.

        Args:
          status: Of HTTP, 400 to 599.
          detail: One sentence.
          headers: More headers of the answer.
        """
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


def busy(detail: str) -> Refusal:
    """Return the refusal of what can be tried again in a second."""
    return Refusal(503, detail, {"Retry-After": "1"})
