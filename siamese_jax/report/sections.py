"""The report of one run: its sections, in order, each left out where its part of the results is missing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from siamese_jax.learning.health import diagnosis, loss_of_guessing
from siamese_jax.report import one_shot
from siamese_jax.report.beside import table_1
from siamese_jax.report.departures import choices, differences
from siamese_jax.report.pictures import NETWORK, ONE_SHOT, PICTURES, TRAINING, VERIFICATION, section
from siamese_jax.report.tables import bullets, duration, interval, percent, ranges, sentence, table
from siamese_jax.specs import Experiment, PaperSGD

DATA = {
    "omniglot": "Omniglot: characters of 50 alphabets, each drawn by hand once by each of 20 drawers.",
    "glyphs": "glyphs: **rendered glyphs, not handwriting; not comparable with Omniglot figures**. Characters of many "
    "scripts, rendered from fonts in the manner of 20 made-up drawers.",
}


def report(
    experiment: Experiment,
    results: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]] = (),
    pictures: Sequence[str] = tuple(PICTURES),
) -> str:
    """Returns the report as Markdown.

    `results` is what results.json holds, and a part that is missing from it is left out; `rows` are the lines of
    metrics.jsonl; `pictures` are files beside the report, each shown in the section where it belongs.
    """
    sections = (
        _title(experiment, results),
        section(ONE_SHOT, one_shot.network(results), pictures),
        section("Comparisons that learn nothing", one_shot.baselines(results), pictures),
        section(VERIFICATION, _verification(experiment, results.get("verification", {})), pictures),
        section(TRAINING, _training(experiment, results.get("training"), rows), pictures),
        section(NETWORK, "", pictures),
        section("Alphabets and drawers", _sets(results["data"]), pictures),
        _departures(experiment) if experiment.method == "siamese" else "",
        f"## To run it again\n\n    {results['command']}\n" + _environment(results.get("environment")),
    )
    return "\n\n".join(part.strip("\n") for part in sections if part) + "\n"


def ending(training: Mapping[str, Any]) -> str:
    """Returns how training ended, in words."""
    return {
        "patience": "stopped since validation no longer gained",
        "max_epochs": "stopped since the last epoch allowed was done",
        "not finished": "**training is not finished**: these are the results so far",
    }[training["stopped_by"]]


def losses(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Returns the losses of training pairs, named as in `LossSpec`, in the lines of metrics.jsonl."""
    return [row[name] for row in rows if row.get(name) is not None]


def rate(training: Mapping[str, Any]) -> float | None:
    """Returns pairs a second; None where a run was stopped before it could be timed (NaN, or null in its file)."""
    timed = training["pairs_per_second"]
    return None if timed is None or timed != timed else timed


def _title(experiment: Experiment, results: Mapping[str, Any]) -> str:
    chosen = (
        "Everything was chosen on the validation set: the epoch whose parameters were kept, and the verification "
        "threshold.\nNothing was chosen on test."
        if experiment.method == "siamese"
        else "Nothing was trained, and nothing chosen."
    )
    return f"""# {results["experiment"]}

{sentence(experiment.summary)}

* Seed: {results["seed"]}
* Data: {DATA[results["data"]["name"]]}
* Images: {results["data"]["image_side"]}×{results["data"]["image_side"]} pixels

{chosen}"""


def _verification(experiment: Experiment, verification: Mapping[str, Any]) -> str:
    if not verification:
        return ""
    text = "Do two images show the same character?\n\n" + table(
        ["set", "pairs", "accuracy (%)", "95 % interval (%)", "threshold on p(same)"],
        [
            [name, f"{part['pairs']:,}", percent(part["accuracy"]), interval(part), f"{part['threshold']:#.3g}"]
            for name, part in verification.items()
        ],
    )
    text += "\n\nIntervals are by bootstrap over whole alphabets. The threshold is the best one on validation."
    test = verification.get("test", {})
    if "auc" in test:
        text += "\n\n" + _errors(test)
        text += "\n\nThe thresholds of the false-accept rates asked for were chosen on validation, and applied to test."
    if experiment.data.name == "omniglot" and test:
        text += "\n\n### Beside the paper's table 1\n\n" + table_1(experiment, test)
        text += "\n\nTest accuracy in per cent; the published figures were read in secondary copies of the paper."
    return text


def _errors(test: Mapping[str, Any]) -> str:
    rows = [
        ["area under the ROC curve", percent(test["auc"]), interval(test, "auc_ci95")],
        ["equal error rate", percent(test["equal_error_rate"]), interval(test, "equal_error_rate_ci95")],
    ]
    for point in test["operating_points"]:
        asked = f"{100 * point['false_accept_rate']:g} % false accepts asked for"
        for what, key in (("false", "measured_false_accept_rate"), ("true", "true_accept_rate")):
            rows.append([f"{asked}: {what} accepts", percent(point[key]), interval(point, f"{key}_ci95")])
    return table(["on test", "measured (%)", "95 % interval (%)"], rows)


def _training(experiment: Experiment, training: Mapping[str, Any] | None, rows: Sequence[Mapping[str, Any]]) -> str:
    if not training:
        return ""
    epochs, a_second, loss = training["epochs"], rate(training), losses(rows, experiment.loss.name)
    lines = [
        f"{epochs:,} epoch{'s'[: epochs != 1]}, {training['steps']:,} steps; {ending(training)}",
        f"best epoch on validation: {training['best_epoch']}, whose parameters were kept",
        f"{duration(training['seconds'])} of training" + (f", {a_second:,.0f} pairs a second" if a_second else ""),
    ]
    if loss:
        name, guessing = experiment.loss.name.replace("_", "-"), loss_of_guessing(experiment, rows)
        chance = f" (chance {guessing:.3f})" if guessing is not None else ""
        lines.append(f"loss in training ({name}): {loss[0]:.3f} at first, {loss[-1]:.3f} at last{chance}")
    return bullets(lines) + _health(experiment, rows)


def _health(experiment: Experiment, rows: Sequence[Mapping[str, Any]]) -> str:
    """What the first and the last look at the network found; a run of an earlier version has none."""
    looks = [row for row in rows if "saturated" in row]
    if not looks:
        return ""

    def number(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)  # null in its file: it was not finite

    def of_layers(look: Mapping[str, Any], prefix: str, pick: Callable[..., str], form: str) -> str:
        found = {name.removeprefix(prefix): look[name] for name in look if name.startswith(prefix)}
        found = {layer: value for layer, value in found.items() if value is not None}
        return f"{format(found[layer := pick(found, key=found.get)], form)} ({layer})" if found else "–"

    def column(look: Mapping[str, Any]) -> list[str]:
        return [
            number(look["saturated"], ".1%") if experiment.network.tower.ends_in_sigmoid else "–",
            number(look["embedding_spread"], ".2g"),
            number(look["score_spread"], ".2g"),
            number(look["score_gap"], ".2g"),
            of_layers(look, "dead_filters/", max, ".0%"),
            of_layers(look, "update/", min, ".1e"),
            of_layers(look, "update/", max, ".1e"),
        ]

    what = [
        "sigmoids of the embedding beyond ±4",
        "spread of a unit between characters",
        "spread of the logits of pairs",
        "mean logit of “same” above that of “different”",
        "most dead filters",
        "least update of a layer, of its weights",
        "largest update of a layer, of its weights",
    ]
    first, *_, final = looks if len(looks) > 1 else looks * 2
    head = ["health", f"step {first['step']:,}", f"step {final['step']:,}"]
    lines = table(head, list(zip(what, column(first), column(final), strict=True)))
    last = _epoch_loss(rows, experiment.loss.name, final["epoch"])
    of_epoch = [row for row in rows if row["epoch"] == final["epoch"]]
    sentence = diagnosis(experiment, last, final, of_epoch) if last is not None and final["step"] else ""
    return f"\n\n{lines}" + (f"\n\n**{sentence}**" if sentence else "")


def _epoch_loss(rows: Sequence[Mapping[str, Any]], name: str, epoch: int) -> float | None:
    """Returns the mean loss over the steps of an epoch: a line is the mean over those since the line before."""
    total, steps, before = 0.0, 0, 0
    for row in rows:
        if row.get(name) is None:
            continue
        if row["epoch"] == epoch:
            total, steps = total + (row["step"] - before) * row[name], steps + row["step"] - before
        before = row["step"]
    return total / steps if steps else None


def _sets(data: Mapping[str, Any]) -> str:
    sets = data["sets"].items()
    sizes = table(
        ["set", "alphabets", "characters", "images", "drawers"],
        [
            [name, str(len(s["alphabets"])), f"{s['characters']:,}", f"{s['images']:,}", ranges(s["drawers"])]
            for name, s in sets
        ],
    )
    # Underscores in names would be read as Markdown's emphasis.
    names = bullets(f"{name}: {', '.join(s['alphabets']).replace('_', ' ')}" for name, s in sets)
    return (
        f"No alphabet and no drawer is in two sets (`{data['drawer_split']}` split); "
        "the drawers of the 20 runs that come with the data stand with their result.\n\n"
        f"{sizes}\n\n{names}"
    )


def _departures(experiment: Experiment) -> str:
    sentences = differences(experiment)
    said = bullets(sentences) if sentences else "Nothing differs from what the paper states."
    text = f"## What differs from the paper\n\n{said}\n\n"
    text += f"## What the paper leaves open\n\n{bullets(choices(experiment))}"
    if isinstance(experiment.optimizer, PaperSGD):
        head = ["layer", "learning rate", "momentum", "L2 penalty"]
        layers = experiment.optimizer.layers.items()
        text += "\n\n" + table(
            head, [[name, f"{s.learning_rate:g}", f"{s.momentum:g}", f"{s.l2:g}"] for name, s in layers]
        )
    return text


def _environment(environment: Mapping[str, Any] | None) -> str:
    if not environment:
        return ""
    e = environment
    return (
        f"\nThis run: siamese_jax {e['siamese_jax']}, JAX {e['jax']}, Python {e['python']}, backend "
        f"{e['backend']} ({e['devices']} × {e['device']}; {e['cores']} CPU cores).\n"
    )
