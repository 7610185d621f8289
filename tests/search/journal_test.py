"""The journal of a study: nothing that a search has recorded is lost without a word."""

import contextlib
import errno
import json
import os
import random

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from plans import make_plan, run_all

from siamese_jax.errors import UserError
from siamese_jax.search import findings
from siamese_jax.search import journal as journals
from siamese_jax.search.study import Study, find_study


@pytest.fixture
def recorded(tmp_path):
    """A study with two candidates that have ended."""
    with Study(make_plan(2), tmp_path) as study:
        run_all(study)
    return tmp_path


def edited(folder, change):
    path = folder / journals.NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [], "bytes of it are missing"),
        (lambda lines: lines[:-1], "bytes of it are missing"),
        (lambda lines: lines[:3] + lines[4:], "bytes of it are missing"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "its records were changed"),
        (lambda lines: [line.replace(b"0.5", b"0.9") for line in lines], "its records were changed"),
    ],
    ids=["emptied", "without its end", "without a line", "in another order", "with another value"],
)
def test_a_journal_that_lost_or_changed_a_record_is_refused_and_kept(recorded, change, words):
    edited(recorded, change)
    before = (recorded / journals.NAME).read_bytes()
    with pytest.raises(UserError, match=words), Study(make_plan(2), recorded):
        pass
    with pytest.raises(UserError, match=words):
        find_study("tiny", recorded, None)
    assert (recorded / journals.NAME).read_bytes() == before


def test_a_journal_that_is_gone_is_not_begun_again(recorded):
    (recorded / journals.NAME).unlink()
    with pytest.raises(UserError, match="bytes of it are missing"), Study(make_plan(2), recorded):
        pass


def test_a_new_record_is_not_begun_beside_the_candidates_of_an_earlier_search(recorded):
    findings.files.write_text(recorded / "trials.csv", "number\n")
    (recorded / journals.NAME).unlink()
    (recorded / "journal.digest").unlink()
    with pytest.raises(UserError, match=r"trials\.csv of an earlier search"), Study(make_plan(2), recorded):
        pass


def test_what_other_programs_append_belongs_to_the_journal(recorded):
    storage = JournalStorage(JournalFileBackend(str(recorded / journals.NAME)))
    optuna.load_study(study_name="tiny", storage=storage).set_user_attr("note", "from a dashboard")
    with Study(make_plan(3), recorded) as study:
        assert study.study.user_attrs["note"] == "from a dashboard"
        run_all(study)
    edited(recorded, lambda lines: [line for line in lines if b"dashboard" not in line])
    with pytest.raises(UserError, match="bytes of it are missing"), Study(make_plan(3), recorded):
        pass


def test_two_workers_keep_one_digest_of_all_records(tmp_path):
    plan = make_plan(4, sampler="random")
    with Study(plan, tmp_path) as one, Study(plan, tmp_path) as other:
        for study in (one, other, one, other):
            (trial,) = study.ask(1)
            study.complete(trial, 0.5)
    size, _ = (tmp_path / "journal.digest").read_text().split()
    assert int(size) == (tmp_path / journals.NAME).stat().st_size
    with Study(plan, tmp_path) as study:
        assert study.done


def test_a_lock_that_optuna_left_behind_holds_nothing_up(recorded):
    os.symlink(journals.NAME, recorded / f"{journals.NAME}.lock")
    with Study(make_plan(3), recorded) as study:
        run_all(study)


def test_a_full_disk_leaves_the_journal_as_it_was(recorded, monkeypatch):
    before = (recorded / journals.NAME).read_bytes()
    with Study(make_plan(3), recorded) as study:
        began = (recorded / journals.NAME).read_bytes()

        def full(number):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(journals.os, "fsync", full)
            with pytest.raises(UserError, match="No space left"):
                study.ask(1)
        assert (recorded / journals.NAME).read_bytes() == began
        run_all(study)
    assert (recorded / journals.NAME).read_bytes().startswith(before)


@pytest.mark.parametrize("seed", range(8))
def test_a_foreign_journal_with_other_values_is_opened_or_refused_in_a_sentence(recorded, monkeypatch, seed):
    monkeypatch.setattr(findings, "draw", lambda study, folder: [])  # Optuna's pictures take a second
    chance = random.Random(seed)

    def changed(lines):
        place = chance.randrange(len(lines))
        record = json.loads(lines[place])
        name = chance.choice(sorted(record))
        record[name] = chance.choice([None, [], {}, "x", -1, 2.5, True])
        return [*lines[:place], json.dumps(record).encode() + b"\n", *lines[place + 1 :]]

    edited(recorded, changed)
    (recorded / "journal.digest").unlink()
    with contextlib.suppress(UserError):
        with Study(make_plan(3), recorded) as study:
            run_all(study)
        findings.write_findings(find_study("tiny", recorded, None), recorded)


@pytest.mark.parametrize("name", ["seconds", "reason", "worker", "deaths"])
def test_a_note_that_no_search_writes_is_refused(recorded, name):
    study = find_study("tiny", recorded, None)
    with Study(make_plan(3), recorded) as opened:
        (trial,) = opened.ask(1)
        trial.set_user_attr(name, [1])
    with pytest.raises(UserError, match=f"'{name}' of candidate 2 in the record"):
        find_study(study.study_name, recorded, None)


@pytest.mark.parametrize("name", ["journal.log", "journal.digest"])
@pytest.mark.parametrize(
    ("put", "words"), [(os.mkfifo, "named pipe"), (lambda path: path.symlink_to("/dev/zero"), "device")]
)
def test_a_pipe_or_device_in_the_place_of_a_journal_is_refused_at_once(recorded, name, put, words):
    (recorded / name).unlink()
    put(recorded / name)
    with pytest.raises(UserError, match=words), Study(make_plan(2), recorded):
        pass


def test_a_journal_that_is_too_long_says_so(recorded, monkeypatch):
    monkeypatch.setattr(journals, "MOST_BYTES", 100)
    with pytest.raises(UserError, match="bytes, more than 100"), Study(make_plan(2), recorded):
        pass


def test_a_reason_that_no_file_can_hold_is_written_out(recorded, monkeypatch):
    monkeypatch.setattr(findings, "draw", lambda study, folder: [])
    with Study(make_plan(3), recorded) as study:
        (trial,) = study.ask(1)
        study.fail(trial, "bad \ud800")
    findings.write_findings(find_study("tiny", recorded, None), recorded)
    assert r"bad \ud800" in (recorded / "trials.csv").read_text()
