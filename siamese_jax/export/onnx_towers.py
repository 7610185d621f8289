"""The towers as ONNX nodes: one function for each, by the type of its spec.

A function takes the graph, the spec, the parameters, and the name of the images, float32 [N, H, W, C] in [0, 1]. It
returns the name of the embeddings, float32 [N, D]. Convolutions work on [N, C, H, W], as ONNX has them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from siamese_jax.export.graph import Graph
from siamese_jax.network.towers.residual import TINY
from siamese_jax.specs import Conv, Dense, Residual
from siamese_jax.specs.network import GROUP, FcTower

Arrays = Mapping[str, Any]
"""Nested parameters."""
POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}
"""A 2×2 max-pool; an odd last row or column is dropped, as in `convolution.max_pool`."""


def conv_tower(graph: Graph, spec: Conv, params: Arrays, images: str) -> str:
    """Add the paper's tower."""
    features = graph.add("Transpose", "channels_first", images, perm=[0, 3, 1, 2])
    for name, conv in spec.convs.items():
        features = _convolve(graph, name, features, params[name], bias=True)
        if conv.pool:
            features = graph.add("MaxPool", f"{name}/pool", features, **POOL)
        features = graph.add("Relu", f"{name}/relu", features)
    return _fully_connected(graph, spec, params, _channels_last(graph, features))


def dense_tower(graph: Graph, spec: Dense, params: Arrays, images: str) -> str:
    """Add the tower without convolutions."""
    features = graph.add("Flatten", "pixels", images, axis=1)
    for name in ("dense1", "dense2"):
        features = graph.add("Relu", f"{name}/relu", _dense(graph, name, features, params[name]))
    return _fully_connected(graph, spec, params, features)


def residual_tower(graph: Graph, spec: Residual, params: Arrays, images: str) -> str:
    """Add the residual tower."""

    def layer(name: str, features: str, pool: bool = False) -> str:
        without = spec.normalisation == "none"
        features = _convolve(graph, name, features, params[name], bias=without, pads=[1, 1, 1, 1])
        if pool:
            features = graph.add("MaxPool", f"{name}/pool", features, **POOL)
        if without:
            return features
        groups = len(params[name]["bias"]) // GROUP if spec.normalisation == "group" else 1
        return _normalise(graph, name, features, params[name], groups)

    features = graph.add("Transpose", "channels_first", images, perm=[0, 3, 1, 2])
    features = graph.add("Relu", "stem/relu", layer("stem", features, pool=True))
    for stage in range(1, spec.stages + 1):
        inside = graph.add("Relu", f"stage{stage}a/relu", layer(f"stage{stage}a", features))
        inside = layer(f"stage{stage}b", inside)
        around = f"stage{stage}_around"
        if around in params:
            features = _convolve(graph, around, features, {"kernel": params[around]["kernel"][None, None]}, bias=False)
        features = graph.add("Add", f"stage{stage}/sum", features, inside)
        features = graph.add("MaxPool", f"stage{stage}/pool", features, **POOL)
        features = graph.add("Relu", f"stage{stage}/relu", features)
    return _fully_connected(graph, spec, params, _channels_last(graph, features))


TOWERS: dict[type, Callable[..., str]] = {Conv: conv_tower, Dense: dense_tower, Residual: residual_tower}
"""By the type of the spec. Add an entry for a tower of your own."""


def _convolve(graph: Graph, name: str, features: str, layer: Arrays, bias: bool, **attributes: Any) -> str:
    """Add a convolution at stride 1 whose kernel is [h, w, C, F] in the parameters."""
    kernel = graph.constant(f"{name}/kernel", np.transpose(np.asarray(layer["kernel"]), (3, 2, 0, 1)))
    biases = [graph.constant(f"{name}/bias", layer["bias"])] if bias else []
    return graph.add("Conv", name, features, kernel, *biases, **attributes)


def _normalise(graph: Graph, name: str, features: str, layer: Arrays, groups: int) -> str:
    """Add group normalisation in its parts.

    ONNX's own GroupNormalization is one node. In WebAssembly it adds up all values of a group one after the other, and
    embeddings of the packaged network were 20 times as far from JAX.
    """
    channels = len(layer["bias"])

    def add(operator: str, part: str, *inputs: str, **attributes: Any) -> str:
        return graph.add(operator, f"{name}/{part}", *inputs, **attributes)

    def mean(part: str, values: str) -> str:
        """Add the mean over a group, for each of its channels: over columns, rows, then channels."""
        rows = add("ReduceMean", f"{part}_of_rows", values, graph.axes(3), keepdims=1)
        images = add("ReduceMean", f"{part}_of_channels", rows, graph.axes(2), keepdims=1)
        apart = add("Reshape", f"{part}_by_group", images, graph.axes(0, groups, channels // groups, 1))
        of_groups = add("ReduceMean", f"{part}_of_groups", apart, graph.axes(2), keepdims=1)
        repeated = add("Expand", f"{part}_repeated", of_groups, graph.axes(1, 1, channels // groups, 1))
        return add("Reshape", part, repeated, graph.axes(0, channels, 1, 1))

    def by_channel(part: str) -> str:
        return graph.constant(f"{name}/{part}", np.asarray(layer[part]).reshape(1, channels, 1, 1))

    centred = add("Sub", "centred", features, mean("mean", features))
    variance = mean("variance", add("Mul", "squares", centred, centred))
    deviation = add("Sqrt", "deviation", add("Add", "variance_tiny", variance, graph.constant("tiny", TINY)))
    factor = add("Div", "factor", by_channel("scale"), deviation)
    return add("Add", "normal", add("Mul", "scaled", centred, factor), by_channel("bias"))


def _dense(graph: Graph, name: str, features: str, layer: Arrays) -> str:
    kernel, bias = (graph.constant(f"{name}/{part}", layer[part]) for part in ("kernel", "bias"))
    return graph.add("Gemm", name, features, kernel, bias)


def _channels_last(graph: Graph, features: str) -> str:
    """Flatten features in the order of the parameters: rows, columns, channels."""
    last = graph.add("Transpose", "channels_last", features, perm=[0, 2, 3, 1])
    return graph.add("Flatten", "flat", last, axis=1)


def _fully_connected(graph: Graph, spec: FcTower, params: Arrays, features: str) -> str:
    units = _dense(graph, "fc", features, params["fc"])
    return graph.add("Sigmoid", "fc/sigmoid", units) if spec.ends_in_sigmoid else units
