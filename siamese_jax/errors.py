"""What ends a command early: a user's mistake, or a request to stop."""


class UserError(ValueError):
    """A mistake the user can mend: its text says what is wrong, where, and what to do."""


class Stopped(Exception):
    """Training was asked to stop, by SIGINT or SIGTERM, and has saved where it is."""

    def __init__(self, signal_number: int, step: int):
        super().__init__(f"stopped at step {step}, saved")
        self.signal_number = signal_number
