"""What holds of every picture: its words can be read."""

import itertools

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def texts(figure: Figure) -> list[Text]:
    """Returns every text of a figure that is drawn: titles, labels, legends, and the ticks within their axes."""
    found = list(figure.texts)
    found += [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        found += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        if axes.get_legend():
            found += axes.get_legend().get_texts()
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = axis.get_major_ticks()
            found += [t for tick in ticks if low <= tick.get_loc() <= high for t in (tick.label1, tick.label2)]
    return [text for text in dict.fromkeys(found) if text.get_visible() and text.get_text().strip()]


def assert_readable(figure: Figure) -> None:
    """Fails where a text is cut off by the figure's edge or overlaps another."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, (width, height) = canvas.get_renderer(), canvas.get_width_height()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts(figure)]
    assert boxes
    for text, box in boxes:
        assert min(box.x0, box.y0) >= 0, f"{text!r} is cut off: {box}"
        assert box.x1 <= width, f"{text!r} is cut off: {box}"
        assert box.y1 <= height, f"{text!r} is cut off: {box}"
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        assert not a.overlaps(b), f"{one!r} overlaps {other!r}"
