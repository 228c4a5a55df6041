# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A graph while it grows: values that formulas are written with, each step a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smvae_core.graphs import onnx_file
from smvae_core.graphs.onnx_file import Attribute, Size

WEIGHTS = "model.safetensors"
NO_GRAPH = "{} is not known as a graph; write it in {}"  # a message for who adds one


@dataclass(frozen=True)
class Value:
    """What an input, an initialiser or a node gives; arithmetic with it adds nodes."""

    graph: Graph
    name: str

    def __add__(self, other: Operand) -> Value:
        return self.graph.apply("Add", self, other)

    def __sub__(self, other: Operand) -> Value:
        return self.graph.apply("Sub", self, other)

    def __mul__(self, other: Operand) -> Value:
        return self.graph.apply("Mul", self, other)

    def __truediv__(self, other: Operand) -> Value:
        return self.graph.apply("Div", self, other)

    def __matmul__(self, other: Operand) -> Value:
        return self.graph.apply("MatMul", self, other)

    def exp(self) -> Value:
        """e to the power of it."""
        return self.graph.apply("Exp", self)

    def log(self) -> Value:
        """The natural logarithm."""
        return self.graph.apply("Log", self)

    def sigmoid(self) -> Value:
        """1 / (1 + exp(−x))."""
        return self.graph.apply("Sigmoid", self)

    def softmax(self, axis: int) -> Value:
        """Along one axis."""
        return self.graph.apply("Softmax", self, axis=axis)

    def where(self, one: Operand, other: Operand) -> Value:
        """``one`` where this is True, elsewhere ``other``."""
        return self.graph.apply("Where", self, one, other)

    def cast(self, dtype: str) -> Value:
        """As another type."""
        return self.graph.apply("Cast", self, to=onnx_file.TYPES[dtype])

    def reshape(self, *shape: int) -> Value:
        """In another shape; one size may be -1."""
        return self.graph.apply("Reshape", self, np.array(shape, np.int64))

    def transpose(self, *axes: int) -> Value:
        """With its axes in this order."""
        return self.graph.apply("Transpose", self, perm=axes)

    def sum(self, axis: int, keepdims: bool = False) -> Value:
        """Over one axis."""
        return self.graph.apply("ReduceSum", self, np.array([axis]), keepdims=int(keepdims))

    def part(self, start: int, stop: int, axis: int = 0) -> Value:
        """The elements from ``start`` to before ``stop`` along one axis."""
        places = (np.array([place], np.int64) for place in (start, stop, axis))
        return self.graph.apply("Slice", self, *places)


Operand = Value | np.ndarray | float


class Graph:
    """An ONNX graph.

    Args:
        name: its own.
        weights: the model's, by name; of them only shapes and types matter.
        offsets: where in the file each of them begins, in bytes; None where a runtime is handed all
            weights anyway.
    """

    def __init__(
        self, name: str, weights: Mapping[str, np.ndarray], offsets: Mapping[str, int] | None = None
    ) -> None:
        self.name = name
        self._weights, self._offsets = weights, offsets
        self._nodes: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._initialisers: dict[str, bytes] = {}
        self._constants: dict[Any, str] = {}
        self._taken: dict[str, Value] = {}
        self._count = 0

    def input(self, name: str, dtype: str, shape: Sequence[Size]) -> Value:
        """A new input."""
        self._inputs.append(onnx_file.value_info(name, dtype, shape))
        return Value(self, name)

    def output(self, name: str, value: Value, dtype: str, shape: Sequence[Size]) -> None:
        """Gives out a value under this name."""
        self._nodes.append(onnx_file.node("Identity", [value.name], [name], {}))
        self._outputs.append(onnx_file.value_info(name, dtype, shape))

    def weight(self, name: str, shape: Sequence[int]) -> Value:
        """A tensor of the model's weights, as float32.

        Raises:
            ValueError: where there is none of that name and shape.
        """
        if name not in self._taken:
            found = self._weights.get(name)
            if found is None:
                raise ValueError(f"tensor {name} is missing")
            if found.shape != tuple(shape):
                raise ValueError(f"tensor {name} has shape {found.shape}, expected {tuple(shape)}")
            offset = 0 if self._offsets is None else self._offsets[name]
            external = onnx_file.external_tensor(name, found, WEIGHTS, offset)
            self._initialisers[name] = external
            value = Value(self, name)
            self._taken[name] = value.cast("float32") if found.dtype == np.float16 else value
        return self._taken[name]

    def constant(self, value: np.ndarray | float) -> Value:
        """A constant inside the graph; floats are float32."""
        array = np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        key = str(array.dtype), array.shape, array.tobytes()
        if key not in self._constants:
            name = self._constants[key] = f"constant_{len(self._constants)}"
            self._initialisers[name] = onnx_file.tensor(name, array)
        return Value(self, self._constants[key])

    def apply(self, operator: str, *inputs: Operand, **attributes: Attribute) -> Value:
        """The first output of a new node."""
        (value,) = self.split(operator, *inputs, count=1, **attributes)
        return value

    def split(
        self, operator: str, *inputs: Operand, count: int, **attributes: Attribute
    ) -> list[Value]:
        """All outputs of a new node."""
        values = [i if isinstance(i, Value) else self.constant(i) for i in inputs]
        names = [f"{operator.lower()}_{self._count + i}" for i in range(count)]
        self._count += count
        self._nodes.append(
            onnx_file.node(operator, [value.name for value in values], names, attributes)
        )
        return [Value(self, name) for name in names]

    @property
    def weight_names(self) -> tuple[str, ...]:
        """Names of the weights that it takes."""
        return tuple(self._taken)

    def to_bytes(self, properties: Mapping[str, str]) -> bytes:
        """The content of its file."""
        return onnx_file.model(
            self.name,
            self._nodes,
            self._initialisers.values(),
            self._inputs,
            self._outputs,
            properties,
        )
