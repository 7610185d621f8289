"""The page of the real service, in Chromium."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from drawn import CHARACTERS, CONTRASTS, PHONE, draw, strokes_of
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

from siamese_jax.pages import service_page
from siamese_jax.serve import Limits, listen, make_app
from siamese_jax.serve.server import make_server

HOSTILE = '<img src=x onerror="alert(1)"></script>'
Start = Callable[..., str]


@pytest.fixture
def start(model, tmp_path: Path) -> Iterator[Start]:
    """A function that starts a service with an empty gallery, and returns its address."""
    stops = []

    def started(**options: object) -> str:
        socket = listen("127.0.0.1", 0)
        address = f"http://127.0.0.1:{socket.getsockname()[1]}/"
        server = make_server(make_app(model, str(tmp_path / "mine.gallery"), **options), Limits())
        thread = threading.Thread(target=server.run, args=([socket],))
        thread.start()
        stops.append((server, thread))
        for _ in range(300):
            try:
                with urlopen(f"{address}health") as answer:
                    assert answer.status == 200
                return address
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the service does not start")

    yield started
    for server, thread in stops:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def enrol(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Enrol").click()
    expect(page.locator("#verdict")).to_have_text(f"Enrolled: {name}.")


def photograph(character: int) -> bytes:
    """A picture file of a character of Nuskhuri in grey ink on grey paper."""
    page = Image.new("L", (420, 420), 180)
    for path in strokes_of(character, turn=-0.08):
        ImageDraw.Draw(page).line([tuple(point) for point in path.tolist()], fill=60, width=12, joint="curve")
    file = io.BytesIO()
    page.save(file, "PNG")
    return file.getvalue()


def test_a_visitor_enrols_drawings_and_they_are_recognised_as_drawings_and_as_files(start, visit):
    page = visit(start())
    expect(page.locator("#count")).to_have_text("Gallery: 0 pictures of 0 classes.")
    for character in CHARACTERS[:3]:
        draw(page, strokes_of(character))
        enrol(page, f"character {character}")
    expect(page.locator("#count")).to_have_text("Gallery: 3 pictures of 3 classes.")

    draw(page, strokes_of(CHARACTERS[1], turn=0.1, size=200))
    expect(page.locator("#verdict")).to_have_text(f"character {CHARACTERS[1]}")
    expect(page.locator("#ranking li")).to_have_count(3)
    assert page.evaluate("[...document.querySelectorAll('#ranking img')].every((one) => one.naturalWidth > 0)")

    file = {"name": "photo.png", "mimeType": "image/png", "buffer": photograph(CHARACTERS[2])}
    page.get_by_label("Choose a picture").set_input_files(file)
    expect(page.locator("#verdict")).to_have_text(f"character {CHARACTERS[2]}")
    expect(page.get_by_role("img", name="The chosen picture: photo.png")).to_be_visible()
    assert "levels corrected" in page.inner_text("#note")
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("img", name="The chosen picture: photo.png")).to_have_count(0)


def test_a_picture_is_dropped(start, visit):
    page = visit(start())
    draw(page, strokes_of(CHARACTERS[0]))
    enrol(page, "a")
    page.evaluate(
        """(bytes) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], 'dropped.png', {type: 'image/png'}));
          const drop = new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true});
          document.getElementById('pad').dispatchEvent(drop);
        }""",
        list(photograph(CHARACTERS[0])),
    )
    expect(page.locator("#verdict")).to_have_text("a")


def test_a_token_is_asked_for_and_used(start, visit):
    page = visit(start(token="open sesame"), expected="status of 401")
    field = page.get_by_label("This service asks for a token")
    expect(field).to_be_focused()
    field.fill("wrong")
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    expect(page.locator("#verdict")).to_have_text("This token is wrong.")
    expect(field).to_have_value("")
    field.fill("open sesame")
    page.keyboard.press("Enter")
    expect(field).to_be_hidden()
    expect(page.locator("#count")).to_have_text("Gallery: 0 pictures of 0 classes.")
    draw(page, strokes_of(CHARACTERS[0]))
    enrol(page, "a")
    draw(page, strokes_of(CHARACTERS[0], turn=0.1))
    expect(page.locator("#verdict")).to_have_text("a")
    expect(page.locator("#ranking img")).to_have_js_property("naturalWidth", 96)


def test_a_service_that_may_not_enrol_shows_no_form_for_it(model, start, visit):
    writable = start()
    page = visit(writable)
    draw(page, strokes_of(CHARACTERS[0]))
    enrol(page, "a")
    page = visit(start(read_only=True))
    assert page.locator("#enrol").is_hidden()
    draw(page, strokes_of(CHARACTERS[0]))
    expect(page.locator("#verdict")).to_have_text("a")


def test_what_cannot_be_done_is_said(start, visit):
    page = visit(start(), expected="Failed to load resource")
    draw(page, strokes_of(CHARACTERS[0]))
    expect(page.locator("#verdict")).to_have_text("Nothing is enrolled yet.")
    enrol(page, "a")
    file = {"name": "no.png", "mimeType": "image/png", "buffer": b"not a picture"}
    page.get_by_label("Choose a picture").set_input_files(file)
    expect(page.locator("#verdict")).to_contain_text("No.png is not an image")
    page.route("**/identify", lambda route: route.abort())
    draw(page, strokes_of(CHARACTERS[0]))
    expect(page.locator("#verdict")).to_have_text("The service does not answer. Is it still running?")


def test_names_of_classes_stay_text(start, visit):
    page = visit(start())
    draw(page, strokes_of(CHARACTERS[0]))
    enrol(page, HOSTILE)
    draw(page, strokes_of(CHARACTERS[0], turn=0.1))
    expect(page.locator("#ranking .name")).to_have_text(HOSTILE)
    assert page.locator("img[src=x]").count() == 0


def test_everything_can_be_done_with_the_keyboard(start, visit):
    page = visit(start())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "pad"
    for key in ("Space", *["ArrowLeft"] * 4, *["ArrowDown"] * 5, *["ArrowRight"] * 4, "Space"):
        page.keyboard.press(key)
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["undo", "clear", "file", "name"]
    page.keyboard.type("a corner")
    page.keyboard.press("Enter")
    expect(page.locator("#verdict")).to_have_text("Enrolled: a corner.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_and_a_phone_need_not_scroll_sideways(start, visit, scheme):
    page = visit(start(token="secret"), expected="status of 401", color_scheme=scheme, **PHONE)
    before = page.evaluate(CONTRASTS)
    page.locator("#token").fill("secret")
    page.keyboard.press("Enter")
    draw(page, strokes_of(CHARACTERS[0]))
    enrol(page, "a class with a name that is much too long for a telephone, and has to be cut at some place")
    draw(page, strokes_of(CHARACTERS[0]))
    expect(page.locator("#ranking li")).to_have_count(1)
    found = before + page.evaluate(CONTRASTS)
    assert len(found) > 20
    assert [one for one in found if one[1] < 4.5] == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_service_sends_the_page_that_is_tested(model, start):
    with urlopen(start()) as answer:
        assert answer.read().decode() == service_page(f"siamese_jax: {model.card.name}", may_enrol=True)
