"""Users without a home, as `docker run --user 1234` makes them."""

import os
from pathlib import Path

import pytest

from siamese_jax.data import folder as folder_source
from siamese_jax.data import store
from siamese_jax.errors import UserError
from siamese_jax.plots import style
from siamese_jax.storage import home


@pytest.fixture(params=["no home", "a home that does not exist", "a read-only home", "a home that is a file"])
def homeless(request, tmp_path, monkeypatch) -> Path:
    """A user whose home cannot be written; returns the folder for temporary files."""
    here, temporary = tmp_path / "home", tmp_path / "temporary"
    temporary.mkdir()
    really = os.access
    if request.param == "a read-only home":
        here.mkdir()
    if request.param == "a home that is a file":
        here.write_text("")
    # The tests may run as root, who can write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: temporary in Path(path).parents and really(path, mode))
    monkeypatch.setattr(home.tempfile, "gettempdir", lambda: str(temporary))
    monkeypatch.setenv("HOME", str(here))
    for name in ("XDG_CACHE_HOME", "TFDS_DATA_DIR", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    if request.param == "no home":

        def unknown():
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", unknown)
        monkeypatch.setattr(store.constants, "get_default_data_dir", lambda: "~/tensorflow_datasets")
    return temporary


def test_without_a_home_everything_that_is_kept_goes_below_the_temporary_folder(homeless):
    style.blank(1.0, 1.0)
    kept = [folder_source._cache(None), store._default("glyphs"), Path(os.environ["MPLCONFIGDIR"])]
    assert all(homeless in path.parents for path in kept)
    (ours,) = homeless.iterdir()
    assert ours.stat().st_mode & 0o777 == 0o700


def test_with_a_home_everything_is_in_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "TFDS_DATA_DIR", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    style.blank(1.0, 1.0)
    assert folder_source._cache(None) == tmp_path / ".cache" / "siamese_jax" / "pictures"
    assert store._default("glyphs") == tmp_path / "tensorflow_datasets"
    assert "MPLCONFIGDIR" not in os.environ
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert home.cache() == tmp_path / "x" / "siamese_jax"
    assert list(tmp_path.iterdir()) == []


def test_prepared_records_in_a_read_only_home_are_used(tmp_path, monkeypatch):
    records = tmp_path / "tensorflow_datasets"
    (records / "glyphs").mkdir(parents=True)
    monkeypatch.setenv("TFDS_DATA_DIR", str(records))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert store._default("glyphs") == records


@pytest.mark.parametrize("trap", ["open to all", "link", "file"])
def test_a_temporary_folder_that_others_can_write_is_refused(tmp_path, monkeypatch, trap):
    ours = tmp_path / f"siamese_jax-{os.getuid()}"
    monkeypatch.setattr(home.tempfile, "gettempdir", lambda: str(tmp_path))
    if trap == "open to all":
        ours.mkdir()
        ours.chmod(0o777)
    elif trap == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        ours.symlink_to(tmp_path / "elsewhere")
    else:
        ours.write_text("")
    with pytest.raises(UserError, match="set HOME to a folder"):
        home.temporary()


def test_without_a_temporary_folder_one_sentence_says_so(tmp_path, monkeypatch):
    def no_folder():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(home.tempfile, "gettempdir", no_folder)
    with pytest.raises(UserError, match="No usable temporary directory.*set HOME to a folder"):
        home.temporary()


def test_the_home_of_nobody_is_a_sentence():
    with pytest.raises(UserError, match="~nobody-of-that-name/x begins with ~"):
        home.expanded("~nobody-of-that-name/x")


def test_a_full_disk_without_a_temporary_folder_does_not_keep_libraries_from_being_imported(monkeypatch):
    def no_folder():
        if home.tempfile.tempdir is None:
            raise FileNotFoundError(2, "No usable temporary directory found")
        return home.tempfile.tempdir

    monkeypatch.setattr(home.tempfile, "tempdir", None)
    monkeypatch.setattr(home.tempfile, "gettempdir", no_folder)
    home.do_without_temporary()
    assert home.tempfile.gettempdir() == os.sep
