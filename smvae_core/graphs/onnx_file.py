# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The bytes of an ONNX file (https://onnx.ai/onnx/repo-docs/IR.html), for what our graphs consist
of.

The messages of onnx.proto in Protocol Buffers' wire format: a field is a tag, its number and type,
then a number or a length and so many bytes. The onnx package would take 31 MB on a robot's disk
and 12 MB of its memory to do the same.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

IR_VERSION = 8
OPERATORS = 17  # version of the operator set; ONNX Runtime has both since 1.12
TYPES = {"float32": 1, "uint8": 2, "int64": 7, "bool": 9, "float16": 10}  # TensorProto.DataType
Size = int | str  # of a dimension, or its name where it is free
Attribute = int | float | str | Sequence[int]


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; negative numbers as 64 bits in two's complement."""
    value &= 2**64 - 1
    content = bytearray()
    while value > 127:
        content.append(value & 127 | 128)
        value >>= 7
    return bytes([*content, value])


def _field(number: int, value: int | float | str | bytes) -> bytes:
    """One field: a varint, a 32-bit float, or bytes with their length in front."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _fields(number: int, values: Iterable[int | str | bytes]) -> bytes:
    return b"".join(_field(number, value) for value in values)


def _pair(key: str, value: str) -> bytes:
    return _field(1, key) + _field(2, value)


def tensor(name: str, array: np.ndarray) -> bytes:
    """A TensorProto with its values."""
    head = _fields(1, array.shape) + _field(2, TYPES[str(array.dtype)]) + _field(8, name)
    return head + _field(9, array.astype(array.dtype.newbyteorder("<")).tobytes())


def external_tensor(name: str, like: np.ndarray, location: str, offset: int) -> bytes:
    """A TensorProto whose values lie in another file of the same folder.

    Args:
        name: of the tensor.
        like: of its shape and type.
        location: name of the file.
        offset: where the values begin, in bytes.
    """
    entries = {"location": location, "offset": str(offset), "length": str(like.nbytes)}
    head = _fields(1, like.shape) + _field(2, TYPES[str(like.dtype)]) + _field(8, name)
    return head + _fields(13, [_pair(*entry) for entry in entries.items()]) + _field(14, 1)


def node(
    operator: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    attributes: Mapping[str, Attribute],
) -> bytes:
    """A NodeProto; the name of its first output is its own."""
    content = _fields(1, inputs) + _fields(2, outputs) + _field(3, outputs[0]) + _field(4, operator)
    return content + _fields(5, [_attribute(*entry) for entry in attributes.items()])


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, 2)
    if isinstance(value, float):
        return _field(1, name) + _field(2, value) + _field(20, 1)
    if isinstance(value, str):
        return _field(1, name) + _field(4, value) + _field(20, 3)
    return _field(1, name) + _fields(8, value) + _field(20, 7)


def value_info(name: str, dtype: str, shape: Sequence[Size]) -> bytes:
    """A ValueInfoProto: name, type and shape of an input or output."""
    sizes = [_field(1 if isinstance(size, int) else 2, size) for size in shape]
    tensor_type = _field(1, TYPES[dtype]) + _field(2, _fields(1, sizes))
    return _field(1, name) + _field(2, _field(1, tensor_type))


def model(
    name: str,
    nodes: Iterable[bytes],
    initialisers: Iterable[bytes],
    inputs: Iterable[bytes],
    outputs: Iterable[bytes],
    properties: Mapping[str, str],
) -> bytes:
    """A ModelProto of one graph.

    Args:
        name: of the graph.
        nodes: what :func:`node` made, each after those whose outputs it takes.
        initialisers: of :func:`tensor` and :func:`external_tensor`.
        inputs: of :func:`value_info`.
        outputs: of :func:`value_info`.
        properties: free-form, for people.
    """
    graph = _fields(1, nodes) + _field(2, name) + _fields(5, initialisers)
    graph += _fields(11, inputs) + _fields(12, outputs)
    content = _field(1, IR_VERSION) + _field(2, "smvae_core") + _field(7, graph)
    content += _field(8, _field(1, "") + _field(2, OPERATORS))
    return content + _fields(14, [_pair(*entry) for entry in properties.items()])
