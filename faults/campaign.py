"""What all tests of the fault campaign share: the command as a real process, and what must hold after a fault.

The campaign is not part of `pytest`; `make faults` runs it. Each case of a test is one injection: it makes a fault,
runs the command, and states what holds afterwards. A test's name is its row in the table that is printed at the end.

    @pytest.mark.parametrize("seed", range(10))
    def test_a_flipped_bit_of_a_checkpoint_is_noticed(finished, command, seed):
        flip_a_bit(finished / "checkpoints", random.Random(seed))
        with nothing_lost(finished, but=("checkpoints", *DERIVED)):
            command("--mode=evaluate", f"--workdir={finished}").survived(0, 2).says("step")
"""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TINY = (
    "--experiment=own_images", "--data.side=12", "--data.epoch_steps=4", "--network.units=8", "--network.width=8",
    "--network.stages=1", "--evaluation.validation_trials=20", "--evaluation.random_trials=40", "--max_epochs=3",
)  # fmt: skip
"""Flags of a run of 12 steps, on the folder of the fixture `pictures`; --data.path and --workdir come with them."""

DERIVED = (
    "results.json", "trials.npz", "report.md", "report.html", "lock", "confused.png", "distortions.png", "filters.png",
    "groups.png", "hardest.png", "n_way.png", "roc.png", "training.png", "trial.png", "units.png",
)  # fmt: skip
"""What an evaluation writes again."""

CRASHES = (
    "Traceback (most recent call last)", "Event loop is closed", "never retrieved", "Fatal Python error",
    "Segmentation fault", "core dumped", "Exception ignored", "terminate called",
)  # fmt: skip
"""What a user must never read, whatever happens."""


class LostError(AssertionError):
    """Something that was written before the fault is gone, or has changed."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code (-N: killed by signal N), what it printed, and the seconds it took."""

    code: int
    out: str
    err: str
    seconds: float

    def survived(self, *codes: int) -> "Outcome":
        """Fail unless the exit code is one of these, and no traceback was printed; return this outcome.

        A command that fails must say why, in at most three lines of its own. Without codes, 0 and 2 are expected.
        """
        told = f"exit code {self.code} after {self.seconds:.1f} s\n{self.out[-2000:]}\n{self.err[-4000:]}"
        assert self.code in (codes or (0, 2)), told
        for crash in CRASHES:
            assert crash not in self.out + self.err, told
        if self.code > 0:
            own = [line for line in self.err.splitlines() if line.startswith("siamese_jax: ")]
            assert 1 <= len(own) <= 3, told
        return self

    def says(self, *words: str) -> "Outcome":
        """Fail unless all words stand in what was printed; return this outcome."""
        for word in words:
            assert word in self.out + self.err, f"{word!r} is not in\n{self.out[-2000:]}\n{self.err[-4000:]}"
        return self


class Command:
    """The command `siamese_jax`, as processes that end with the test.

    Args:
      folder: Where processes start, and where home is.
      cache: Where compiled programs are kept, for all tests.
    """

    def __init__(self, folder: Path, cache: Path):
        self._folder = folder
        self._running: list[subprocess.Popen] = []
        home = folder / "home"
        home.mkdir(exist_ok=True)
        self.environment = os.environ | {
            "HOME": str(home),
            "PYTHONUNBUFFERED": "1",
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        }

    def __call__(
        self,
        *words: str | os.PathLike,
        env: Mapping[str, str | None] | None = None,
        before: Sequence[str] = (),
        timeout: float = 180,
        **popen,
    ) -> Outcome:
        """Run the command to its end.

        Args:
          *words: The flags, or a verb and what follows it.
          env: Changes of the environment; None removes a name.
          before: A program that starts the command, for example ("setpriv", "--reuid", "1234").
          timeout: Seconds until it counts as hanging, which fails the test.
          **popen: As `subprocess.Popen` takes them, for example cwd or preexec_fn.
        """
        began = time.monotonic()
        process = self.start(*words, env=env, before=before, **popen)
        return self.ended(process, timeout, began)

    def start(
        self,
        *words: str | os.PathLike,
        env: Mapping[str, str | None] | None = None,
        before: Sequence[str] = (),
        **popen,
    ) -> subprocess.Popen:
        """Start the command; what it prints is kept for `ended`, unless stdout and stderr are given."""
        changed = {**self.environment, **(env or {})}
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "siamese_jax.main", *map(os.fspath, words)],
            env={name: value for name, value in changed.items() if value is not None},
            start_new_session=True,
            **{"cwd": self._folder, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            | popen,
        )
        self._running.append(process)
        return process

    @staticmethod
    def ended(process: subprocess.Popen, timeout: float = 180, began: float | None = None) -> Outcome:
        """Wait until a process has ended; return how. A process that hangs is killed, and fails the test."""
        began = time.monotonic() if began is None else began
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"it hung for {timeout} s\n{_text(out)}\n{_text(err)}") from None
        return Outcome(process.returncode, _text(out), _text(err), time.monotonic() - began)

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@contextlib.contextmanager
def nothing_lost(folder: Path, but: Sequence[str] = ()) -> Iterator[None]:
    """Raise LostError unless all files of a folder have the same bytes afterwards; new files may appear.

    Args:
      folder: The folder.
      but: Names of files and folders at its top that may change.
    """
    before = digests(folder, but)
    yield
    after = digests(folder, but)
    lost = {name for name in before if after.get(name) != before[name]}
    if lost:
        raise LostError(f"gone or changed in {folder}: {', '.join(sorted(lost))}")


def digests(folder: Path, but: Sequence[str] = ()) -> dict[str, str]:
    """Return the sha256 of each file below a folder, by relative path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] not in but and path.is_file() and not path.is_symlink():
            found[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def wait_for(process: subprocess.Popen, path: Path, seconds: float = 120) -> None:
    """Wait until a file or folder exists, or the process has ended."""
    until = time.monotonic() + seconds
    while not path.exists() and process.poll() is None:
        assert time.monotonic() < until, f"{path} did not appear in {seconds} s"
        time.sleep(0.01)


def _text(printed: bytes | None) -> str:
    return (printed or b"").decode(errors="replace")
