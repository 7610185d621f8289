"""How the command ends after an interrupt."""

import pytest

from siamese_jax.command.errors import mistakes_as_sentences
from siamese_jax.command.request import Evaluate, Train
from siamese_jax.experiments import find


@pytest.mark.parametrize("begun", [False, True])
def test_an_interrupt_says_how_to_resume_only_if_a_run_was_begun(tmp_path, capsys, begun):
    if begun:
        (tmp_path / "experiment.json").write_text("{}")

    def command():
        with mistakes_as_sentences() as know:
            know(Train(find("glyphs_20way"), tmp_path, {"data_dir": None, "archives": None}))
            raise KeyboardInterrupt

    with pytest.raises(SystemExit):
        command()
    assert (f"--workdir={tmp_path} resumes" in capsys.readouterr().err) == begun


def test_an_evaluation_without_memory_is_advised_about_its_own_batches_only(tmp_path, capsys):
    def command():
        with mistakes_as_sentences() as know:
            know(Evaluate(find("glyphs_20way"), tmp_path, {"data_dir": None, "archives": None}, None))
            raise MemoryError

    with pytest.raises(SystemExit):
        command()
    said = capsys.readouterr().err
    assert "lower --evaluation.embed_batch" in said
    assert "--batch_size" not in said
