"""Locks, on file systems with and without them."""

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import ClassVar

import pytest

from siamese_jax.errors import UserError
from siamese_jax.storage import locks
from siamese_jax.storage.locks import HeldError, exclusive

WITHOUT_LOCKS = [errno.ENOLCK, errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP]


@pytest.fixture(params=[None, *WITHOUT_LOCKS], ids=lambda code: errno.errorcode.get(code, "with locks"))
def path(request, tmp_path, monkeypatch) -> Path:
    """A file to lock, on a file system with locks, or on one that answers with an error."""
    if request.param:
        break_locks(monkeypatch, request.param)
    return tmp_path / "lock"


def break_locks(monkeypatch, code: int) -> None:
    def flock(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(locks.fcntl, "flock", flock)


def holder_of(path: Path, **changed) -> Path:
    """Writes the holder of a lock, by default this process."""
    said = {"host": socket.gethostname(), "pid": os.getpid(), "started": locks._started(os.getpid()), **changed}
    holder = path.with_name(path.name + locks.HOLDER)
    holder.write_text(json.dumps(said))
    return holder


def a_dead_process() -> int:
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    child.wait()
    return child.pid


def test_a_lock_is_refused_while_it_is_held_and_free_afterwards(path):
    with exclusive(path, wait=False), pytest.raises(HeldError), exclusive(path, wait=False):
        pass
    with exclusive(path, wait=False):
        pass
    assert {each.name for each in path.parent.iterdir()} == {"lock"}


def test_an_error_inside_frees_the_lock(path):
    with pytest.raises(KeyError), exclusive(path, wait=False):
        raise KeyError
    with exclusive(path, wait=False):
        pass


def test_one_waits_for_the_other(path, monkeypatch):
    monkeypatch.setattr(locks, "PAUSE", 0.001)
    inside, most = [], []

    def work():
        for _ in range(5):
            with exclusive(path, wait=True):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert most == [1] * 20


def test_a_holder_may_remove_the_file(path):
    with exclusive(path, wait=False):
        path.unlink()
    with exclusive(path, wait=False), pytest.raises(HeldError), exclusive(path, wait=False):
        pass


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_no_lock(tmp_path, monkeypatch):
    path, opened = tmp_path / "lock", []

    def open_and_lose(*arguments):
        opened.append(really(*arguments))
        if len(opened) == 1:  # the holder before removes it between the opening and the locking
            path.unlink()
        return opened[-1]

    really = os.open
    monkeypatch.setattr(locks.os, "open", open_and_lose)
    with exclusive(path, wait=False), pytest.raises(HeldError), exclusive(path, wait=False):
        pass
    assert len(opened) == 3


def test_without_locks_a_dead_holder_is_taken_over(path):
    holder_of(path, pid=a_dead_process())
    with exclusive(path, wait=False), pytest.raises(HeldError), exclusive(path, wait=False):
        pass
    assert {each.name for each in path.parent.iterdir()} == {"lock"}


def test_a_process_that_has_the_number_of_a_dead_one_does_not_hold_its_lock(path):
    holder_of(path, started="1")
    with exclusive(path, wait=False):
        pass


def test_a_zombie_holds_nothing(path):
    if not Path("/proc/self/stat").exists():
        pytest.skip("only Linux shows zombies in /proc")
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    holder_of(path, pid=child.pid, started="1")
    with exclusive(path, wait=False):
        pass
    child.wait()


HUGE = '{"host": "h", "pid": 1e400, "started": null}'


@pytest.mark.parametrize(
    "text", ['{"host": "elsewhere", "pid": 1, "started": "1"}', "", "[1]", '{"pid": "x"}', "[" * 9999, HUGE]
)
def test_a_holder_that_cannot_be_asked_is_named_with_its_file(path, text, monkeypatch):
    holder = path.with_name(path.name + locks.HOLDER)
    holder.write_text(text)
    with pytest.raises(HeldError, match=f"delete .*{holder.name}"), exclusive(path, wait=False):
        pass
    monkeypatch.setattr(locks, "PATIENCE", 0.0)
    with pytest.raises(UserError, match=f"delete .*{holder.name}"), exclusive(path, wait=True):
        pass
    assert holder.read_text() == text


def test_two_that_take_over_at_the_same_time_do_not_both_hold_it(tmp_path, monkeypatch):
    break_locks(monkeypatch, errno.ENOLCK)
    path = tmp_path / "lock"
    holder = holder_of(path, pid=a_dead_process())
    really = locks._lives

    def slow(pid, started):  # another process takes it over between our reading and our renaming
        lives = really(pid, started)
        holder_of(path)
        return lives

    monkeypatch.setattr(locks, "_lives", slow)
    with pytest.raises(HeldError), exclusive(path, wait=False):
        pass
    assert json.loads(holder.read_text())["pid"] == os.getpid()
    assert {each.name for each in tmp_path.iterdir()} == {"lock", holder.name}


def test_without_hard_links_it_still_works(tmp_path, monkeypatch):
    break_locks(monkeypatch, errno.ENOLCK)

    def link(*_):
        raise PermissionError(errno.EPERM, "no links")

    monkeypatch.setattr(locks.os, "link", link)
    path = tmp_path / "lock"
    with exclusive(path, wait=False), pytest.raises(HeldError), exclusive(path, wait=False):
        pass
    assert {each.name for each in tmp_path.iterdir()} == {"lock"}


def test_cifs_says_permission_denied_for_a_lock_that_is_held(tmp_path, monkeypatch):
    break_locks(monkeypatch, errno.EACCES)
    with pytest.raises(HeldError), exclusive(tmp_path / "lock", wait=False):
        pass


def test_other_errors_of_the_disk_are_errors(tmp_path, monkeypatch):
    break_locks(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output"), exclusive(tmp_path / "lock", wait=False):
        pass


def test_without_fcntl_the_locks_of_windows_are_used(tmp_path, monkeypatch):
    class Msvcrt:
        """As Python's manual describes it: a region of a file is locked for one opening of it."""

        LK_NBLCK = 2
        held: ClassVar[set[int]] = set()

        @classmethod
        def locking(cls, number, mode, count):
            assert (mode, count) == (cls.LK_NBLCK, 1)
            inode = os.fstat(number).st_ino
            if inode in cls.held:
                raise OSError(errno.EACCES, "Permission denied")
            cls.held.add(inode)

    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(locks, "msvcrt", Msvcrt, raising=False)
    with exclusive(tmp_path / "lock", wait=False), pytest.raises(HeldError), exclusive(tmp_path / "lock", wait=False):
        pass


def test_only_one_place_locks_files():
    root = Path(__file__).parents[2]
    users = [path for folder in ("siamese_jax", "tests") for path in (root / folder).rglob("*.py")]
    naming = {path.name for path in users if "flock" in path.read_text() or "import fcntl" in path.read_text()}
    assert naming == {"locks.py", "locks_test.py"}


def test_whoever_waits_for_long_is_told_for_whom_once(path, monkeypatch, caplog):
    monkeypatch.setattr(locks, "SAYING", 0.0)
    monkeypatch.setattr(locks, "PAUSE", 0.01)
    taken = threading.Event()

    def wait():
        with locks.exclusive(path, wait=True):
            taken.set()

    with locks.exclusive(path, wait=False):
        thread = threading.Thread(target=wait)
        thread.start()
        assert not taken.wait(0.1)
    thread.join()
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"waiting for {path}: it is held by ")


def test_a_lock_ends_although_a_forked_process_still_has_its_file(tmp_path, monkeypatch):
    numbers, take = [], locks._lock

    def lock(number):
        numbers.append(os.dup(number))
        return take(number)

    monkeypatch.setattr(locks, "_lock", lock)
    with locks.exclusive(tmp_path / "lock", wait=False):
        pass
    with locks.exclusive(tmp_path / "lock", wait=False):
        pass
    for number in numbers:
        os.close(number)
