"""The page at /docs: what OpenAPI says of a service, as HTML without scripts, so that nothing comes from elsewhere."""

import base64
import hashlib
import html
from collections.abc import Iterator, Mapping
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
:root { color-scheme: light dark; }
h2 { border-top: 1px solid; padding-top: 1rem; }
td, th { text-align: left; vertical-align: top; padding: 0.1rem 1rem 0.1rem 0; }
"""
POLICY = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
"""The content security policy of the page: it allows its own style, and nothing else."""


def reference_page(openapi: Mapping[str, Any]) -> str:
    """Return the page that describes a service, from its description in OpenAPI."""
    title = html.escape(openapi["info"]["title"])
    return "\n".join(
        [
            f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{STYLE}</style></head>\n<body>",
            f"<h1>{title}</h1>",
            f"<p>{html.escape(openapi['info']['description'])}</p>",
            '<p>For programs: <a href="openapi.json">openapi.json</a></p>',
            *_endpoints(openapi),
            "</body>\n</html>\n",
        ]
    )


def _endpoints(openapi: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in openapi["paths"].items():
        for method, what in methods.items():
            yield f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>"
            yield f"<p>{html.escape(what.get('description', ''))}</p>"
            for kind, body in what.get("requestBody", {}).get("content", {}).items():
                schema = _resolved(body["schema"], openapi)
                yield f"<h3><code>{html.escape(kind)}</code></h3>"
                yield _table((name, _meaning(field)) for name, field in schema["properties"].items())
            yield "<h3>Answers</h3>"
            yield _table((status, answer["description"]) for status, answer in what["responses"].items())


def _resolved(schema: Mapping[str, Any], openapi: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return openapi["components"]["schemas"][name] if name else schema


def _meaning(field: Mapping[str, Any]) -> str:
    """Return what a field means, which values it takes, and its default."""
    words = [field.get("description") or ("A picture file." if "format" in field else "One or more picture files.")]
    if "enum" in field:
        words.append(f"One of {', '.join(field['enum'])}.")
    if field.get("default") is not None:
        words.append(f"Default: {field['default']}.")
    return " ".join(words)


def _table(rows: Any) -> str:
    cells = (f"<tr><th><code>{html.escape(str(a))}</code></th><td>{html.escape(b)}</td></tr>" for a, b in rows)
    return f"<table>{''.join(cells)}</table>"
