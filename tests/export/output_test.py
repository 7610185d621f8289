"""The folder of an export appears whole or not at all, and replaces nothing but an earlier export."""

import hashlib

import pytest

from siamese_jax.errors import UserError
from siamese_jax.export.output import SUMS, written_whole


def write(folder, text="network"):
    with written_whole(folder) as unfinished:
        (unfinished / "embed.onnx").write_text(text)
        (unfinished / "README.md").write_text("guide")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_made_with_the_sums_of_its_files(tmp_path):
    write(tmp_path / "below" / "out")
    assert names(tmp_path / "below" / "out") == ["README.md", SUMS, "embed.onnx"]
    assert names(tmp_path / "below") == ["out"]
    lines = (tmp_path / "below" / "out" / SUMS).read_text().splitlines()
    assert lines[0] == f"{hashlib.sha256(b'guide').hexdigest()}  README.md"
    assert lines[1] == f"{hashlib.sha256(b'network').hexdigest()}  embed.onnx"


def test_an_error_leaves_nothing_behind_and_an_earlier_export_as_it_was(tmp_path):
    def stop(error):
        with written_whole(tmp_path / "out") as unfinished:
            (unfinished / "embed.onnx").write_text("half")
            raise error

    with pytest.raises(ZeroDivisionError):
        stop(ZeroDivisionError)
    assert names(tmp_path) == []
    write(tmp_path / "out", "first")
    with pytest.raises(KeyboardInterrupt):
        stop(KeyboardInterrupt)
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out" / "embed.onnx").read_text() == "first"


def test_an_empty_folder_and_an_earlier_export_are_replaced_also_where_a_file_is_missing(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    write(folder, "first")
    (folder / "README.md").unlink()
    write(folder, "second")
    assert (folder / "embed.onnx").read_text() == "second"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "thesis.tex").write_text("mine"), "holds thesis.tex, which no export wrote"),
        (lambda folder: (folder / "embed.onnx").write_text("netw"), "embed.onnx was changed after its export"),
        (lambda folder: (folder / SUMS).write_text("truncat"), "holds README.md, which no export wrote"),
        (lambda folder: (folder / SUMS).write_bytes(b"\xff\0"), "holds README.md, which no export wrote"),
        (lambda folder: (folder / SUMS).unlink(), "holds README.md, which no export wrote"),
    ],
)
def test_a_folder_that_holds_something_else_is_refused_and_stays_as_it_is(tmp_path, spoil, message):
    folder = tmp_path / "out"
    write(folder)
    spoil(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match=message):
        write(folder, "second")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert names(tmp_path) == ["out"]


def test_what_appears_in_the_folder_meanwhile_is_kept(tmp_path):
    folder = tmp_path / "out"

    def interfere():
        with written_whole(folder):
            folder.mkdir()
            (folder / "thesis.tex").write_text("mine")

    with pytest.raises(UserError, match=r"holds thesis\.tex"):
        interfere()
    assert names(folder) == ["thesis.tex"]


def test_a_file_and_a_link_are_no_folders(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(UserError, match="is not a folder: choose another --output"):
            write(tmp_path / name)
    with pytest.raises(UserError, match="could not be written"):
        write(tmp_path / "file" / "out")
