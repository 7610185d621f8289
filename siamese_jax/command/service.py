"""The verb `serve`: an address, a warning where anyone may ask, and the service until it is stopped."""

from typing import Any

from siamese_jax import extras
from siamese_jax.command.serve_verb import TOKEN, Serve
from siamese_jax.pretrained import load_pretrained
from siamese_jax.terminal import warn


def serve(request: Serve) -> tuple[dict[str, Any], str]:
    """Answer requests until the process is told to stop."""
    extras.require("serve")
    from siamese_jax import serve as service
    from siamese_jax.serve.guard import is_local

    local = is_local(request.host)
    with service.listen(request.host, request.port) as listening:
        model = load_pretrained(request.checkpoint)
        app = service.make_app(
            model,
            request.gallery,
            token=request.token,
            read_only=request.read_only,
            only_local=local and request.token is None,
        )
        name = f"[{request.host}]" if ":" in request.host else request.host
        address = f"http://{name}:{listening.getsockname()[1]}"
        if not local and request.token is None:
            warn(f"anyone who can reach {request.host} may use this service: set {TOKEN}, or listen on 127.0.0.1")
        warn(f"{model.card.name} answers on {address} when its programs are compiled; Ctrl-C stops it")
        service.serve(app, listening)
    return {"address": address, "network": model.card.name, "gallery": request.gallery}, f"{address} is closed"


SERVICE_JOBS = {Serve: serve}
