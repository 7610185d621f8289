"""The one place that talks to the terminal: streams that are closed, full or of few characters end no work."""

import codecs
import contextlib
import errno
import io
import os
import sys
import unicodedata
import warnings
from typing import Any, NoReturn, TextIO

from siamese_jax import interrupts
from siamese_jax.printable import printable

PLAIN = {
    "×": "x", "·": ".", "−": "-", "–": "-", "—": "-", "…": "...", "±": "+-", "≤": "<=", "≥": ">=", "→": "->",
    "½": "1/2", "α": "alpha", "η": "eta", "μ": "mu", "τ": "tau", "‘": "'", "’": "'", "“": '"', "”": '"', "━": "-",
}  # fmt: skip
"""What is written where an encoding has no such character."""
_AS_PLAIN = "siamese_jax.plain"


def plain(error: UnicodeError) -> tuple[str, int]:
    """Return ASCII for characters that an encoding lacks, as `codecs.register_error` asks for it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_plain(one) for one in error.object[error.start : error.end]), error.end


def shown(text: str) -> str:
    """Return a text that may hold anything, for example the name of a file, without a power over the terminal."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def say(text: str) -> None:
    """Print a line on standard output at once."""
    print(shown(text), flush=True)


def warn(text: str) -> None:
    """Print a sentence on standard error, as one line."""
    print(shown(f"siamese_jax: {' '.join(text.split())}"), file=sys.stderr, flush=True)


def fail(error: Exception) -> NoReturn:
    """Say what is wrong on standard error, and exit with code 2."""
    warn(str(error))
    sys.exit(2)


class Forgiving(io.RawIOBase):
    """Bytes that go to a stream while it takes them, and nowhere afterwards. `problem` is why it took no more."""

    def __init__(self, raw: Any):
        super().__init__()
        self._raw = raw
        self.problem: OSError | None = None

    def write(self, content: Any) -> int:
        """Write some of the bytes; say that all were written once the stream has failed."""
        if self.problem is None:
            try:
                while (written := self._raw.write(content)) is None:
                    self._wait()
                return written
            except (OSError, ValueError) as error:  # ValueError: it was closed
                self.problem = error if isinstance(error, OSError) else OSError(errno.EBADF, os.strerror(errno.EBADF))
        return memoryview(content).nbytes

    def writable(self) -> bool:
        """Whether it can be written: always."""
        return True

    def isatty(self) -> bool:
        """Whether a person reads it."""
        with contextlib.suppress(OSError, ValueError):
            return self._raw.isatty()
        return False

    def fileno(self) -> int:
        """Return the number of the stream."""
        return self._raw.fileno()

    def _wait(self) -> None:
        """Wait until a stream that never blocks takes more."""
        import select

        select.select([], [self._raw], [])


class Terminal:
    """Standard output and standard error of a command.

    Attributes:
      only_display: whether what is printed is also written elsewhere: then the work is done without it, too.
    """

    def __init__(self) -> None:
        self.only_display = False
        self._out: Forgiving | None = None

    def take_over(self) -> None:
        """Make both streams forgiving; call it before anything is printed."""
        codecs.register_error(_AS_PLAIN, plain)
        warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with a picture is said in a sentence
        _fill_closed()
        for name in ("stdout", "stderr"):
            closed = getattr(sys, name) is None
            stream, raw = _forgiving(getattr(sys, name))
            if raw is not None and closed:
                raw.problem = OSError(errno.EBADF, "it is closed")
            setattr(sys, name, stream)
            if name == "stdout":
                self._out = raw

    def code_at_end(self, code: int) -> int:
        """Return the exit code of a command that would exit with `code`, and say what was not printed.

        A reader that has gone, such as `head`, is told nothing, and the code is a shell's for SIGPIPE.
        """
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        if code or self._out is None or (problem := self._out.problem) is None:
            return code
        if problem.errno in (errno.EPIPE, errno.EINVAL if os.name == "nt" else errno.EPIPE):
            return 0 if self.only_display else 128 + 13
        if self.only_display:
            warn(f"standard output could not be written ({problem.strerror}): the work is done, and only that is lost")
            return 0
        warn(f"standard output could not be written ({problem.strerror}): send it elsewhere, for example | less")
        return 2


TERMINAL = Terminal()


def begin() -> None:
    """Handle signals, and make the streams forgiving; the first line of a command."""
    interrupts.install()
    TERMINAL.take_over()


def _forgiving(stream: TextIO | None) -> tuple[TextIO, Forgiving | None]:
    if stream is None:  # it was closed before the process began
        return _text(Forgiving(io.BytesIO()), "utf-8", write_through=True)
    if not isinstance(stream, io.TextIOWrapper):  # a program has put something else there
        return stream, None
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
    raw = Forgiving(getattr(stream.buffer, "raw", stream.buffer))
    by_line = stream.line_buffering or stream.write_through or stream is sys.stderr
    return _text(raw, stream.encoding, by_line, stream.write_through)


def _text(
    raw: Forgiving, encoding: str, line_buffering: bool = False, write_through: bool = False
) -> tuple[TextIO, Forgiving]:
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, _AS_PLAIN, line_buffering=line_buffering, write_through=write_through
    ), raw


def _fill_closed() -> None:
    """Open the null device for what was closed; else the next file that is opened would get its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one


def _plain(character: str) -> str:
    if character in PLAIN:
        return PLAIN[character]
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"
