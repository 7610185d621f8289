"""The energies as ONNX nodes: one function for each, by the type of its spec.

A function takes the graph, the parameters, and the names of embeddings `left` [Q, 1, 1, D] and `right` [1, N, k, D]. It
returns the name of the logits [Q, N, k].
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from siamese_jax.export.graph import Graph
from siamese_jax.network.energies.sum_of_units import TINY
from siamese_jax.specs import Cosine, Euclidean, L1Distance, WeightedL1

Arrays = Mapping[str, Any]


def weighted_l1(graph: Graph, params: Arrays, left: str, right: str) -> str:
    """Add Σ_j α_j |left_j − right_j| + bias."""
    return _weighted(graph, np.asarray(params["weight"]), params["bias"], left, right)


def l1_distance(graph: Graph, params: Arrays, left: str, right: str) -> str:
    """Add bias − Σ_j |a_j| |left_j − right_j|."""
    return _weighted(graph, -np.abs(np.asarray(params["weight"])), params["bias"], left, right)


def euclidean(graph: Graph, params: Arrays, left: str, right: str) -> str:
    """Add bias − scale Σ_j d_j² / √(Σ_j d_j² + tiny), where d = left − right."""
    square = _sum(graph, "square", graph.add("Sub", "difference", left, right), "ReduceSumSquare")
    length = graph.add("Sqrt", "length", graph.add("Add", "square_tiny", square, graph.constant("tiny", TINY)))
    distance = graph.add("Div", "distance", square, length)
    return _line(graph, distance, -np.asarray(params["weight"])[0], params["bias"])


def cosine(graph: Graph, params: Arrays, left: str, right: str) -> str:
    """Add bias − scale (1 − cos(left, right))."""
    tiny = graph.constant("tiny", TINY)
    squares = [
        graph.add("Add", f"{side}_tiny", _sum(graph, f"{side}_square", name, "ReduceSumSquare"), tiny)
        for side, name in (("left", left), ("right", right))
    ]
    lengths = graph.add("Sqrt", "lengths", graph.add("Mul", "squares", *squares))
    product = _sum(graph, "product", graph.add("Mul", "products", left, right), "ReduceSum")
    above = graph.add("Sub", "cosine_less_1", graph.add("Div", "cosine", product, lengths), graph.constant("one", 1.0))
    return _line(graph, above, np.asarray(params["weight"])[0], params["bias"])


ENERGIES: dict[type, Callable[..., str]] = {
    WeightedL1: weighted_l1,
    L1Distance: l1_distance,
    Euclidean: euclidean,
    Cosine: cosine,
}
"""By the type of the spec. Add an entry for an energy of your own."""


def _weighted(graph: Graph, weight: np.ndarray, bias: Any, left: str, right: str) -> str:
    difference = graph.add("Abs", "distances", graph.add("Sub", "differences", left, right))
    terms = graph.add("MatMul", "terms", difference, graph.constant("weight", weight))
    return graph.add("Add", "logits", graph.add("Squeeze", "sums", terms, graph.axes(-1)), graph.constant("bias", bias))


def _sum(graph: Graph, name: str, values: str, operator: str) -> str:
    """Add a sum over the units."""
    return graph.add(operator, name, values, graph.axes(-1), keepdims=0)


def _line(graph: Graph, values: str, slope: Any, bias: Any) -> str:
    product = graph.add("Mul", "scaled", values, graph.constant("weight", slope))
    return graph.add("Add", "logits", product, graph.constant("bias", bias))
