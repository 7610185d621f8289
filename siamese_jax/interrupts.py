"""The one handler of signals, and what an interrupt may break: nothing that is being written, and no native code.

A signal (Ctrl-C is SIGINT) is answered in one of four ways, whichever fits what the command does:

* Before the work begins there is nothing to lose: the process ends at once.
* During the work `Interrupted` is raised in the main thread. It is never raised below a library whose native code calls
  Python, since such code can crash, or drop the exception. It is raised again when something dropped it.
* Training asks: it saves, and stops by itself (`asked_to_stop`).
* A second signal ends the process at once, but never while a checkpoint is written (`unbroken`).

Python runs a handler only between two of its own instructions. So a thread listens as well: it answers while the main
thread is inside a compiler.
"""

import _thread
import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from siamese_jax.errors import Stopped, UserError

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name))
NATIVE = {
    "PIL", "array_record", "chex", "flax", "jax", "jaxlib", "matplotlib", "numpy", "onnx", "onnxruntime", "optax",
    "orbax", "scipy", "sklearn", "tensorstore",
}  # fmt: skip
"""Libraries whose native code calls Python: no exception is raised below them."""
_FROM_NATIVE = {"__del__", "__eq__", "__hash__"}
"""Methods that native code calls, also without a library's own frame between."""
_COMPILING = ("jax._src.compiler", "jax._src.interpreters", "jax._src.pjit")

_AGAIN = 0.5
"""Seconds after which another signal is a second one: systems send two kinds at once when they shut down."""
_PATIENCE = 1.0
"""Seconds after which the user is told that an interrupt was heard."""
_TICK = 0.05
"""Seconds between two tries to raise an interrupt."""


class Interrupted(KeyboardInterrupt):
    """A signal has ended the work. A KeyboardInterrupt: whoever expects one of those is served."""

    def __init__(self, signal_number: int):
        super().__init__(signal.Signals(signal_number).name)
        self.signal_number = signal_number


class Asked(list[int]):
    """The signals that have asked training to stop; empty while none has."""

    def check(self) -> None:
        """Raise `Interrupted` if there are any: for places where there is nothing to save."""
        if self:
            raise Interrupted(self[0])


class _State:
    """What the handler and the thread share. All of it is written under the interpreter's lock alone."""

    def __init__(self) -> None:
        self.phase = "library"  # then "start", "work" and "end", in a command
        self.asked = Asked()
        self.polled = self.unbroken = self.left_alone = 0
        self.hurry = False
        self.first_at: float | None = None
        self.nudges = 0
        self.tidy: Callable[[], None] | None = None


_state = _State()


def install() -> None:
    """Handle all signals of the process from now on; the first line of a command. Call it in the main thread."""
    if _state.phase != "library":
        return
    _state.phase = "start"
    for number in SIGNALS:
        # nohup ignores SIGHUP, and means it. A shell that starts a command with & ignores SIGINT for it, too; but
        # whoever sends SIGINT to that very process wants it to stop.
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)
    atexit.register(_ignore_all)  # the first one that is registered runs last


def _ignore_all() -> None:
    """Ignore signals in the last moment of a process: Python gives them back to the system, which would kill it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def begin_work() -> None:
    """From now on an interrupt unwinds the work, so that unfinished files are removed. Only a command calls this."""
    if _state.phase != "start":
        return
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(ours, theirs), name="signals", daemon=True).start()
    _state.phase = "work"


def tidy_with(tidy: Callable[[], None]) -> None:
    """Call `tidy` before a signal ends the process at its start. It must be quick, and must not take locks."""
    _state.tidy = tidy


def end_work() -> None:
    """From now on nothing is raised: the command says its last words. A signal ends it at once."""
    if _state.phase != "library":
        _state.phase = "end"


def asked() -> int | None:
    """Return the number of the signal that came first; None if none came."""
    return _state.asked[0] if _state.asked else None


@contextlib.contextmanager
def asked_to_stop() -> Iterator[Asked]:
    """Yield a list that signals put their numbers into, and interrupt nothing: who asks the list decides.

    In a command the handler of the command fills it. In another program the signals are handled here, until the end of
    the context; a second one raises KeyboardInterrupt. Only the main thread of a process can handle signals: in another
    thread the list stays empty.

    Raises:
      Interrupted: a signal came, and whoever should have asked came to the end without.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Asked()
        return
    before = {}
    if _state.phase == "library":
        _state.asked = Asked()
        for number in SIGNALS:
            if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, _handle)
    _state.polled += 1
    try:
        yield _state.asked
        _state.asked.check()
    finally:
        _state.polled -= 1
        for number, handler in before.items():
            if handler is not None:  # None: it was not installed from Python
                signal.signal(number, handler)


@contextlib.contextmanager
def unbroken() -> Iterator[None]:
    """Let no signal end the process inside this context; a second one that came ends it afterwards."""
    _state.unbroken += 1
    try:
        yield
    finally:
        _state.unbroken -= 1
        if _state.hurry and not _state.unbroken:
            leave(_state.asked[0])


@contextlib.contextmanager
def left_alone() -> Iterator[None]:
    """Leave signals to handlers that someone else installs inside this context."""
    _state.left_alone += 1
    try:
        yield
    finally:
        _state.left_alone -= 1


@contextlib.contextmanager
def terminations_raise() -> Iterator[None]:
    """Make SIGTERM raise KeyboardInterrupt in a program that does not handle it; a command does so anyway."""
    if _state.phase != "library" or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def leave(number: int, text: str = "ended at once; what was saved before is kept") -> None:
    """End the process without unwinding anything, as a shell expects it after that signal."""
    cursor = "\x1b[?25h" if _is_terminal() else ""  # a progress bar hides it
    _say(f"{cursor}{text}")
    os._exit(128 + number)


def _handle(number: int, frame: FrameType | None) -> None:
    """Answer a signal in the main thread, between two instructions of Python."""
    if _state.left_alone:
        return
    second = bool(_state.asked)
    _state.asked.append(number)
    if _state.phase == "library":
        if second and not _state.unbroken and _raising_is_safe(frame):
            raise KeyboardInterrupt
    elif _state.phase == "start":
        if _state.tidy is not None:
            _state.tidy()
        leave(number, "interrupted")
    elif _state.phase == "work" and not _state.polled and _raising_is_safe(frame) and not _unwinds():
        raise Interrupted(_state.asked[0])


def _listen(ours: socket.socket, theirs: socket.socket) -> None:
    """Hear of signals at once, whatever the main thread does; `theirs` is kept open.

    Each signal is one byte. Those that `_nudge` sends are counted, and passed over.
    """
    said = False
    while True:
        ours.settimeout(None if _state.first_at is None else _TICK)
        try:
            numbers = ours.recv(64)
        except TimeoutError:
            numbers = b""
        if _state.left_alone:
            _state.nudges = 0
            continue
        for number in numbers:
            if number == signal.SIGINT and _state.nudges:
                _state.nudges -= 1
            elif number in SIGNALS:
                said = _answer(number, said)
        if _state.first_at is not None and _state.phase == "work":
            if not said and time.monotonic() - _state.first_at > _PATIENCE:
                said = True
                _say("stopping as soon as possible; a second signal ends at once")
            if not _state.polled and not numbers:
                _nudge()


def _answer(number: int, said: bool) -> bool:
    """Answer a signal in the thread; return whether the user knows now that it was heard."""
    now = time.monotonic()
    if _state.first_at is None:
        _state.first_at = now
        if not _state.asked:  # the handler has to wait
            _state.asked.append(number)
        if _state.phase == "work" and _compiles():
            _say("stopping after this compile; a second signal ends at once")
            return True
    elif now - _state.first_at > _AGAIN:
        if not _state.unbroken:
            leave(_state.asked[0])
        if not _state.hurry:
            _say("ending after this save")
        _state.hurry = True
    return said


def _nudge() -> None:
    """Make the main thread run the handler again, since it could not raise where it was, or was not listened to."""
    _state.nudges += 1
    _thread.interrupt_main(signal.SIGINT)


def _raising_is_safe(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name in _FROM_NATIVE or _package(frame) in NATIVE:
            return False
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return False
        frame = frame.f_back
    return True


def _unwinds() -> bool:
    """Whether the main thread, which calls this, already cleans up, with a sentence to say at the end."""
    error: BaseException | None = sys.exc_info()[1]
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, Interrupted | Stopped | UserError):
            return True
        seen.add(id(error))
        error = error.__context__
    return False


def _compiles() -> bool:
    """Whether the main thread is inside JAX's compiler, or traces a function for it."""
    main = threading.main_thread().ident
    frame: FrameType | None = sys._current_frames().get(main) if main is not None else None
    while frame is not None:
        if _module(frame).startswith(_COMPILING):
            return True
        frame = frame.f_back
    return False


def _package(frame: FrameType) -> str:
    return _module(frame).partition(".")[0]


def _module(frame: FrameType) -> str:
    name: Any = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def _is_terminal() -> bool:
    with contextlib.suppress(OSError):
        return os.isatty(2)
    return False


def _say(text: str) -> None:
    """Write to standard error past Python's buffers, which the interrupted code may be writing to."""
    with contextlib.suppress(OSError):
        os.write(2, f"{os.linesep if _is_terminal() else ''}siamese_jax: {text}{os.linesep}".encode())
