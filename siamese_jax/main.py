"""The command: one request becomes a run, a report or an answer. Heavy imports wait until the flags are right."""

from absl import app, logging

from siamese_jax import extras
from siamese_jax.command import flags, verbs, words
from siamese_jax.command.errors import mistakes_as_sentences
from siamese_jax.command.request import Evaluate, ListExperiments, Report, ReportStudy, Request, Search, read_request
from siamese_jax.command.verb import VerbRequest

flags.define_flags()


def perform(request: Request | VerbRequest) -> str:
    """Do what a request says; return what to print at the end."""
    if isinstance(request, ListExperiments):
        return words.listing()
    if isinstance(request, Report):
        from siamese_jax.report import compare

        compare.report(request.workdirs, request.output)
        return words.where(request.output)
    if isinstance(request, ReportStudy):
        extras.require("search")
        from siamese_jax.search import conduct

        conduct.report_study(request.name, request.folder, request.storage)
        return words.where(request.folder)
    if isinstance(request, VerbRequest):
        from siamese_jax.command import answers

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
        print(perform(request))


def run() -> None:
    """Entry point of the console script."""
    app.run(main, flags_parser=flags.parse)


if __name__ == "__main__":
    run()
