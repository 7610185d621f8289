"""Answers as OpenAPI describes them."""

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """A request that was refused."""

    detail: str = Field(description="What is wrong, and what to do.")


class Embeddings(BaseModel):
    """Embeddings of pictures."""

    embeddings: list[list[float]]
    remarks: list[list[str]] = Field(description="What was done to each picture, and whether it looks unfamiliar.")


class Verification(BaseModel):
    """Whether two pictures show the same class."""

    same: bool
    probability: float | None
    score: float
    threshold: float
    prior: float | None
    false_match_rate: float | None
    false_non_match_rate: float | None
    remarks: dict[str, list[str]]


class Match(BaseModel):
    """A class that a picture may show."""

    class_name: str
    score: float
    probability: float | None
    picture: int = Field(description="The id of the enrolled picture that is most like it.")
    thumbnail: str = Field(description="The address of that picture's thumbnail.")


class Identified(BaseModel):
    """What one picture shows."""

    path: str
    unknown: bool | None
    threshold: float | None
    why: str
    matches: list[Match]
    remarks: list[str]


class Identification(BaseModel):
    """What pictures show."""

    search: str
    fpir: float
    pictures: list[Identified]


class Enrolled(BaseModel):
    """What was enrolled."""

    enrolled: int
    already_enrolled: int
    added: list[int] = Field(description="The ids of the pictures that were enrolled.")
    pictures: int = Field(description="Pictures that the gallery has now.")
    classes: int = Field(description="Classes that the gallery has now.")
    remarks: list[list[str]]


class Removed(BaseModel):
    """What was removed."""

    removed: int
    pictures: int = Field(description="Pictures that the gallery has now.")


class Classes(BaseModel):
    """The enrolled classes."""

    network: str
    pictures: int
    classes: dict[str, int] = Field(description="The number of pictures of each class.")


class Health(BaseModel):
    """Whether the service answers."""

    status: str = Field(description="starting, ready, or failed.")
    network: str
    gallery: bool
    may_enrol: bool
