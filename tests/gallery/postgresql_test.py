"""A gallery in a database: killed writers and killed servers lose nothing, and the index only proposes."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psycopg
import pytest
from postgresql import Server
from tiny_model import EXPERIMENT, WRITER, embedded, make_model, picture

from siamese_jax.errors import UserError
from siamese_jax.gallery import Gallery, postgresql, search
from siamese_jax.specs import with_value

MODEL = make_model()


@contextlib.contextmanager
def writing(url, *names):
    """Writers, each a process, that have made the gallery together and have enrolled once."""
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url, name], stdout=subprocess.PIPE, text=True, env=os.environ)
        for name in names
    ]
    try:
        yield writers, {int(number) for writer in writers for number in writer.stdout.readline().split()}
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            writer.stdout.close()


def killed(writer) -> set[int]:
    """Kills a writer. Returns what it had acknowledged; a last line that was cut off does not count."""
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    return {int(number) for line in writer.stdout.read().split("\n")[:-1] for number in line.split()}


def check_whole(url, said):
    """Every picture that was acknowledged is there, and every call is there as a whole; the index finds all."""
    with Gallery.open(url, MODEL) as gallery:
        assert said <= {one.id for one in gallery.pictures()}
        assert set(gallery.classes().values()) == {40}
        assert gallery.check().problems == ()
        gallery.enrol([picture(100, "after")])
        assert gallery.identify(embedded(MODEL, 100))[0].matches[0].class_name == "after"


def test_killed_writers_and_a_killed_server_lose_nothing_and_leave_no_half():
    """A writer is killed; then the server with all of its processes, which the other writer and a reader outlive."""
    rng = random.Random(0)
    with contextlib.closing(Server()) as server, writing(server.url, "a", "b") as ((first, second), said):
        with Gallery.open(server.url, MODEL) as reader:
            time.sleep(rng.uniform(0, 0.2))
            said |= killed(first)
            time.sleep(rng.uniform(0, 0.2))
            server.kill()
            threading.Timer(0.5, server.start).start()
            assert reader.identify(embedded(MODEL, 0))[0].matches[0].class_name.startswith(("a-", "b-"))
            last = reader.pictures()[-1].id
        while max(said) <= last:  # until the other writer has enrolled again
            said |= {int(number) for number in second.stdout.readline().split()}
        said |= killed(second)
        check_whole(server.url, said)


def test_a_call_whose_answer_was_lost_is_not_made_twice(database, monkeypatch):
    class Losing(psycopg.Transaction):
        def __exit__(self, *error):
            super().__exit__(*error)  # commits
            if lost:
                self.connection.pgconn.finish()
                raise psycopg.OperationalError(lost.pop())

    with Gallery.open(database, MODEL, create=True) as gallery:
        monkeypatch.setattr(psycopg.connection, "Transaction", Losing)
        lost = ["the connection was lost"]
        assert len(gallery.enrol([picture(0), picture(1), picture(20)])) == 3
        assert (lost, gallery.classes()) == ([], {"c0": 2, "c1": 1})
        lost = ["the connection was lost"]
        assert gallery.remove(class_name="c0") == 2
        assert (lost, gallery.classes()) == ([], {"c1": 1})


def test_a_server_that_stays_away_is_named_without_the_password(database, monkeypatch):
    monkeypatch.setattr(postgresql, "PATIENCE", 0.0)
    address = "postgresql://me:secret@127.0.0.1:1/faces"
    with pytest.raises(
        UserError, match="the database 'faces' on 127.0.0.1 cannot be used: connection .*failed"
    ) as error:
        Gallery.open(address, MODEL, create=True)
    assert "secret" not in str(error.value)
    with pytest.raises(UserError, match="write postgresql://USER@HOST/DATABASE"):
        Gallery.open("postgresql://[", MODEL)
    with Gallery.open(database, MODEL, create=True) as gallery:
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        monkeypatch.setattr(postgresql, "PATIENCE", 5.0)
        assert len(gallery) == 0  # connected again


def test_a_database_without_a_gallery_says_so(database):
    with pytest.raises(UserError, match="the database 'postgres' on 127.0.0.1 holds no gallery: enrol pictures"):
        Gallery.open(database, MODEL)
    with pytest.raises(UserError, match="a gallery in a database cannot be made without a network"):
        Gallery.open(database, None, create=True)


def test_a_gallery_of_another_format_is_refused(database):
    Gallery.open(database, MODEL, create=True).close()
    with psycopg.connect(database) as other:
        other.execute("UPDATE siamese_jax_gallery.about SET format = 9")
    with pytest.raises(UserError, match=r"does not fit this version: its format is .9., not .1.; enrol"):
        Gallery.open(database, MODEL)


def test_an_old_pgvector_is_refused(database, monkeypatch):
    monkeypatch.setattr(postgresql, "PGVECTOR", (99, 0, 0))
    with pytest.raises(UserError, match=r"has pgvector \d.\d.\d, whose index can be damaged: install 99.0.0 or newer"):
        Gallery.open(database, MODEL, create=True)


def test_many_threads_make_and_use_one_gallery(database):
    failed = []

    def use(number):
        try:
            with Gallery.open(database, MODEL, create=True) as gallery:
                for index in (number, number + 5, number + 10, 0, 1, 2):
                    gallery.enrol([picture(index), picture(59 - index)])
                    gallery.identify(embedded(MODEL, index))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with Gallery.open(database, MODEL) as gallery:
        assert gallery.classes() == {"c0": 15, "c2": 15}


@pytest.mark.parametrize("energy", ["weighted_l1", "euclidean", "cosine"])
def test_the_index_and_the_network_find_what_an_exact_scan_finds(database, tmp_path, energy):
    model = make_model(0, with_value(EXPERIMENT, "network.energy", energy))
    with (
        Gallery.open(database, model, create=True) as in_database,
        Gallery.open(tmp_path / "g", model, create=True) as in_file,
    ):
        for gallery in (in_database, in_file):
            gallery.enrol([picture(index) for index in range(0, 600, 2)])
        with psycopg.connect(database, autocommit=True) as other:  # which a table this small would not need
            other.execute("ALTER DATABASE postgres SET enable_seqscan = off")
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        try:
            queries = embedded(model, *range(1, 600, 40))
            found, wanted = (
                [[match.class_name for match in answer.matches[:3]] for answer in gallery.identify(queries)]
                for gallery in (in_database, in_file)
            )
            plan = in_database._store._rows("EXPLAIN SELECT id FROM pictures ORDER BY point <+> %s LIMIT 5", _point())
            assert energy != "weighted_l1" or "nearest" in plan[0][0] + plan[1][0]
        finally:
            in_database._store._rows("SELECT 1")
            with psycopg.connect(database, autocommit=True) as other:
                other.execute("ALTER DATABASE postgres RESET enable_seqscan")
    assert np.mean([ours[0] == best[0] for ours, best in zip(found, wanted, strict=True)]) == 1


def _point():
    return postgresql.Point(np.zeros(8, np.float32))


def test_more_proposed_are_asked_for_until_there_are_enough_classes(database, monkeypatch):
    monkeypatch.setattr(search, "PROPOSED", 2)
    with Gallery.open(database, MODEL, create=True) as gallery:
        gallery.enrol([picture(index) for index in (*range(20), 20, 40, 60, 80, 100)])
        (answer,) = gallery.identify(embedded(MODEL, 0), top=6)
        assert {match.class_name for match in answer.matches} == {"c0", "c1", "c2", "c3", "c4", "c5"}
        (answer,) = gallery.identify(embedded(MODEL, 0), top=9)
        assert len(answer.matches) == 6


def test_an_energy_without_an_index_is_for_files_only(database, monkeypatch):
    monkeypatch.setattr("siamese_jax.gallery.gallery.index_of", lambda *_: None)
    with pytest.raises(UserError, match="no index of a database fits the energy of the network 'tiny0': use a file"):
        Gallery.open(database, MODEL, create=True)


def test_embeddings_that_are_too_long_for_an_index_are_compared_one_by_one(database, monkeypatch):
    monkeypatch.setattr(postgresql, "INDEXED", 7)
    with Gallery.open(database, MODEL, create=True) as gallery:
        gallery.enrol([picture(0), picture(20)])
        assert gallery.identify(embedded(MODEL, 20))[0].matches[0].class_name == "c1"
        assert gallery.re_embed(make_model(1)) == 2
        assert gallery._store._rows("SELECT to_regclass('nearest')") == [(None,)]
