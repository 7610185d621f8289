"""Pens: find the strokes of a printed character, and draw them in the hand of a simulated drawer.

A skeleton is a bool image with lines one pixel wide. A stroke is a path, float64 [V, 2], of (row, column) points about
one skeleton pixel apart. `trace` puts the strokes of a character into a box of side 1 around the origin. All random
numbers come from the NumPy generator in the arguments.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
"""The eight neighbours of a pixel, clockwise from the one above."""

EIGHT_CONNECTED = np.ones((3, 3), bool)


class Hand(NamedTuple):
    """How one drawer draws. Lengths are fractions of a character's box, or in pixels; angles are radians."""

    nib: np.ndarray
    """[K, 2], the points in pixels that the pen inks around its position."""
    size: float
    """Longest side of a drawing as a fraction of the canvas."""
    slant: float
    """Columns to the right per row upwards, as in italics."""
    stretch: float
    """Width over height, relative to print."""
    turn: float
    bend: float
    """Size of the slow waves that bend a drawing as a whole."""
    tremor: float
    """Size of the quick waves along a line."""
    looseness: float
    """How far single strokes move from their place."""


def _removable() -> np.ndarray:
    """Return whether each half-step removes a pixel, by the bits of its neighbours `AROUND`: bool [2, 256]."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1 > 0
    up, right, down, left = bits[:, 0::2].T
    one_crossing = (~bits & np.roll(bits, -1, axis=1)).sum(1) == 1
    inked = bits.sum(1)
    edge = one_crossing & (inked >= 2) & (inked <= 6)
    return np.stack([edge & ~(right & down & (up | left)), edge & ~(up & left & (right | down))])


_REMOVABLE = _removable()


def _codes(ink: np.ndarray) -> np.ndarray:
    """Return the bits of the neighbours `AROUND` of each inner pixel of `ink` [H, W]: uint8 [H - 2, W - 2]."""
    height, width = ink.shape
    code = np.zeros((height - 2, width - 2), np.uint8)
    for bit, (row, column) in enumerate(AROUND):
        shifted = ink[1 + row : height - 1 + row, 1 + column : width - 1 + column]
        code |= shifted.view(np.uint8) << np.uint8(bit)
    return code


def thin(ink: np.ndarray) -> np.ndarray:
    """Return the skeleton of `ink`, both bool [H, W] with an empty border (Zhang and Suen 1984)."""
    skeleton = ink.copy()
    inside = skeleton[1:-1, 1:-1]
    changed = True
    while changed:
        changed = False
        for removable in _REMOVABLE:
            removed = inside & removable[_codes(skeleton)]
            if removed.any():
                inside ^= removed
                changed = True
    return skeleton


def _steps() -> list[list[tuple[int, int]]]:
    """Return where a line continues, by the bits of neighbours. A diagonal step counts only without a straight one."""
    ways = []
    for code in range(256):
        inked = {step for bit, step in enumerate(AROUND) if code >> bit & 1}
        ways.append([(row, column) for row, column in inked if not {(row, 0), (0, column)} & (inked - {(row, column)})])
    return [sorted(steps) for steps in ways]


_STEPS = _steps()


def _arcs(skeleton: np.ndarray, reach: int) -> tuple[list[np.ndarray], list[list[int]]]:
    """Cut a skeleton at its junctions, and leave out everything within `reach` pixels of one.

    Lines between junctions at this distance are artefacts of thinning a thick crossing. So are spurs of this length.

    Returns:
      The arcs, which are paths of pixels and end in the centres of junctions; and for each arc its two junctions,
      numbered from 1, or 0 for a free end.
    """
    pixels = np.argwhere(skeleton)
    codes = _codes(skeleton)[*(pixels.T - 1)]
    neighbours = {
        (row, column): [(row + down, column + right) for down, right in _STEPS[code]]
        for (row, column), code in zip(pixels.tolist(), codes.tolist(), strict=True)
    }
    junction = np.zeros_like(skeleton)
    for pixel, beside in neighbours.items():
        junction[pixel] = len(beside) > 2
    near = skeleton & (np.asarray(ndimage.distance_transform_edt(~junction)) <= reach) if junction.any() else junction
    # A line may pass near a junction and not meet it.
    blob = np.empty(junction.shape, int)
    ndimage.label(ndimage.binary_propagation(junction, EIGHT_CONNECTED, near), EIGHT_CONNECTED, output=blob)
    centre = {label: np.argwhere(junction & (blob == label)).mean(0) for label in range(1, blob.max(initial=0) + 1)}

    arcs, ends = [], []
    left = {pixel for pixel in neighbours if not blob[pixel]}
    # An arc is walked from an end if it has one, so ends come first. After them, only rings are left.
    for start in sorted(left, key=lambda pixel: (len(left.intersection(neighbours[pixel])) > 1, pixel)):
        if start not in left:
            continue
        walk = [start]
        left.remove(start)
        while onward := [pixel for pixel in neighbours[walk[-1]] if pixel in left]:
            walk.append(onward[0])
            left.remove(onward[0])
        touched = [[int(blob[beside]) for beside in neighbours[pixel] if blob[beside]] for pixel in (start, walk[-1])]
        if len(walk) == 1:
            touched = [touched[0][:1], touched[0][1:]]
        head, tail = (labels[0] if labels else 0 for labels in touched)
        if not head and not tail and len(walk) > 2 and walk[-1] in neighbours[start]:
            walk.append(start)
        arcs.append(np.array([*([centre[head]] if head else []), *walk, *([centre[tail]] if tail else [])], np.float64))
        ends.append([head, tail])
    return arcs, ends


def _joined(arcs: list[np.ndarray], ends: list[list[int]], reach: int) -> list[np.ndarray]:
    """Join arcs into strokes: at a junction a pen goes straight on if it can, as in the bars of a cross."""
    leaving = {}
    for arc, (path, labels) in enumerate(zip(arcs, ends, strict=True)):
        for side, label in enumerate(labels):
            if label:
                ordered = path[::-1] if side else path
                away = ordered[min(2 * reach, len(path) - 1)] - ordered[0]
                leaving.setdefault(label, []).append((arc, side, away / (np.hypot(*away) + 1e-9)))
    partner = {}
    for meeting in leaving.values():
        pairs = sorted(
            (float(a[2] @ b[2]), a[:2], b[:2]) for i, a in enumerate(meeting) for b in meeting[:i] if a[0] != b[0]
        )
        for cosine, a, b in pairs:
            if cosine < -0.5 and a not in partner and b not in partner:
                partner[a], partner[b] = b, a

    strokes, used = [], set()
    sides = [(arc, side) for arc in range(len(arcs)) for side in (0, 1)]
    for start in sorted(sides, key=lambda side: (side in partner, side)):
        stroke, at = [], start
        while at and at[0] not in used:
            arc, side = at
            used.add(arc)
            stroke.append(arcs[arc][::-1] if side else arcs[arc])
            at = partner.get((arc, 1 - side))
        if stroke:
            strokes.append(np.concatenate(stroke))
    return strokes


def _even(path: np.ndarray, smoothing: float) -> np.ndarray:
    """Return `path` smoothed over `smoothing` points, in even steps of about one; the ends do not move."""
    lengths = np.hypot(*np.diff(path, axis=0).T)
    path = path[np.concatenate([[True], lengths > 0])]
    along = np.concatenate([[0.0], np.cumsum(lengths[lengths > 0])])
    if along[-1] < 1:
        return path[:1]
    at = np.linspace(0, along[-1], int(along[-1]) + 2)
    path = np.stack([np.interp(at, along, column) for column in path.T], axis=1)
    margin = min(len(path) - 1, int(3 * smoothing))
    padded = np.pad(path, ((margin, margin), (0, 0)), mode="reflect", reflect_type="odd")
    return ndimage.gaussian_filter1d(padded, smoothing, axis=0)[margin : margin + len(path)]


def trace(ink: np.ndarray, reach: int = 5, smoothing: float = 1.6) -> list[np.ndarray]:
    """Return the strokes of a printed character, largest first.

    Args:
      ink: [H, W] bool with an empty border.
      reach: about half the width of the printed lines, in pixels; within it thinning distorts a crossing.
      smoothing: standard deviation, in pixels, of the Gaussian that smooths the lines.

    Returns:
      Paths [V, 2] in the box of side 1 around the origin; the character fills the box.

    Raises:
      ValueError: there is no ink, there is ink on the border, or the character is a dot.
    """
    if not ink.any() or ink[[0, -1]].any() or ink[:, [0, -1]].any():
        raise ValueError("a printed character needs ink, but not on the border of its image")
    strokes = [_even(path, smoothing) for path in _joined(*_arcs(thin(ink), reach), reach)]
    everywhere = np.concatenate(strokes)
    low, high = everywhere.min(0), everywhere.max(0)
    if low.tolist() == high.tolist():
        raise ValueError("the character is a dot: it has no strokes")
    return [(path - (low + high) / 2) / (high - low).max() for path in sorted(strokes, key=len, reverse=True)]


def nib(length: float, width: float, angle: float) -> np.ndarray:
    """Return points [K, 2], 0.8 pixels apart, of an ellipse of `length` × `width` pixels, turned by `angle` radians."""
    reach = np.arange(-4, 5) * 0.8
    points = np.stack(np.meshgrid(reach, reach, indexing="ij"), axis=-1).reshape(-1, 2)
    turned = points @ _turn(angle)
    return points[np.hypot(turned[:, 0] / width, turned[:, 1] / length) <= 0.5]


def _turn(angle: float) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


def sample_hand(generator: np.random.Generator) -> Hand:
    """Sample the hand of a drawer. Half of the pens are round, and half are broad and cut at an angle."""
    length = generator.uniform(2.8, 4.2)
    return Hand(
        nib=nib(length, length * generator.choice([1.0, generator.uniform(0.6, 0.9)]), generator.uniform(0, np.pi)),
        size=generator.uniform(0.64, 0.76),
        slant=generator.normal(0.04, 0.07),
        stretch=np.exp(generator.normal(0.0, 0.08)),
        turn=generator.normal(0.0, 0.03),
        bend=generator.uniform(0.008, 0.025),
        tremor=generator.uniform(0.001, 0.004),
        looseness=generator.uniform(0.2, 1.0),
    )


def _waves(generator: np.random.Generator, at: np.ndarray, size: float, cycles: float, count: int = 4) -> np.ndarray:
    """Return displacements [V, 2] of points [V, 2]: a sum of random waves, about `cycles` per unit of length."""
    frequencies = generator.normal(0.0, 2 * np.pi * cycles, (2, count))
    phases = generator.uniform(0, 2 * np.pi, count)
    return np.sin(at @ frequencies + phases) @ generator.normal(0.0, size, (count, 2))


def draw(strokes: list[np.ndarray], hand: Hand, side: int, generator: np.random.Generator) -> np.ndarray:
    """Draw a character once, in the hand of a drawer.

    Args:
      strokes: paths [V, 2] in the box of side 1 around the origin, as `trace` returns them.
      hand: of the drawer.
      side: rows and columns of the drawing in pixels; at least 3 stay free on each side.
      generator: samples what varies from one drawing to the next.

    Returns:
      bool [side, side], true for ink.
    """
    loose = hand.looseness * generator.normal(0.0, [0.02, 0.02, 0.06, 0.05, 0.05], (len(strokes), 5))
    moved = []
    for path, (down, right, turn, taller, wider) in zip(strokes, loose, strict=True):
        middle = path.mean(0)
        moved.append((path - middle) * (1 + taller, 1 + wider) @ _turn(turn) + middle + (down, right))
    points = np.concatenate(moved)
    points = (
        points + _waves(generator, points, hand.bend, cycles=0.6) + _waves(generator, points, hand.tremor, cycles=4)
    )

    slant, turn = hand.slant + generator.normal(0, 0.03), hand.turn + generator.normal(0, 0.03)
    stretch = hand.stretch * np.exp(generator.normal(0, 0.05))
    points = points * (1, stretch) @ np.array([[1.0, -slant], [0.0, 1.0]]) @ _turn(turn)

    low, high = points.min(0), points.max(0)
    size = np.clip(hand.size * np.exp(generator.normal(0, 0.03)), 0.45, 0.8) * side / (high - low).max()
    nib_reach = np.abs(hand.nib).max()
    free = np.maximum(side / 2 - (high - low) * size / 2 - nib_reach - 3, 0)
    centre = (side - 1) / 2 + np.clip(generator.normal(0, 0.01 * side, 2), -free, free)
    points = (points - (low + high) / 2) * size + centre

    row, column = np.rint(points[:, None] + hand.nib).astype(np.int32).reshape(-1, 2).T
    ink = np.zeros((side, side), bool)
    ink[row, column] = True
    return ink
