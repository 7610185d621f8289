"""What the tests of both pages draw, and how they look at a page."""

import math

import numpy as np
from playwright.sync_api import Page

from siamese_jax.data import glyphs

CHARACTERS = (0, 4, 9, 14, 22)
"""Characters of Nuskhuri that are drawn."""
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}

CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = (colour) => {
    const [r, g, b] = rgb(colour).map((value) => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (one) => {
    const colour = getComputedStyle(one).backgroundColor;
    return rgb(colour)[3] === 255 ? colour : ground(one.parentElement);
  };
  const hasText = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const shown = [...document.querySelectorAll('body *')].filter((one) => hasText(one) && one.checkVisibility());
  return shown.map((one) => {
    const [dark, bright] = [getComputedStyle(one).color, ground(one)].map(light).sort((a, b) => a - b);
    return [one.textContent.trim().slice(0, 40), (bright + 0.05) / (dark + 0.05)];
  });
}"""
"""The contrast of every text with what is behind it (WCAG 2.2, relative luminance)."""


def strokes_of(character: int, turn: float = 0.0, size: float = 250.0) -> list[np.ndarray]:
    """The strokes of a character of Nuskhuri on a pad of 420 by 420 points, as paths [V, 2] of (x, y)."""
    traced = list(glyphs.trace_script(glyphs.VALIDATION["Nuskhuri"]).values())[character]
    turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return [210 + size * (path[:: max(1, len(path) // 12)] @ turned)[:, ::-1] for path in traced]


def draw(page: Page, strokes: list[np.ndarray]) -> None:
    """Draw with the mouse."""
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    scale = box["width"] / 420
    for path in strokes:
        points = [(box["x"] + x * scale, box["y"] + y * scale) for x, y in path.tolist()]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()
