"""Pictures are saved in one way, and importing them costs nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.image import imread
from pictures import assert_readable

from siamese_jax import plots
from siamese_jax.errors import UserError
from siamese_jax.plots.style import blank, spoken


def test_a_picture_is_a_png_of_its_size_in_a_folder_that_is_made(tmp_path):
    plots.save(blank(2, 1), tmp_path / "new" / "blank.png")
    assert imread(tmp_path / "new" / "blank.png").shape == (150, 300, 4)


def test_a_picture_that_cannot_be_written_is_an_error_for_people(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="could not be written"):
        plots.save(blank(1, 1), tmp_path / "file" / "blank.png")


def test_importing_plots_does_not_import_matplotlib():
    code = "import siamese_jax.plots, sys; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_names_are_written_with_spaces_in_short_lines():
    assert spoken("Old_Church_Slavonic_(Cyrillic)", 15) == "Old Church\nSlavonic\n(Cyrillic)"


@pytest.mark.parametrize(("x", "fault"), [(0.9, "cut off"), (0.5, "overlaps")])
def test_the_test_of_readable_words_sees_what_is_cut_off_or_overlaps(x, fault):
    figure = blank(2, 1)
    figure.text(0.4, 0.5, "one word")
    figure.text(x, 0.5, "another")
    with pytest.raises(AssertionError, match=fault):
        assert_readable(figure)


@pytest.mark.parametrize("name", ["$x", r"$\badcommand{$", "a\udcff", "\x1b[31m", "$$"])
def test_any_name_can_be_a_label(tmp_path, name):
    figure = blank(2, 2)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label=name)
    axes.set_title(name)
    axes.set_yticks([0], [spoken(name)])
    axes.legend()
    plots.save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
