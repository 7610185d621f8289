"""The verb `export`: does what its request says, and returns the answer for programs, and the same in words."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from siamese_jax.command.export_verb import PAGE, Export
from siamese_jax.command.verb import VerbRequest
from siamese_jax.export import export_model
from siamese_jax.pretrained import load_pretrained


def export(request: Export) -> tuple[dict[str, Any], str]:
    """Write a network for other runtimes, or as a page."""
    if request.formats == (PAGE,):
        return _page(request)
    model = load_pretrained(request.checkpoint)
    done = export_model(model, request.output, request.formats, data_dir=request.data_dir, archives=request.archives)
    answer = {
        "folder": str(request.output),
        "files": done.files,
        "trials": {"source": done.source, "count": done.trials},
        "parity": {name: dataclasses.asdict(one) for name, one in done.parity.items()},
    }
    lines = [
        f"{request.output}: {', '.join(done.parity)}, {len(done.files)} files, {sum(done.files.values()) / 1e6:.1f} MB",
        f"compared with JAX on {done.trials} trials: {done.source}",
    ]
    width = max(map(len, done.parity))
    for name, one in done.parity.items():
        lines.append(
            f"    {name:<{width}}  embeddings differ by up to {one.embeddings.largest:.1e} of "
            f"{one.embeddings.range:.1f}, scores by {one.scores.largest:.1e} of {one.scores.range:.1f}; {one.choices} "
            f"of {done.trials} choices are the same" + (f", {one.ties} of them ties" if one.ties else "")
        )
    return answer, "\n".join(lines)


def _page(request: Export) -> tuple[dict[str, Any], str]:
    from siamese_jax.export.page import check_page, export_page

    check_page(request.output)
    classes = export_page(load_pretrained(request.checkpoint), request.output, request.gallery)
    size = request.output.stat().st_size
    answer = {"page": str(request.output), "bytes": size, "classes": classes}
    known = f" that knows {classes:,} {'class' if classes == 1 else 'classes'}" if request.gallery else ""
    return answer, f"{request.output}: one page{known}, {size / 1e6:.1f} MB; open it in a browser"


EXPORT_JOBS: Mapping[type[VerbRequest], Any] = {Export: export}
"""The function that does what a request asks."""
