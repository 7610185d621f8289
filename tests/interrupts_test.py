"""The handler of signals, called in this process; real signals at random moments are in faults/terminal_test.py."""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import types

import pytest

from siamese_jax import interrupts
from siamese_jax.errors import Stopped, UserError
from siamese_jax.storage import workdir


class Left(BaseException):
    """The process would have ended."""


@pytest.fixture
def state(monkeypatch):
    """The state of a command that is at work, without a thread; the end of the process raises Left."""
    fresh = interrupts._State()
    fresh.phase = "work"
    monkeypatch.setattr(interrupts, "_state", fresh)

    def leave(code):
        raise Left(code)

    monkeypatch.setattr(os, "_exit", leave)
    return fresh


def frame_in(module: str):
    """Returns a frame of a function of that module, below one of this test."""
    made = types.ModuleType(module)
    exec("import sys\ndef of(call): return call(sys._getframe())", made.__dict__)
    return made.of(lambda frame: frame)


def handle(number=signal.SIGTERM, frame=None):
    interrupts._handle(number, frame or sys._getframe(1))


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_each_signal_interrupts_work_and_keeps_its_number(state, number):
    with pytest.raises(interrupts.Interrupted) as raised:
        handle(number)
    assert raised.value.signal_number == number
    assert isinstance(raised.value, KeyboardInterrupt)


def test_before_the_work_begins_the_process_ends_at_once(state, capfd):
    state.phase = "start"
    with pytest.raises(Left, match="143"):
        handle()
    assert capfd.readouterr().err == "siamese_jax: interrupted\n"


def test_before_the_work_begins_a_folder_that_was_claimed_is_removed(state, tmp_path, monkeypatch):
    monkeypatch.setattr(workdir, "_CLAIMED", [])
    monkeypatch.setattr(atexit, "register", lambda function: None)
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_DFL)  # the tests may run under nohup
    state.phase = "start"
    workdir.claimed(tmp_path / "runs" / "a")
    with pytest.raises(Left, match="143"):
        handle()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["jax._src.compiler", "jaxlib.mlir.ir", "matplotlib.figure", "flax.linen.module"])
def test_nothing_is_raised_below_native_code_and_then_the_first_signal_counts(state, module):
    handle(frame=frame_in(module))
    with pytest.raises(interrupts.Interrupted) as raised:
        handle(signal.SIGINT, frame_in("siamese_jax.runs"))
    assert raised.value.signal_number == signal.SIGTERM


def test_nothing_is_raised_while_a_module_is_imported(state, tmp_path, monkeypatch):
    (tmp_path / "imported_for_this_test.py").write_text("import signal, interrupting\ninterrupting.handle()\n")
    monkeypatch.setitem(sys.modules, "interrupting", types.SimpleNamespace(handle=lambda: handle()))
    monkeypatch.syspath_prepend(str(tmp_path))
    import imported_for_this_test  # noqa: F401  # pyright: ignore[reportMissingImports]

    assert state.asked == [signal.SIGTERM]


def test_nothing_is_raised_in_a_method_that_native_code_calls(state):
    class Compared:
        def __eq__(self, other):
            return self.compare()

        def compare(self):
            handle()
            return True

        __hash__ = None

    assert Compared() == 1
    assert state.asked


@pytest.mark.parametrize("error", [interrupts.Interrupted(2), Stopped(2, 1), UserError("what")])
def test_cleaning_up_is_not_interrupted_again(state, error):
    cleaned = []
    with contextlib.suppress(type(error)):
        try:
            raise error
        finally:
            with contextlib.suppress(OSError):
                try:
                    raise OSError("while cleaning")
                finally:
                    handle()
            cleaned.append(1)
    assert cleaned


def test_what_swallowed_an_interrupt_gets_it_again(state):
    with contextlib.suppress(BaseException):
        handle()
    with pytest.raises(interrupts.Interrupted):
        handle()


def test_at_the_end_nothing_is_raised(state):
    interrupts.end_work()
    handle()


def test_training_is_not_interrupted_but_asked(state):
    def train():
        with interrupts.asked_to_stop() as asked:
            assert not asked
            handle(signal.SIGHUP)
            raise Stopped(asked[0], 3)

    with pytest.raises(Stopped) as stopped:
        train()
    assert stopped.value.signal_number == signal.SIGHUP


def test_an_interrupt_that_training_did_not_ask_for_is_not_lost(state):
    with pytest.raises(interrupts.Interrupted), interrupts.asked_to_stop():
        handle()


@pytest.mark.parametrize("phase", ["work", "library"])
def test_training_checks_for_an_interrupt_where_there_is_nothing_to_save(state, phase):
    state.phase = phase
    with interrupts.asked_to_stop() as asked:
        asked.check()
        handle()
        with pytest.raises(interrupts.Interrupted):
            asked.check()
        asked.clear()


def test_in_a_library_signals_are_handled_only_while_training(state):
    state.phase = "library"
    before = [signal.getsignal(number) for number in interrupts.SIGNALS]
    with interrupts.asked_to_stop() as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked == [signal.SIGTERM]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        asked.clear()
    assert [signal.getsignal(number) for number in interrupts.SIGNALS] == before


def test_a_program_keeps_its_own_handler_of_sighup(state):
    state.phase, heard = "library", []
    before = signal.signal(signal.SIGHUP, lambda *_: heard.append(1))
    try:
        with interrupts.asked_to_stop() as asked:
            os.kill(os.getpid(), signal.SIGHUP)
        assert (heard, asked) == ([1], [])
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_no_signal_is_handled(state):
    def work():
        with interrupts.asked_to_stop() as asked:
            handlers.append(signal.getsignal(signal.SIGTERM))
            asked.check()

    handlers = [signal.getsignal(signal.SIGTERM)]
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers[0] is handlers[1]


def answer(state, seconds_later, monkeypatch):
    """Lets the thread hear two signals."""
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    interrupts._answer(signal.SIGTERM, False)
    monkeypatch.setattr("time.monotonic", lambda: 100.0 + seconds_later)
    interrupts._answer(signal.SIGINT, False)


def test_a_second_signal_ends_the_process_at_once(state, monkeypatch, capfd):
    with pytest.raises(Left, match="143"):
        answer(state, 2, monkeypatch)
    assert "ended at once" in capfd.readouterr().err


def test_two_signals_at_the_same_time_count_as_one(state, monkeypatch):
    answer(state, 0.1, monkeypatch)


def test_a_second_signal_waits_for_the_end_of_a_save(state, monkeypatch, capfd):
    def save():
        with interrupts.unbroken():
            with interrupts.unbroken():
                answer(state, 2, monkeypatch)
            saved.append(1)

    saved = []
    with pytest.raises(Left, match="143"):
        save()
    assert saved
    assert "ending after this save" in capfd.readouterr().err


def test_a_save_without_a_second_signal_ends_nothing(state, monkeypatch):
    with interrupts.unbroken():
        answer(state, 0.1, monkeypatch)


def test_during_a_compile_the_thread_says_so_at_once(state, monkeypatch, capfd):
    monkeypatch.setattr(sys, "_current_frames", lambda: {threading.main_thread().ident: frame_in("jax._src.compiler")})
    assert interrupts._answer(signal.SIGINT, False)
    assert "stopping after this compile" in capfd.readouterr().err


def test_a_server_gets_its_signals_itself(state):
    with interrupts.left_alone():
        handle()
    assert not state.asked


@pytest.fixture
def installed(state, monkeypatch):
    """Notes which signals `install` would handle."""
    state.phase, handled = "library", []
    monkeypatch.setattr(signal, "signal", lambda number, handler: handled.append(number))
    monkeypatch.setattr(atexit, "register", lambda function: None)
    return handled


def test_all_signals_are_handled_once(installed):
    interrupts.install()
    interrupts.install()
    assert installed == list(interrupts.SIGNALS)


LAST_MOMENT = """
import os, signal
from siamese_jax import interrupts

class Late:
    def __del__(self, kill=os.kill, number=signal.SIGHUP, pid=os.getpid()):
        kill(pid, number)

interrupts.install()
interrupts.end_work()
late = Late()
"""


def test_a_signal_after_the_last_words_does_not_change_the_exit_code():
    assert subprocess.run([sys.executable, "-c", LAST_MOMENT], timeout=60).returncode == 0


def test_nohup_keeps_its_word(installed, monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    interrupts.install()
    assert installed == [signal.SIGINT]


def test_sigterm_raises_in_a_program_that_gives_trials_back(state):
    state.phase = "library"
    with pytest.raises(KeyboardInterrupt), interrupts.terminations_raise():
        os.kill(os.getpid(), signal.SIGTERM)
