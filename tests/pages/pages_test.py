import base64
import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest
from tiny_model import EXPERIMENT, make_model

from siamese_jax.errors import UserError
from siamese_jax.pages import draw_page, service_page
from siamese_jax.specs import Residual, with_value

HOSTILE = '</script><img src=x onerror="alert(1)">'
TOWER = Residual(width=8, stages=2, units=16)
RESIDUAL = replace(EXPERIMENT, network=replace(EXPERIMENT.network, tower=TOWER))


@pytest.fixture(scope="module")
def page() -> str:
    enrolled = [(HOSTILE, b"a picture", np.arange(16, dtype=np.float32))]
    return draw_page(make_model(experiment=RESIDUAL), enrolled)


@pytest.mark.parametrize("made", ["draw", "service"])
def test_the_policy_of_a_page_allows_its_own_scripts_and_style_only(made, page):
    text = page if made == "draw" else service_page("a service", may_enrol=True)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    allowed = set(re.findall(r"'sha256-([^']*)'", policy))
    parts = re.findall(r'<script id="[^"]*">(.*?)</script>', text, re.DOTALL)
    parts += re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert allowed == {base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in parts}
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_no_page_names_an_address(page):
    for text in (page, service_page("a service", may_enrol=True)):
        assert set(re.findall(r"https?://[^\s\"'<]*", text)) <= {"http://www.w3.org/2000/svg"}


def test_names_and_titles_stay_text(page):
    assert HOSTILE not in page
    assert HOSTILE not in service_page(HOSTILE, may_enrol=True)


def test_a_network_with_another_tower_is_refused_with_the_way_to_onnx():
    with pytest.raises(UserError, match="a convolutional one: export it as ONNX with --format=onnx"):
        draw_page(make_model(), None)


def test_a_network_that_reads_colour_is_refused_with_the_way_to_onnx():
    colour = with_value(RESIDUAL, "data.name", "folder")
    model = replace(make_model(experiment=RESIDUAL), experiment=colour)
    with pytest.raises(UserError, match="reads colour: export it as ONNX"):
        draw_page(model, None)
