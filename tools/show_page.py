"""Takes the picture of the page that needs no server: docs/page.png.

    python tools/show_page.py

The page enrols ten examples, recognises another drawing of one of them, and a round of its game is played that both the
visitor and the network win. Its random numbers are seeded.
"""

import io
import os
import shutil
import tempfile
from pathlib import Path

from docs_records import ROOT
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from siamese_jax.pages import draw_page
from siamese_jax.pretrained import load_pretrained

SEEDED = "let state = SEED; Math.random = () => (state = (state * 16807) % 2147483647) / 2147483647;"
SEEDS, CHOICES = range(1, 20), range(20)
SIZE = {"width": 1000, "height": 900}


def taken() -> bytes:
    """Return the picture, a PNG file."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "draw.html"
        path.write_text(draw_page(load_pretrained("best"), None), encoding="utf-8")
        unsafe = ["--no-sandbox"] if os.getuid() == 0 else []  # Chromium's sandbox does not start for root
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=unsafe)
        for seed in SEEDS:
            for choice in CHOICES:
                page = browser.new_page(viewport=SIZE)
                page.add_init_script(SEEDED.replace("SEED", str(seed * 7919)))
                page.goto(path.as_uri())
                page.wait_for_selector("body[data-ready]")
                if not recognises(page):
                    page.close()
                    break
                if wins(page, choice):
                    page.mouse.move(0, 0)
                    page.evaluate("document.activeElement.blur()")
                    page.wait_for_timeout(500)  # bars grow
                    return small(page.screenshot(full_page=True))
                page.close()
    raise AssertionError("no seed gives a picture")


def recognises(page: Page) -> bool:
    """Enrol ten examples and show one; return whether it is recognised."""
    page.click("#fill")
    page.wait_for_selector("#gallery li")
    page.click("#example")
    page.wait_for_selector("#ranking li")
    return page.inner_text("#verdict") not in ("", "Unknown")


def wins(page: Page, choice: int) -> bool:
    """Play a round with this choice; return whether both are right."""
    page.locator("#grid button").nth(choice).click()
    page.wait_for_selector("#next:not([hidden])")
    return "Both are right" in page.inner_text("#game-status")


def small(png: bytes) -> bytes:
    """Return a PNG file with fewer colours, which is much shorter."""
    file = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(48).save(file, "PNG", optimize=True)
    return file.getvalue()


if __name__ == "__main__":
    (ROOT / "docs" / "page.png").write_bytes(taken())
