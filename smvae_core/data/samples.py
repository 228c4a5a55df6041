# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A data set as columns: a modality is a tensor of all samples, in memory or memory-mapped.

A batch is gathered by one indexing operation for each modality; nothing runs once a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from smvae_core.data.batches import Batch
from smvae_core.modalities import Modality

_CHUNK = 1024  # samples that a mean reads at a time


class Column(Protocol):
    """One modality of all samples.

    Attributes:
        shape: (N, *raw_shape).
        dtype: of a prepared array, see :attr:`smvae_core.modalities.Modality.raw_dtype`.
    """

    @property
    def shape(self) -> Sequence[int]: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def read(self, rows: Tensor, epoch: int) -> Tensor:
        """Prepared arrays (B, *raw_shape) of these rows (B,) in this epoch."""
        ...


class TensorColumn:
    """A column that is the same in all epochs.

    Args:
        values: (N, *raw_shape); a memory-mapped array in mode "c" needs no memory.
    """

    def __init__(self, values: np.ndarray) -> None:
        self._tensor = torch.from_numpy(values)
        self.shape = values.shape
        self.dtype = self._tensor.dtype

    def read(self, rows: Tensor, epoch: int) -> Tensor:
        return self._tensor.index_select(0, rows)


class DerivedColumn:
    """A column that is computed from another one, batch by batch.

    Args:
        source: the other column.
        function: (B, *source's shape) → (B, *shape), vectorised; called at once with one sample.
    """

    def __init__(self, source: Column, function: Callable[[Tensor], Tensor]) -> None:
        self._source, self._function = source, function
        example = function(torch.zeros((1, *source.shape[1:]), dtype=source.dtype))
        self.shape = (source.shape[0], *example.shape[1:])
        self.dtype = example.dtype

    def read(self, rows: Tensor, epoch: int) -> Tensor:
        return self._function(self._source.read(rows, epoch))


@dataclass(frozen=True, eq=False)
class Samples:
    """N samples in which every modality is present.

    Attributes:
        columns: modality → its column.
        split: ``training``, ``validation`` and ``test`` → their rows, ascending.
        left_out: names of samples that are in no split since they cannot be used.
    """

    columns: Mapping[str, Column]
    split: Mapping[str, np.ndarray]
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {name: column.shape[0] for name, column in self.columns.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"all columns need one length, but they have {lengths}")

    def __len__(self) -> int:
        return next(iter(self.columns.values())).shape[0]

    def read(self, rows: np.ndarray, names: Sequence[str], epoch: int = 0) -> Batch:
        """The batch of exactly these rows (B,), in this order, repeats allowed."""
        index = torch.from_numpy(np.ascontiguousarray(rows, np.int64))
        prepared = {name: self.columns[name].read(index, epoch) for name in names}
        return Batch(prepared, torch.ones(len(index), len(names), dtype=torch.bool), index)

    def mean(self, name: str, rows: np.ndarray) -> Tensor:
        """Mean over these rows in raw units, float32 of the modality's raw shape."""
        total = torch.zeros(tuple(self.columns[name].shape[1:]), dtype=torch.float64)
        for start in range(0, len(rows), _CHUNK):
            batch = self.read(rows[start : start + _CHUNK], [name])
            total += batch.prepared[name].sum(0, dtype=torch.float64)
        return (total / max(len(rows), 1)).float()

    def check(self, modalities: Sequence[Modality]) -> None:
        """Raises ValueError where a model's modality is not among the columns or has another size
        or type there."""
        for modality in modalities:
            column = self.columns.get(modality.name)
            if column is None:
                raise ValueError(
                    f"the data set has no modality {modality.name!r}, it has "
                    f"{', '.join(self.columns)}"
                )
            dtype = getattr(torch, modality.raw_dtype)
            expected, found = (modality.raw_shape, dtype), (tuple(column.shape[1:]), column.dtype)
            if found != expected:
                raise ValueError(
                    f"modality {modality.name!r}: the model's shape {modality.shape} of kind "
                    f"{modality.kind} needs arrays of {expected[0]} {expected[1]}, the data set "
                    f"has {found[0]} {found[1]}; change the model's configuration"
                )
