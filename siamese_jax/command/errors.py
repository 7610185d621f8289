"""How the command ends when something goes wrong: one sentence, and the exit code that a shell expects."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from siamese_jax.command.flags import fail
from siamese_jax.command.request import Evaluate, Request, Search, Train
from siamese_jax.command.verb import VerbRequest
from siamese_jax.devices import OUT_OF_MEMORY
from siamese_jax.errors import Stopped, UserError

TOO_LARGE = UserError(
    "out of memory: lower --batch_size (--data.batch_alphabets, batch_characters or batch_drawers where the images of "
    "a batch are compared with each other), --network.units or --evaluation.embed_batch"
)


@contextlib.contextmanager
def mistakes_as_sentences() -> Iterator[Callable[[Request | VerbRequest], None]]:
    """Turn mistakes, interrupts and full memory into a sentence on standard error and an exit code.

    Yields:
      A function to be called with the request, when it is known: then an interrupt says how to continue.
    """
    advice = ""

    def say_how_to_resume(request: Request | VerbRequest) -> None:
        nonlocal advice
        if isinstance(request, Train | Evaluate):
            advice = f"; the same command with --workdir={request.workdir} resumes"
        elif isinstance(request, Search):
            advice = "; the same command resumes"

    try:
        yield say_how_to_resume
    except UserError as error:
        fail(error)
    except Stopped as stopped:
        print(f"siamese_jax: {stopped}{advice}", file=sys.stderr)
        sys.exit(128 + stopped.signal_number)
    except KeyboardInterrupt:
        print(f"siamese_jax: interrupted{advice}", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if OUT_OF_MEMORY not in str(error):
            raise
        fail(TOO_LARGE)
