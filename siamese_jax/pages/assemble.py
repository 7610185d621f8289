"""Puts the parts of a page together."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def assemble(body: str, title: str, scripts: Sequence[str], data: Mapping[str, str], connect: str) -> str:
    """Return a page.

    Args:
      body: The file with what it shows. `<!-- NAME.html -->` in it is replaced by another file.
      title: Its title, any text.
      scripts: The files with its scripts, in the order in which they run.
      data: Text that its scripts read, by the id of the element that holds it. It contains no "<".
      connect: Where its scripts may send requests to, as in a content security policy.
    """
    style, code = _text("style.css"), [_text(name) for name in scripts]
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(_source, code))}",
            f"style-src {_source(style)}",
            "img-src data: blob:",
            "worker-src blob:",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    held = [f'<script type="text/plain" id="{name}">{text}</script>' for name, text in data.items()]
    run = [f'<script id="{Path(name).stem}-code">{text}</script>' for name, text in zip(scripts, code, strict=True)]
    shown = re.sub(r"<!-- (\w+\.html) -->", lambda part: _text(part[1]).rstrip(), _text(body))
    named = html.escape(title)
    shown = shown.replace("TITLE", named)
    filled = {
        "POLICY": policy,
        "TITLE": named,
        "STYLE": style,
        "BODY": shown,
        "DATA": "\n".join(held),
        "SCRIPTS": "\n".join(run),
    }
    return re.sub("|".join(filled), lambda part: filled[part[0]], _text("page.html"))


def as_json(value: Any) -> str:
    """Return JSON that can stand inside an HTML element, whatever text it holds."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def as_base64(content: bytes) -> str:
    """Return bytes as text."""
    return base64.b64encode(content).decode()


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """Return what names an inline script or style in a content security policy."""
    return f"'sha256-{as_base64(hashlib.sha256(text.encode()).digest())}'"
