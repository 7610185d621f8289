"""How the command ends when something goes wrong: one sentence, and the exit code that a shell expects."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from siamese_jax import interrupts
from siamese_jax.command.request import Evaluate, Request, Search, Train
from siamese_jax.command.verb import VerbRequest
from siamese_jax.devices import is_out_of_memory
from siamese_jax.errors import Stopped, UserError
from siamese_jax.terminal import fail, warn

TOO_LARGE = UserError(
    "out of memory: lower --batch_size (--data.batch_alphabets, batch_characters or batch_drawers where the images of "
    "a batch are compared with each other), --network.units or --evaluation.embed_batch"
)
TOO_MANY = UserError("out of memory: lower --evaluation.embed_batch, or end other programs")
TOO_MUCH = UserError("out of memory: end other programs, or give fewer or smaller files at a time")


@contextlib.contextmanager
def mistakes_as_sentences() -> Iterator[Callable[[Request | VerbRequest], None]]:
    """Turn mistakes, interrupts and full memory into a sentence on standard error and an exit code.

    Yields:
      A function to be called with the request, when it is known: then an interrupt says how to continue.
    """
    asked: Request | VerbRequest | None = None

    def say_how_to_resume(request: Request | VerbRequest) -> None:
        nonlocal asked
        asked = request

    try:
        yield say_how_to_resume
    except Stopped as stopped:
        interrupts.end_work()
        warn(f"{stopped}{_advice(asked)}")
        sys.exit(128 + stopped.signal_number)
    except KeyboardInterrupt as interrupt:
        interrupts.end_work()
        warn(f"interrupted{_advice(asked)}")
        sys.exit(128 + (interrupt.signal_number if isinstance(interrupt, interrupts.Interrupted) else 2))
    except UserError as error:
        interrupts.end_work()
        fail(error)
    except Exception as error:
        interrupts.end_work()
        if not is_out_of_memory(error):
            raise
        if isinstance(asked, Evaluate):
            fail(TOO_MANY)
        fail(TOO_LARGE if isinstance(asked, Train | Search) else TOO_MUCH)


def _advice(request: Request | VerbRequest | None) -> str:
    """Return how to continue what was begun."""
    if isinstance(request, Train | Evaluate) and (request.workdir / "experiment.json").exists():
        return f"; the same command with --workdir={request.workdir} resumes"
    return "; the same command resumes" if isinstance(request, Search) else ""
