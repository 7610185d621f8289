"""Verbs, `siamese-jax enrol DIR --gallery=mine.gallery`: words and flags become one request.

Nothing heavy is imported.
"""

import sys

from absl import flags

from siamese_jax.command.export_verb import EXPORT_VERBS
from siamese_jax.command.flag_files import expanded
from siamese_jax.command.picture_verbs import PICTURE_VERBS
from siamese_jax.command.serve_verb import SERVE_VERBS
from siamese_jax.command.verb import VerbRequest
from siamese_jax.errors import UserError, did_you_mean

VERBS = {**PICTURE_VERBS, **EXPORT_VERBS, **SERVE_VERBS}


def read_request(words: list[str]) -> VerbRequest:
    """Return what a verb and the words after it ask for. With --help among them, print the verb's help and exit.

    Args:
      words: The verb, then what follows it.

    Raises:
      UserError: There is no such verb, a flag is unknown, or words are missing.
    """
    name, *rest = words
    if name not in VERBS:
        hint = did_you_mean(name, [*VERBS, "train"])
        raise UserError(f"{name} is not a verb: {hint}{' ' * bool(hint)}use {', '.join(['train', *VERBS])}")
    verb = VERBS[name]
    if {"--help", "-help", "-h"} & set(rest):
        print(verb.help.strip())
        sys.exit(0)
    values = verb.flags()
    try:
        positional = values([name, *expanded(rest)])[1:]
    except flags.UnrecognizedFlagError as error:
        hint = did_you_mean(error.flagname, values, "--")
        raise UserError(
            f"--{error.flagname} is not a flag of {name}: {hint or f'siamese-jax {name} --help'}"
        ) from error
    except flags.Error as error:
        raise UserError(str(error)) from error
    return verb.request(positional, values)
