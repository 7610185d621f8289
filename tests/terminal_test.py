"""Streams that are closed, full, or of few characters."""

import errno
import io
import os
import subprocess
import sys

import pytest

from siamese_jax import terminal
from siamese_jax.terminal import Forgiving, Terminal


class Raw(io.RawIOBase):
    """A stream that takes `room` bytes, and then fails."""

    def __init__(self, room=0, number=errno.ENOSPC, nothing=0):
        self.taken, self._room, self._number, self._nothing = b"", room, number, nothing

    def writable(self):
        return True

    def write(self, content):
        if self._nothing:
            self._nothing -= 1
            return None
        some = bytes(content)[: max(0, self._room - len(self.taken))]
        if not some:
            raise OSError(self._number, os.strerror(self._number))
        self.taken += some
        return len(some)


@pytest.fixture
def taken_over(monkeypatch):
    """A function that makes a terminal of two raw streams."""

    def take_over(out, err=None, encoding="utf-8"):
        for name, raw in (("stdout", out), ("stderr", err or Raw(1 << 20))):
            text = None if raw is None else io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding)
            monkeypatch.setattr(sys, name, text)
        made = Terminal()
        made.take_over()
        return made

    return take_over


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF])
def test_a_stream_that_fails_takes_everything_and_remembers_why(number):
    raw = Raw(3, number)
    stream = io.BufferedWriter(Forgiving(raw))
    for _ in range(3):
        stream.write(b"four")
        stream.flush()
    assert raw.taken == b"fou"
    assert stream.raw.problem.errno == number


def test_a_stream_that_never_blocks_is_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr("select.select", lambda *streams: waited.append(streams))
    raw = Raw(10, nothing=2)
    assert Forgiving(raw).write(b"four") == 4
    assert (raw.taken, len(waited)) == (b"four", 2)


@pytest.mark.parametrize(
    ("number", "only_display", "code", "said"),
    [
        (errno.EPIPE, False, 141, ""),
        (errno.EPIPE, True, 0, ""),
        (errno.ENOSPC, False, 2, "standard output could not be written (No space left on device)"),
        (errno.ENOSPC, True, 0, "the work is done"),
    ],
)
def test_the_exit_code_says_whether_an_answer_was_lost(taken_over, number, only_display, code, said):
    errors = Raw(1 << 20)
    made = taken_over(Raw(0, number), errors)
    made.only_display = only_display
    terminal.say("the answer")
    assert made.code_at_end(0) == code
    assert made.code_at_end(2) == 2
    assert said in errors.taken.decode()
    assert bool(said) == bool(errors.taken)


def test_a_closed_output_is_a_lost_answer_and_no_reason_to_stop(taken_over):
    made = taken_over(None)
    terminal.say("the answer")
    assert made.code_at_end(0) == 2
    made.only_display = True
    assert made.code_at_end(0) == 0


def test_python_without_buffers_writes_each_line_at_once(monkeypatch):
    out = Raw(1 << 20)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(out), write_through=True))
    Terminal().take_over()
    print("a line")
    assert out.taken == b"a line\n"


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", "5x5 - eta 1/2 a..., e ?"),
        ("latin-1", "5×5 - eta ½ a..., é ?"),
        ("cp1252", "5×5 – eta ½ a…, é ?"),
        ("utf-8", "5×5 – η ½ a…, é 字"),
    ],
)
def test_what_an_encoding_lacks_is_written_in_plain_characters(taken_over, encoding, written):
    out, errors = Raw(1 << 20), Raw(1 << 20)
    made = taken_over(out, errors, encoding)
    terminal.say("5×5 – η ½ a…, é 字")
    terminal.warn("5×5 – η ½ a…, é 字")
    assert made.code_at_end(0) == 0
    assert out.taken.decode(encoding) == f"{written}\n"
    assert errors.taken.decode(encoding) == f"siamese_jax: {written}\n"


def test_a_name_that_is_not_text_is_printed(taken_over):
    out = Raw(1 << 20)
    taken_over(out)
    terminal.say(os.fsdecode(b"caf\xe9"))
    assert out.taken == b"caf\\udce9\n"


def test_names_have_no_power_over_the_terminal(taken_over):
    out, errors = Raw(1 << 20), Raw(1 << 20)
    taken_over(out, errors)
    terminal.say("a\x1b[2J\x07b\u202ec\td")
    terminal.warn("a\x1b[2J\nb")
    assert out.taken == b"a\\x1b[2J\\x07b\\u202ec\td\n"
    assert errors.taken == b"siamese_jax: a\\x1b[2J b\n"


def test_closed_streams_are_filled_so_that_no_file_gets_their_number(tmp_path):
    code = "import os; from siamese_jax import terminal; terminal._fill_closed(); os.write(9, b'%d' % os.dup(0))"
    shell = ["sh", "-c", 'exec "$0" -c "$1" 9>"$2" 0<&- 1<&- 2<&-', sys.executable, code, str(tmp_path / "number")]
    assert subprocess.run(shell).returncode == 0
    assert int((tmp_path / "number").read_text()) > 2
