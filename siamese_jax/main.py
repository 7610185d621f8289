"""The command: one request becomes a run, a report or an answer. Heavy imports wait until the flags are right."""

if __name__ == "__main__":  # as in `siamese_jax.__main__`, before the imports below take their time
    from siamese_jax import terminal

    terminal.begin()

import os
import sys

from absl import app, logging

from siamese_jax import extras, interrupts
from siamese_jax.command import flags, verbs, words
from siamese_jax.command.errors import mistakes_as_sentences
from siamese_jax.command.request import Evaluate, ListExperiments, Report, ReportStudy, Request, Search, read_request
from siamese_jax.command.verb import VerbRequest
from siamese_jax.devices import check_address_space
from siamese_jax.storage import home
from siamese_jax.storage.workdir import remove_claimed
from siamese_jax.terminal import TERMINAL, say, warn

flags.define_flags()


def perform(request: Request | VerbRequest) -> str:
    """Do what a request says; return what to print at the end."""
    if isinstance(request, ListExperiments):
        return words.listing()
    TERMINAL.only_display = not isinstance(request, VerbRequest) or request.writes
    if isinstance(request, Report):
        from siamese_jax.report import compare

        interrupts.begin_work()
        compare.report(request.workdirs, request.output)
        return words.where(request.output)
    if isinstance(request, ReportStudy):
        extras.require("search")
        from siamese_jax.search import conduct

        interrupts.begin_work()
        conduct.report_study(request.name, request.folder, request.storage)
        return words.where(request.folder)
    check_address_space()  # before JAX is loaded
    if isinstance(request, VerbRequest):
        from siamese_jax.command import answers

        interrupts.begin_work()
        return answers.perform(request)
    from siamese_jax.command import jobs

    if isinstance(request, Search):
        return jobs.search(request)
    if isinstance(request, Evaluate):
        return jobs.evaluate(request)
    return jobs.train(request)


def main(argv: list[str]) -> None:
    """Do what the verb or the flags say; a user's mistake is one sentence and exit code 2."""
    logging.set_verbosity(logging.WARNING)  # the libraries log every file that they close
    with mistakes_as_sentences() as say_how_to_resume:
        request = verbs.read_request(argv[1:]) if argv[1:] else read_request()
        say_how_to_resume(request)
        home.do_without_temporary()
        say(perform(request))
        interrupts.end_work()


def run() -> None:
    """Run the command to its end; `siamese_jax.__main__` is the entry point."""
    code: object = 0
    try:
        app.run(main, flags_parser=flags.parse)
    except SystemExit as end:
        code = end.code or 0
    interrupts.end_work()
    if isinstance(code, str):
        warn(code)
    code = TERMINAL.code_at_end(code if isinstance(code, int) else 1)
    if interrupts.asked() is not None:  # what runs at the end of a process may wait for what was interrupted
        remove_claimed()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    run()
