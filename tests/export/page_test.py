"""A page is written for a network and a gallery, and replaces nothing but a page."""

import numpy as np
import pytest
from PIL import Image
from random_model import random_model
from tiny_model import make_model, picture

from siamese_jax.errors import UserError
from siamese_jax.export import page
from siamese_jax.gallery import Gallery
from siamese_jax.specs import Residual

MODEL = make_model()


@pytest.fixture
def gallery(tmp_path):
    path = tmp_path / "mine.gallery"
    with Gallery.open(path, MODEL, create=True) as opened:
        opened.enrol([picture(21), picture(2), picture(3)])
    return path


def test_a_page_gets_the_first_picture_of_each_class_with_its_embedding(gallery, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(page, "draw_page", lambda model, classes: given.append(classes) or "<!doctype html>")
    assert page.export_page(MODEL, tmp_path / "draw.html", str(gallery)) == 2
    ((first, second),) = given
    assert (first[0], second[0]) == ("c0", "c1")
    np.testing.assert_array_equal(first[2], MODEL.embed(picture(2).image[None])[0])
    assert first[1].startswith(b"\x89PNG")
    assert page.export_page(MODEL, tmp_path / "draw.html") == 0
    assert given[1] is None


def test_a_residual_network_becomes_one_html_file_that_is_replaced_by_the_next_one(tmp_path):
    model = random_model(tower=Residual(width=8, stages=1, units=6))
    for _ in range(2):
        assert page.export_page(model, tmp_path / "new" / "draw.html") == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["draw.html"]
    with (tmp_path / "new" / "draw.html").open() as file:
        assert file.read(15).lower() == "<!doctype html>"


def test_other_files_folders_and_empty_galleries_are_refused(gallery, tmp_path):
    Image.new("L", (3, 3)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png is not a page that can be replaced"):
        page.export_page(MODEL, tmp_path / "a.png")
    with pytest.raises(UserError, match=r"is a folder: give a file for the page, for example --output=.*draw\.html"):
        page.export_page(MODEL, tmp_path)
    with Gallery.open(gallery, MODEL) as opened:
        opened.remove(class_name="c0")
        opened.remove(class_name="c1")
    with pytest.raises(UserError, match="is empty: enrol pictures first"):
        page.export_page(MODEL, tmp_path / "draw.html", str(gallery))
    assert not (tmp_path / "draw.html").exists()
