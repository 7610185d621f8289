"""Fixtures of the fault campaign, and the table that it prints at the end."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from campaign import TINY, Command, LostError
from folders import make_folder
from sharing import Once, once

from siamese_jax.environment import environment

__all__ = ["once"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --record, which keeps the table as JSON."""
    parser.addoption("--record", type=Path, help="where the table of the campaign is written as JSON")


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory, once: Once) -> Path:
    """Where compiled programs are kept."""
    return once("programs", lambda folder: None)


@pytest.fixture
def command(tmp_path: Path, programs: Path) -> Iterator[Command]:
    """The command, with a home and a current folder of its own."""
    started = Command(tmp_path, programs)
    yield started
    started.close()


@pytest.fixture(scope="session")
def pictures(once: Once) -> Path:
    """Coloured pictures of 30 classes in 6 groups."""
    classes = {f"group{group}/class{class_}": 4 for group in range(6) for class_ in range(5)}
    return once("pictures", lambda folder: make_folder(folder, classes))


@pytest.fixture(scope="session")
def trained(once: Once, pictures: Path, programs: Path) -> Path:
    """A finished run of TINY, which no test may change."""

    def build(folder: Path) -> None:
        Command(folder.parent, programs)(*TINY, f"--data.path={pictures}", f"--workdir={folder}").survived(0)

    return once("trained", build)


@pytest.fixture
def finished(trained: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, for one test."""
    return Path(shutil.copytree(trained, tmp_path / "finished"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Any:
    """Note in the report of a test whether something was lost."""
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(LostError):
        report.user_properties.append(("lost", True))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print how many faults of each kind were tried, how many were survived, and after how many nothing was lost."""
    tried, survived, kept = Counter(), Counter(), Counter()
    for report in (*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())):
        if report.when != "call":
            continue
        part, _, test = report.nodeid.partition("::")
        row = Path(part).stem.removesuffix("_test"), test.partition("[")[0].removeprefix("test_").replace("_", " ")
        lost = ("lost", True) in report.user_properties
        tried[row] += 1
        survived[row] += report.passed or lost
        kept[row] += report.passed
    rows = [
        {"part": row[0], "fault": row[1], "tried": tried[row], "survived": survived[row], "nothing_lost": kept[row]}
        for row in sorted(tried)
    ]
    for row in rows:
        counts = f"{row['tried']:5} tried {row['survived']:5} survived {row['nothing_lost']:5} nothing lost"
        terminalreporter.write_line(f"{counts}   {row['part']}: {row['fault']}")
    terminalreporter.write_line(
        f"{tried.total():5} tried {survived.total():5} survived {kept.total():5} nothing lost   in all"
    )
    if path := config.getoption("record"):
        path.write_text(json.dumps({"environment": vars(environment()), "rows": rows}, indent=2) + "\n")
