"""The answer to a verb, in words or as JSON for programs."""

from siamese_jax.command.exports import EXPORT_JOBS
from siamese_jax.command.pictures import PICTURE_JOBS
from siamese_jax.command.service import SERVICE_JOBS
from siamese_jax.command.verb import VerbRequest
from siamese_jax.storage.files import to_json

JOBS = {**PICTURE_JOBS, **EXPORT_JOBS, **SERVICE_JOBS}


def perform(request: VerbRequest) -> str:
    """Do what a request says; return what to print."""
    answer, text = JOBS[type(request)](request)
    return to_json(answer, indent=2) if request.json else text
