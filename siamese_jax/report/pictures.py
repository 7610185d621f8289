"""Which pictures a report shows, in which section, in this order; who draws them is `siamese_jax.plots`.

A picture is a file beside the report, named here with the heading of its section and its caption.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

ONE_SHOT, VERIFICATION, TRAINING, NETWORK = "One-shot recognition", "Verification", "Training", "Network"

Pictures = Mapping[str, tuple[str, str]]

PICTURES: Pictures = {
    "trial.png": (ONE_SHOT, "One trial: the query, and each support with the network's p(same)"),
    "n_way.png": (ONE_SHOT, "Accuracy by the number of characters to choose from, with 95 % intervals"),
    "alphabets.png": (ONE_SHOT, "Accuracy on each alphabet, by the number of characters to choose from"),
    "hardest.png": (ONE_SHOT, "The hardest trials of each alphabet"),
    "confused.png": (ONE_SHOT, "The characters most often confused"),
    "units.png": (ONE_SHOT, "How much each unit of the embedding contributes to one decision"),
    "roc.png": (VERIFICATION, "Both kinds of error at every threshold: the ROC curve and the DET curve"),
    "training.png": (TRAINING, "Loss and accuracy by epoch"),
    "distortions.png": (TRAINING, "Training images, and affine distortions of them"),
    "filters.png": (NETWORK, "The filters of the first layer"),
}

COMPARISON_PICTURES: Pictures = {
    "comparison.png": (ONE_SHOT, "20-way one-shot accuracy on the official runs, beside what was published"),
    "n_way.png": (ONE_SHOT, "Accuracy of each run by the number of characters to choose from"),
    "roc.png": (VERIFICATION, "Both kinds of error of each run at every threshold: ROC and DET curves"),
}


def there(folder: Path, pictures: Pictures) -> list[str]:
    """Returns the names of the pictures that stand in a folder."""
    return [name for name in pictures if (folder / name).exists()]


def section(heading: str, text: str, names: Sequence[str], pictures: Pictures = PICTURES) -> str:
    """Returns a section with its text and those of its pictures that are named; "" where there is neither."""
    captions = {name: caption for name, (where, caption) in pictures.items() if name in names and where == heading}
    shown = [f"{caption}:\n\n![{caption}]({name})" for name, caption in captions.items()]
    return "\n\n".join([f"## {heading}", *filter(None, [text]), *shown]) if text or shown else ""
