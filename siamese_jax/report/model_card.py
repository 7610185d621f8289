"""The model card of a packaged network: made from a run's results, and written as Markdown for people."""

from siamese_jax.data import source_of
from siamese_jax.errors import UserError
from siamese_jax.report.decisions import decisions
from siamese_jax.report.markdown import as_text, markdown
from siamese_jax.report.tables import bullets, interval, percent, ranges, sentence, table
from siamese_jax.results import ModelCard, RunResults, plural
from siamese_jax.specs import Experiment


def make_card(name: str, experiment: Experiment, results: RunResults, commit: str) -> ModelCard:
    """Return the model card of a finished run.

    Args:
      name: Name of the network, as `--checkpoint` will take it.
      experiment: What was trained.
      results: The results; they must include verification.
      commit: Commit of the code that trained it.

    Raises:
      UserError: The results are not those of a trained network, or the licence of the data is not known.
    """
    if results.training is None or results.verification is None:
        raise UserError(f"the results of {experiment.name} are not those of a trained network: evaluate a training run")
    licence = source_of(experiment.data.name).licence
    if not licence:
        raise UserError(
            f"the licence of {experiment.data.name!r} data is not known: add it in siamese_jax.data.SOURCES"
        )
    return ModelCard(name=name, summary=experiment.summary, licence=licence, commit=commit, results=results)


def card_text(card: ModelCard, channels: int = 1) -> str:
    """Return a model card as Markdown; `channels` is 1 for a network of grey images and 3 for colour."""
    card = as_text(card)
    results = card.results
    assert results.training is not None  # make_card and pretrained.read have checked it
    assert results.verification is not None
    training, verified, data = results.training, results.verification.test, results.data
    groups, authors, side, sets = plural(data.words.group), plural(data.words.author), data.image_side, data.sets

    def described(name: str) -> str:
        count = len(sets[name].groups)
        return f"{count} {data.words.group if count == 1 else groups} by {authors} {ranges(sets[name].authors)}"

    facts = bullets(
        [
            f'Use: `siamese_jax.load_pretrained("{card.name}")`. To evaluate it again: '
            f"`python -m siamese_jax.main --mode=evaluate --checkpoint={card.name}`.",
            f"Input: uint8 `[N, {side}, {side}, {channels}]`, 0 for white paper and 255 for black ink. "
            "`model.read(path)` reads image files.",
            f"Meant for: drawings of a single {data.words.class_}, dark lines on light paper. Nothing else was "
            "measured.",
            f"Training: `{results.command}`, seed {results.seed}, commit `{card.commit}`, {training.steps:,} steps. "
            f"The parameters are those of epoch {training.best_epoch} of {training.epochs}, the best on validation.",
            f"Training data: {data.name}, {sets['train'].images:,} images of {described('train')}.",
            f"Validation data: {described('validation')}. Everything was chosen on them.",
            f"Test data: {described('test')}. They were evaluated once. No {data.words.group} is in two of the three "
            "sets.",
            f"{authors.capitalize()} {ranges(sets['train'].authors)} in the table also made training images, of other "
            f"{groups}.",
            f"Verification: {percent(verified.accuracy)} % of {verified.pairs:,} test pairs are decided correctly "
            f"({interval(verified.ci95)}). The threshold, a logit of {verified.threshold:.2f}, is the best one on "
            "validation.",
            f"Licence: {card.licence}",
        ]
    )
    accuracies = table(
        ["protocol", authors, "views", "accuracy (%)", "95 % interval (%)", "trials"],
        [
            [
                f"`{name}`",
                ranges(result.card.authors),
                str(result.card.views),
                percent(result.accuracy),
                interval(result.ci95),
                f"{result.card.trials:,}",
            ]
            for name, result in (*results.one_shot.items(), *results.one_shot_views.items())
        ],
    )
    summary = sentence(card.summary)
    return markdown(
        f"# {card.name}\n\n{summary[:1].upper()}{summary[1:]}\n\n{facts}\n\n## One-shot accuracy\n\n"
        "The table shows how often the right class has the highest score.\n"
        "The intervals are for other trials of the same kind.\n"
        "The epoch was selected on the trials of `validation`, so their accuracy is optimistic.\n"
        "With several *views* each embedding is a mean over the image and distorted copies of it.\n\n"
        f"{accuracies}\n"
        + (f"\n## Decisions\n\n{decisions(results.decisions, data.words)}\n" if results.decisions else "")
    )
