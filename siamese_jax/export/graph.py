"""ONNX graphs, written node by node with the `onnx` package."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from siamese_jax import __version__
from siamese_jax.errors import UserError

OPSET = 21
"""The version of ONNX's operators. onnxruntime 1.18 and newer have it."""
IR = 10
"""The version of the file format that belongs to the opset. Newer ones are refused by runtimes of the opset's age."""
LARGEST = 2**31 - 2**20
"""Bytes of parameters that fit into one file: protobuf ends at 2 GiB."""
TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}

Axes = Sequence[str | int]
"""A shape; a name stands for any number."""


class Graph:
    """A graph in the making. A node's output has the name of the node."""

    def __init__(self, name: str):
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, np.ndarray] = {}

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        """Add an array that the file holds; return its name."""
        self._constants[name] = np.ascontiguousarray(value, dtype)
        return name

    def axes(self, *axes: int) -> str:
        """Return the name of a constant that lists axes, or other whole numbers."""
        return self.constant(f"axes_{'_'.join(map(str, axes))}".replace("-", "m"), axes, np.int64)

    def add(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; return its name, which is that of its output."""
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def model(
        self,
        inputs: Mapping[str, tuple[str, Axes]],
        outputs: Mapping[str, tuple[str, Axes]],
        description: str,
        metadata: Mapping[str, str],
    ) -> onnx.ModelProto:
        """Return the finished model, checked by ONNX's own checker.

        Args:
          inputs: Type, a key of TYPES, and shape of each input by name.
          outputs: The same of the outputs, which are nodes.
          description: What the graph computes, in words.
          metadata: Texts that the file carries, by name.

        Raises:
          UserError: The parameters are too large for one file.
        """
        size = sum(math.prod(value.shape) * value.itemsize for value in self._constants.values())
        if size > LARGEST:
            raise UserError(
                f"the parameters have {size:,} bytes and an ONNX file holds 2 GiB: leave onnx out of --format, for "
                "example --format=safetensors"
            )
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [_described(name, *what) for name, what in inputs.items()],
            [_described(name, *what) for name, what in outputs.items()],
            [numpy_helper.from_array(value, name) for name, value in self._constants.items()],
            doc_string=description,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR,
            producer_name="siamese_jax",
            producer_version=__version__,
            doc_string=description,
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model


def _described(name: str, kind: str, shape: Axes) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TYPES[kind], list(shape))
