"""The application: which requests there are, and what each answers."""

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator
from typing import Annotated, Any, NoReturn

import numpy as np
from fastapi import APIRouter, Depends, FastAPI, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

import siamese_jax
from siamese_jax import pages
from siamese_jax.errors import UserError
from siamese_jax.gallery import Enrolment
from siamese_jax.gallery import answers as as_dictionaries
from siamese_jax.pretrained import Model
from siamese_jax.serve import answers
from siamese_jax.serve.bodies import (
    JSON,
    MAX_ID,
    Body,
    EmbedFields,
    EnrolFields,
    IdentifyFields,
    Remove,
    VerifyFields,
    checked,
)
from siamese_jax.serve.guard import Guard, Load
from siamese_jax.serve.limits import Limits
from siamese_jax.serve.metrics import Metrics
from siamese_jax.serve.reference import POLICY, reference_page
from siamese_jax.serve.refusals import Refusal
from siamese_jax.serve.service import Service
from siamese_jax.storage.files import to_json

DESCRIPTION = (
    "Recognises pictures from one example of each class. Send pictures as files of a form, or in base64 in JSON. "
    "A request that is refused has a status and one sentence, in detail."
)
REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": answers.Problem, "description": "The request or a picture cannot be used."},
    401: {"model": answers.Problem, "description": "The token is missing or wrong."},
    413: {"model": answers.Problem, "description": "The body is too long."},
    503: {"model": answers.Problem, "description": "The service is starting, or has too much to do: try again."},
    "default": {"model": answers.Problem, "description": "The request was refused for another reason."},
}
"""Answers that every request can get."""
SENTENCES = {404: "there is no such address: see /docs", 405: "this address takes another method: see /docs"}


def make_app(
    model: Model,
    gallery: str | None = None,
    *,
    token: str | None = None,
    read_only: bool = False,
    only_local: bool = False,
    limits: Limits | None = None,
) -> FastAPI:
    """Return the service as an ASGI application. One process can hold several.

    Args:
      model: The network.
      gallery: The path of a gallery, or the address of a database. It is made if it is not there, unless `read_only`.
      token: Requests must carry it as a bearer token. None: anyone may ask.
      read_only: Refuse to enrol and to remove pictures.
      only_local: Refuse requests that name another host than this machine.
      limits: How much the service takes on; None for the defaults.

    Raises:
      UserError: The gallery cannot be opened.
    """
    limits, load = limits or Limits(), Load()
    metrics = Metrics(lambda: service.batcher.waiting, lambda: load.requests, lambda: service.status == "ready")
    service = Service(model, gallery, not read_only, limits, metrics.embedded)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        starting = asyncio.create_task(service.start())
        yield
        await starting
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title=f"siamese_jax: {model.card.name}",
        description=DESCRIPTION,
        version=siamese_jax.__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers={HTTPException: _explain, RequestValidationError: _explain},
    )
    app.state.service = service
    app.add_middleware(Guard, limits=limits, load=load, metrics=metrics, only_local=only_local)
    app.include_router(_for_anyone(service, app))
    app.include_router(_for_users(service, metrics), dependencies=_needs(token))
    return app


def _needs(token: str | None) -> list[Any]:
    """Return what checks the token of a request."""
    if token is None:
        return []
    wanted = token.encode()

    def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]) -> None:
        if given is None or not hmac.compare_digest(given.credentials.encode(), wanted):
            raise Refusal(
                401,
                "the token is missing or wrong: send the header Authorization: Bearer TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )

    return [Depends(check)]


def _for_anyone(service: Service, app: FastAPI) -> APIRouter:
    """Return what can be asked without a token: it says nothing about pictures."""
    router, title = APIRouter(), f"siamese_jax: {service.model.card.name}"
    page = pages.service_page(title, service.may_enrol)

    @router.get("/", include_in_schema=False)
    async def show_page() -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": "frame-ancestors 'none'"})  # the page has more

    @router.get("/docs", include_in_schema=False)
    async def show_reference() -> Response:
        return HTMLResponse(reference_page(app.openapi()), headers={"Content-Security-Policy": POLICY})

    @router.get("/health", response_model=answers.Health, responses=_OF_HEALTH)
    async def health() -> Response:
        """Tell whether the service answers: 200 if it is ready, 503 while it starts."""
        about = {
            "status": service.status,
            "network": service.model.card.name,
            "gallery": service.gallery is not None,
            "may_enrol": service.may_enrol,
        }
        return _json(about, 200 if service.status == "ready" else 503)

    return router


def _for_users(service: Service, metrics: Metrics) -> APIRouter:
    """Return what needs the token, if there is one."""
    router, most = APIRouter(responses=REFUSED), service.limits.pictures
    of_embed, of_identify = Body(EmbedFields, None, most), Body(IdentifyFields, None, most)
    of_verify, of_enrol = Body(VerifyFields, ("first", "second"), most), Body(EnrolFields, None, most)

    @router.post("/embed", response_model=answers.Embeddings, openapi_extra=of_embed.described())
    async def embed(request: Request) -> Response:
        """Return the embedding of each picture."""
        service.check_ready()
        sent = await of_embed.read(request)
        pictures, remarks = await service.read(sent.pictures, sent.fields)
        embeddings = await service.embed(np.stack([picture.pixels for picture in pictures]))
        return _json({"embeddings": embeddings, "remarks": remarks})

    @router.post("/verify", response_model=answers.Verification, openapi_extra=of_verify.described())
    async def verify(request: Request) -> Response:
        """Tell whether two pictures show the same class."""
        service.check_ready()
        sent = await of_verify.read(request)
        pictures, remarks = await service.read(sent.pictures, sent.fields)
        first, second = await service.embed(np.stack([picture.pixels for picture in pictures]))
        answer = await service.compute(
            lambda: as_dictionaries.verified(service.model, first, second, sent.fields.prior)
        )
        said = {name: some for name, some in zip(("first", "second"), remarks, strict=True) if some}
        return _json({**answer, "remarks": said})

    @router.post("/identify", response_model=answers.Identification, openapi_extra=of_identify.described())
    async def identify(request: Request) -> Response:
        """Say which enrolled classes each picture is most like, or that it is unknown."""
        service.check_ready()
        service.check_gallery()
        sent = await of_identify.read(request)
        pictures, remarks = await service.read(sent.pictures, sent.fields)
        embeddings = await service.embed(np.stack([picture.pixels for picture in pictures]))
        found, search = await service.search(
            lambda gallery: (gallery.identify(embeddings, sent.fields.top, sent.fields.fpir), gallery.search)
        )
        rows = []
        for upload, answer, said in zip(sent.pictures, found, remarks, strict=True):
            row = as_dictionaries.identified(upload.name, answer)
            matches = [{**match, "thumbnail": f"/thumbnail/{match['picture']}"} for match in row["matches"]]
            rows.append({**row, "matches": matches, "remarks": said})
        return _json({"search": search, "fpir": sent.fields.fpir, "pictures": rows})

    @router.post("/enrol", response_model=answers.Enrolled, openapi_extra=of_enrol.described())
    async def enrol(request: Request) -> Response:
        """Put pictures of a class into the gallery: all of them, or none."""
        service.check_ready()
        service.check_may_enrol()
        sent = await of_enrol.read(request)
        pictures, remarks = await service.read(sent.pictures, sent.fields)
        enrolments = [
            Enrolment(sent.fields.class_name, picture.pixels, picture.thumbnail(), upload.name)
            for picture, upload in zip(pictures, sent.pictures, strict=True)
        ]
        added, classes = await service.change(lambda gallery: (gallery.enrol(enrolments), gallery.classes()))
        answer = {"enrolled": len(added), "already_enrolled": len(enrolments) - len(added)}
        answer |= {"added": [picture.id for picture in added], "pictures": sum(classes.values())}
        return _json({**answer, "classes": len(classes), "remarks": remarks})

    @router.post("/remove", response_model=answers.Removed, openapi_extra=_body_of(Remove))
    async def remove(request: Request) -> Response:
        """Remove the pictures of a class, or one picture."""
        service.check_ready()
        service.check_may_enrol()
        what = checked(Remove, await request.body())
        if (what.class_name is None) == (what.picture is None):
            raise Refusal(400, "remove takes a class or a picture: send class_name or picture")
        try:
            removed, left = await service.change(lambda gallery: (gallery.remove(**what.model_dump()), len(gallery)))
        except UserError as error:
            raise Refusal(404, str(error)) from error
        return _json({"removed": removed, "pictures": left})

    @router.get("/classes", response_model=answers.Classes)
    async def classes() -> Response:
        """Return the enrolled classes, and how many pictures each has."""
        found = await service.search(lambda gallery: gallery.classes())
        return _json({"network": service.model.card.name, "pictures": sum(found.values()), "classes": found})

    @router.get("/thumbnail/{picture}", responses={200: {"content": {"image/png": {}}}}, response_class=Response)
    async def thumbnail(picture: Annotated[int, Path(ge=1, le=MAX_ID)]) -> Response:
        """Return the thumbnail of an enrolled picture, a PNG file."""
        try:
            content = await service.search(lambda gallery: gallery.thumbnail(picture))
        except UserError as error:
            raise Refusal(404, str(error)) from error
        return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})

    @router.get("/metrics", responses={200: {"content": {"text/plain": {}}}}, response_class=Response)
    async def show_metrics() -> Response:
        """Return what the service has counted, for Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


_OF_HEALTH: dict[int | str, dict[str, Any]] = {
    503: {"model": answers.Health, "description": "The service is starting, or has failed."},
    "default": REFUSED["default"],
}


def _body_of(model: type[Remove]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {JSON: {"schema": model.model_json_schema()}}}}


def _json(answer: Any, status: int = 200) -> Response:
    return Response(to_json(answer), status, media_type=JSON)


async def _explain(request: Request, error: Exception) -> NoReturn:
    """Refuse in a sentence what FastAPI or Starlette refuses."""
    if isinstance(error, HTTPException):
        raise Refusal(error.status_code, SENTENCES.get(error.status_code, f"{error.detail}: see /docs")) from error
    raise Refusal(400, "a value in the address is not valid: see /docs") from error
