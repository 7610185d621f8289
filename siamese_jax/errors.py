"""The errors that a user sees as one sentence."""


class UserError(ValueError):
    """A mistake the user can mend: its text says what is wrong, where, and what to do."""
