"""Bodies of requests: pictures as files of a form, or in base64 in JSON, and the fields beside them."""

import base64
import binascii
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, create_model
from starlette.datastructures import UploadFile
from starlette.requests import Request

from siamese_jax.gallery.store import MAX_NAME
from siamese_jax.results import FPIR
from siamese_jax.serve.refusals import Refusal
from siamese_jax.storage.image_files import FITS, POLARITIES

JSON, FORM = "application/json", "multipart/form-data"
MAX_FIELDS, MAX_FIELD = 16, 64 << 10
"""Fields of a form beside its files, and bytes of one."""
MAX_ID = (1 << 63) - 1
"""The largest id that a database takes."""
SHOWN = 60
"""Characters of a value or a name that a sentence repeats."""

AS_TRAINED = "Without it pictures are read as in training."
ONE = {"type": "string", "contentEncoding": "base64", "description": "A picture file in base64."}


class Fields(BaseModel):
    """Fields that every request with pictures has."""

    model_config = ConfigDict(extra="forbid")
    fit: Literal[FITS] | None = Field(None, description=f"How a page becomes a square. {AS_TRAINED}")  # type: ignore[valid-type]
    polarity: Literal[POLARITIES] | None = Field(  # type: ignore[valid-type]
        None, description=f"Whether ink is darker or lighter than its paper. {AS_TRAINED}"
    )


class EmbedFields(Fields):
    """Fields of /embed."""


class VerifyFields(Fields):
    """Fields of /verify."""

    prior: float = Field(0.5, gt=0, lt=1, description="The share of pairs that show the same class.")


class IdentifyFields(Fields):
    """Fields of /identify."""

    top: int = Field(5, ge=1, le=1000, description="How many classes are named.")
    fpir: float = Field(
        FPIR, gt=0, lt=1, description="How often a picture of a class that is not enrolled may be accepted, as a share."
    )


class EnrolFields(Fields):
    """Fields of /enrol."""

    class_name: str = Field(min_length=1, max_length=MAX_NAME, description="The class that all the pictures show.")


class Remove(BaseModel):
    """Body of /remove: one of the two."""

    model_config = ConfigDict(extra="forbid")
    class_name: str | None = Field(None, max_length=MAX_NAME, description="The class whose pictures are removed.")
    picture: int | None = Field(None, ge=1, le=MAX_ID, description="The id of the picture that is removed.")


T = TypeVar("T", bound=BaseModel)


class Upload(NamedTuple):
    """A picture file that was sent."""

    name: str
    content: bytes


class Sent(NamedTuple, Generic[T]):
    """What a request sent."""

    fields: T
    pictures: list[Upload]


class Body(Generic[T]):
    """A kind of body: how it is described, and how it is read."""

    def __init__(self, fields: type[T], files: tuple[str, ...] | None, most: int):
        """Describe it.

        Args:
          fields: The fields beside the pictures.
          files: The names of the pictures, one each; None if there are one or more, called `file` in a form and
            `picture` in JSON.
          most: Pictures that a request may have.
        """
        self._fields, self._files, self._most = fields, files, most
        pictures: Any = dict.fromkeys(files or (), (Annotated[str, WithJsonSchema(ONE)], ...))
        if files is None:
            several = {"type": "array", "items": ONE, "minItems": 1, "maxItems": most}
            kind = Annotated[
                list[str],
                Field(min_length=1, max_length=most),
                BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
                WithJsonSchema({"anyOf": [ONE, several], "description": "One or more picture files in base64."}),
            ]
            pictures = {"picture": (kind, ...)}
        self._json = create_model(fields.__name__.replace("Fields", "Json"), __base__=fields, **pictures)

    def described(self) -> dict[str, Any]:
        """Return the body's description in OpenAPI."""
        form = self._fields.model_json_schema()
        one = {"type": "string", "format": "binary"}
        names = self._files or ("file",)
        several = {"type": "array", "items": one, "minItems": 1, "maxItems": self._most}
        form["properties"] |= dict.fromkeys(names, one if self._files else several)
        form["required"] = [*form.get("required", ()), *names]
        form["title"] = self._json.__name__.replace("Json", "Form")
        kinds = {FORM: {"schema": form}, JSON: {"schema": self._json.model_json_schema()}}
        return {"requestBody": {"required": True, "content": kinds}}

    async def read(self, request: Request) -> Sent[T]:
        """Return what a request sent; Refusal if it is not what this body takes."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == JSON:
            return self._from_json(await request.body())
        if kind == FORM:
            return await self._from_form(request)
        raise Refusal(415, f"the content type {kind[:SHOWN]!r} is not read: send {FORM} or {JSON}")

    def _from_json(self, content: bytes) -> Sent[T]:
        given = checked(self._json, content)
        texts = [(name, getattr(given, name)) for name in self._files or ()]
        if self._files is None:
            texts = [("picture", text) for text in getattr(given, "picture")]  # noqa: B009
        return Sent(given, [Upload(name, _decoded(name, text)) for name, text in texts])

    async def _from_form(self, request: Request) -> Sent[T]:
        async with request.form(max_files=self._most, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD) as form:
            names = self._files or ("file",)
            files = {name: [one for one in form.getlist(name) if isinstance(one, UploadFile)] for name in names}
            for name, found in files.items():
                if not found or (self._files and len(found) > 1):
                    wanted = "one" if self._files else "one or more"
                    raise Refusal(400, f"the form has {len(found)} files called {name!r}: send {wanted}")
            others = [(name, value) for name, value in form.multi_items() if value not in files.get(name, ())]
            fields = dict(others)
            if len(fields) < len(others):
                raise Refusal(400, "a field of the form is given twice: give it once")
            for name, value in others:
                if isinstance(value, UploadFile):
                    raise Refusal(400, f"the form has a file called {name[:SHOWN]!r}: send {' and '.join(names)}")
            pictures = [Upload(_name(one.filename), await one.read()) for name in names for one in files[name]]
        return Sent(checked(self._fields, fields), pictures)


def checked(model: type[T], given: bytes | dict[str, Any]) -> T:
    """Return JSON, or the fields of a form, as a model; Refusal if they are not valid."""
    try:
        if isinstance(given, bytes):
            return model.model_validate_json(given, strict=True)
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        what = first["msg"][:1].lower() + first["msg"][1:]
        raise Refusal(400, f"{where[:SHOWN]} is not valid, {what[:200]}: see /docs") from error


def _decoded(name: str, text: str) -> bytes:
    """Return the bytes of base64; also of a data URL, which is what a canvas of a web page gives."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(400, f"{name} is not base64 ({error}): encode the bytes of the file") from error


def _name(filename: str | None) -> str:
    """Return the last part of a file's name, as it can be printed."""
    name = (filename or "").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in name if letter.isprintable())[:SHOWN] or "file"
