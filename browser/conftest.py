"""What the tests of pages need: Node, Chromium, and the page of the packaged network.

They are not part of `pytest`; `make browser` runs them.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from siamese_jax.pages import draw_page
from siamese_jax.pretrained import Model, load_pretrained

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
expect.set_options(timeout=20_000)  # other programs may run on the machine
Node = Callable[..., dict[str, Any]]
Visit = Callable[..., Page]


@pytest.fixture(scope="session")
def model() -> Model:
    """The packaged network."""
    return load_pretrained("best")


@pytest.fixture(scope="session")
def best_page(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the packaged network, without a gallery."""
    path = tmp_path_factory.mktemp("page") / "draw.html"
    path.write_text(draw_page(model, None), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def node() -> Node:
    """A function that asks what the scripts of a page compute; see page.mjs."""

    def ask(page: Path, **request: Any) -> dict[str, Any]:
        program = ["node", str(Path(__file__).parent / "page.mjs"), str(page)]
        done = subprocess.run(program, input=json.dumps(request), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        unsafe = ["--no-sandbox"] if os.getuid() == 0 else []  # Chromium's sandbox does not start for root
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=unsafe)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """A function that opens a page; at the end no page has logged, failed, or sent a request elsewhere."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def opened(address: str, expected: str = "no console message", before: str = "", **of_context: Any) -> Page:
        """Open an address; messages that contain `expected` may be logged. `before` runs before the page's scripts."""
        context = chromium.new_context(**{"viewport": {"width": 1100, "height": 900}, **of_context})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on(
            "console",
            lambda said: (
                faults.append(said.text) if said.type in ("error", "warning") and expected not in said.text else None
            ),
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        origin = address.split("/", 3)[:3]
        page.on(
            "request",
            lambda sent: (
                None
                if sent.url.split("/", 3)[:3] == origin or sent.url.startswith(("blob:", "data:"))
                else faults.append(f"request: {sent.url[:200]}")
            ),
        )
        if before:
            page.add_init_script(before)
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []
