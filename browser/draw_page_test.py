"""The page that needs no server, opened from disk in Chromium."""

import io
from pathlib import Path

import numpy as np
import pack_glyphs
import pytest
from drawn import CHARACTERS, CONTRASTS, PHONE, draw, strokes_of
from PIL import Image
from playwright.sync_api import Page, expect

from siamese_jax.data import glyphs
from siamese_jax.pages import draw_page

HOSTILE = '</script><img src=x onerror="alert(1)"><b>bold'


def enrol(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator("#verdict")).to_contain_text(f"Enrolled: {name}")


def test_a_character_that_was_drawn_once_is_recognised_when_it_is_drawn_again(best_page, visit):
    page = visit(best_page.as_uri())
    for character in CHARACTERS:
        draw(page, strokes_of(character))
        enrol(page, f"character {character}")
    assert page.locator("#gallery li").count() == len(CHARACTERS)
    for character in CHARACTERS:
        page.get_by_role("button", name="Clear").click()
        draw(page, strokes_of(character, turn=0.1, size=200))
        expect(page.locator("#ranking li").first).to_contain_text(f"character {character}")
        expect(page.locator("#verdict")).to_have_text(f"character {character}")


def test_another_character_is_unknown(best_page, visit):
    page = visit(best_page.as_uri())
    for character in CHARACTERS:
        draw(page, strokes_of(character))
        enrol(page, f"character {character}")
    draw(page, [np.array([[80, 80], [340, 340], [80, 340], [340, 80], [80, 80], [210, 20]], float)])
    expect(page.locator("#verdict")).to_have_text("Unknown")
    assert page.locator("#ranking li").count() == len(CHARACTERS)


def test_a_finger_draws_on_a_phone(best_page, visit):
    page = visit(best_page.as_uri(), **PHONE)
    box = page.locator("#pad").bounding_box()
    client = page.context.new_cdp_session(page)
    for x in range(0, 120, 10):
        point = {"x": box["x"] + 80 + x, "y": box["y"] + 100 + x / 2}
        client.send("Input.dispatchTouchEvent", {"type": "touchMove" if x else "touchStart", "touchPoints": [point]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert page.evaluate("scrollY") == 0
    enrol(page, "a line")
    expect(page.locator("#gallery li")).to_have_count(1)


def test_undo_takes_back_a_stroke_and_clear_all(best_page, visit):
    page = visit(best_page.as_uri(), expected="willReadFrequently")
    pixels = "document.getElementById('pad').getContext('2d').getImageData(0, 0, 420, 420).data"
    ink = f"() => {pixels}.reduce((a, b) => a + b)"
    draw(page, [np.array([[100, 100], [200, 100]], float)])
    one = page.evaluate(ink)
    draw(page, [np.array([[100, 300], [200, 300]], float)])
    assert page.evaluate(ink) > one > 0
    page.get_by_role("button", name="Undo").click()
    assert page.evaluate(ink) == one
    page.get_by_role("button", name="Clear").click()
    assert page.evaluate(ink) == 0


def test_the_visitor_plays_against_the_network(best_page, visit):
    page = visit(best_page.as_uri())
    wins = 0
    for played in range(1, 6):
        choices = page.locator("#grid button")
        expect(choices).to_have_count(20)
        choices.nth(played).click()
        expect(page.get_by_role("button", name="Next round")).to_be_visible()
        wins += "network is right" in page.inner_text("#game-status") or "Both are right" in page.inner_text(
            "#game-status"
        )
        assert page.inner_text("#score-network") == f"{wins} of {played}"
        assert page.inner_text("#score-you").endswith(f" of {played}")
        assert page.locator("#grid .right").count() == 1
        choices.nth(0).click(force=True)  # a second choice does not count
        assert page.inner_text("#score-you").endswith(f" of {played}")
        page.get_by_role("button", name="Next round").click()
    assert wins >= 4


def test_everything_can_be_done_with_the_keyboard(best_page, visit):
    page = visit(best_page.as_uri())

    def focus(selector: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"{selector} cannot be reached")

    focus("#pad")
    expect(page.locator(".pen")).to_be_visible()
    for key in ("Space", *["ArrowLeft"] * 4, *["ArrowDown"] * 5, *["ArrowRight"] * 4, "Space"):
        page.keyboard.press(key)
    focus("#name")
    page.keyboard.type("a corner")
    page.keyboard.press("Enter")
    expect(page.locator("#gallery li .name")).to_have_text(["a corner"])
    focus("#fill")
    page.keyboard.press("Enter")
    expect(page.locator("#gallery li")).to_have_count(11)
    page.locator("h1").click()
    page.evaluate("document.activeElement.blur()")
    focus("#example")
    page.keyboard.press("Space")
    expect(page.locator("#ranking li")).to_have_count(5)
    focus("#grid button")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Character 7 of 20"
    page.keyboard.press("Enter")
    expect(page.locator("#next")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Character 1 of 20"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(best_page, visit, scheme):
    page = visit(best_page.as_uri(), color_scheme=scheme)
    before = page.evaluate(CONTRASTS)
    page.locator("#fill").click()
    page.locator("#example").click()
    expect(page.locator("#ranking li")).to_have_count(5)
    page.locator("#grid button").first.click()
    expect(page.locator("#next")).to_be_visible()
    found = before + page.evaluate(CONTRASTS)
    assert len(found) > 50
    assert [one for one in found if one[1] < 4.5] == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == (scheme == "dark")


def test_a_phone_shows_the_page_without_scrolling_sideways(best_page, visit):
    page = visit(best_page.as_uri(), **PHONE)
    page.locator("#fill").click()
    page.locator("#example").click()
    expect(page.locator("#ranking li")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, input')].filter((one) => one.checkVisibility()
        && !one.matches('.remove') && Math.min(one.offsetWidth, one.offsetHeight) < 40).map((one) => one.outerHTML)"""
    )
    assert small == []


def test_nothing_moves_for_those_who_ask_for_it(best_page, visit):
    page = visit(best_page.as_uri(), reduced_motion="reduce")
    moving = (
        "() => [...document.querySelectorAll('*')].filter((one) => getComputedStyle(one).transitionDuration !== '0s')"
    )
    page.locator("#fill").click()
    page.locator("#example").click()
    expect(page.locator("#ranking li")).to_have_count(5)
    assert page.evaluate(f"({moving})().length") == 0


def test_a_screen_reader_is_given_names_and_results(best_page, visit):
    page = visit(best_page.as_uri())
    page.locator("#fill").click()
    page.locator("#example").click()
    expect(page.locator("#ranking li")).to_have_count(5)
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, input, canvas[tabindex], [role=img]')]
        .filter((one) => !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length))
        .map((one) => one.outerHTML)"""
    )
    assert unnamed == []
    assert page.get_by_role("status").count() == 3  # the answer, the pen, the game
    assert page.get_by_role("heading", level=1).inner_text() == "Draw it once"
    expect(page.get_by_role("list", name="Classes that it may be, best first")).to_be_visible()


def thumbnail() -> bytes:
    file = io.BytesIO()
    Image.new("L", (96, 96), 200).save(file, "PNG")
    return file.getvalue()


def test_names_of_classes_stay_text(model, visit, tmp_path: Path):
    path = tmp_path / "draw.html"
    classes = [(HOSTILE, thumbnail(), np.ones(256, np.float32)), ("b", thumbnail(), np.zeros(256, np.float32))]
    path.write_text(draw_page(model, classes), encoding="utf-8")
    page = visit(path.as_uri())
    assert page.locator("#gallery .name").all_inner_texts() == [HOSTILE, "b"]
    page.locator("#example").click()
    expect(page.locator("#ranking li")).to_have_count(2)
    assert HOSTILE in page.locator("#ranking .name").all_inner_texts()
    enrol(page, f"{HOSTILE}2")
    assert f"{HOSTILE}2" in page.locator("#gallery .name").all_inner_texts()
    assert page.locator("img[src=x], b:text('bold')").count() == 0


def test_a_gallery_is_shown_and_recognised(model, visit, tmp_path: Path):
    name = pack_glyphs.SCRIPTS[0]
    script = list(glyphs.trace_script(glyphs.TEST[name]).items())[:8]
    pages = [
        Image.fromarray(255 - np.uint8(255) * glyphs.draw(name, *one, drawer)) for one in script for drawer in (1, 2)
    ]
    embeddings = model.embed(np.stack([model.read(page) for page in pages]))
    path = tmp_path / "draw.html"
    classes = [(f"c{row // 2}", thumbnail(), values) for row, values in enumerate(embeddings)]
    path.write_text(draw_page(model, classes), encoding="utf-8")
    page = visit(path.as_uri())
    assert page.locator("#gallery .name").all_inner_texts() == [f"c{row} · 2" for row in range(8)]
    assert page.evaluate("document.querySelector('#gallery img').naturalWidth") == 96
    draw(page, [210 + 260 * part[::4, ::-1] for part in script[3][1]])
    expect(page.locator("#ranking li").first).to_contain_text("c3")
    page.get_by_role("button", name="Remove c3").click()
    assert page.locator("#gallery li").count() == 7
    expect(page.locator("#ranking li").first).not_to_contain_text("c3")


def test_the_network_runs_in_a_worker_so_that_the_page_answers_meanwhile(best_page, visit):
    page = visit(best_page.as_uri())
    assert len(page.workers) == 1


def test_a_browser_without_workers_is_served_as_well(best_page, visit):
    page = visit(best_page.as_uri(), before="Worker = class { constructor() { throw new Error('forbidden'); } };")
    page.locator("#fill").click()
    page.locator("#example").click()
    expect(page.locator("#ranking li")).to_have_count(5)


def test_a_page_can_send_nothing_away(best_page, visit):
    page = visit(best_page.as_uri(), expected="Content Security Policy")
    tried = "() => fetch('https://127.0.0.1:9/').then(() => 'sent', () => 'blocked')"
    assert page.evaluate(tried) == "blocked"
    assert "connect-src 'none'" in page.locator("meta[http-equiv]").get_attribute("content")
