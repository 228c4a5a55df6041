# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Shuffled batches of a data set, whose order depends on nothing but seed and epoch.

That makes an interrupted run continue with exactly the batches that it would have seen, and several
processes read disjoint parts of the same global batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device. On the way to a GPU it is copied to pinned memory first, so
    that the host need not wait until the GPU has done all that was asked of it before."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@dataclass
class Batch:
    """One process's part of a batch.

    Attributes:
        prepared: modality → (B, *raw_shape), see :func:`smvae_core.preprocessing.prepare`.
        present: (B, M) bool.
        index: (B,) rows of the data set, which identify the samples; on the host, where they choose
            random numbers.
    """

    prepared: dict[str, Tensor]
    present: Tensor
    index: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The batch on another device, but for its index; Lightning calls this."""
        device = torch.device(device)
        prepared = {name: send(x, device) for name, x in self.prepared.items()}
        return Batch(prepared, send(self.present, device), self.index)


class Store(Protocol):
    """A data set as batches need it: converted logs, or images in memory."""

    def __len__(self) -> int:
        """The number of all samples."""
        ...

    def read(self, rows: np.ndarray, names: Sequence[str], epoch: int = 0) -> Batch:
        """These modalities of these rows (B,) as they are in this epoch, in this order, repeats
        allowed."""
        ...


class EpochOrder:
    """The order of samples in an epoch. Lightning calls ``set_epoch`` on a loader's ``sampler``."""

    def __init__(self, indices: np.ndarray, seed: int, shuffle: bool) -> None:
        self.indices = indices
        self.seed = seed
        self.shuffle = shuffle
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __call__(self) -> np.ndarray:
        if not self.shuffle:
            return self.indices
        return np.random.default_rng((self.seed, self.epoch)).permutation(self.indices)


class Batches:
    """Batches of some rows of a data set. Lightning saves and restores its position with the run.

    Args:
        store: the data set.
        names: modalities to read, in the order of the columns of ``present``.
        indices: rows to go through.
        batch_size: samples in a batch, over all processes.
        seed: of the order.
        shuffle: for training; a last batch that is not full is then left out.
        rank: number of this process.
        world_size: number of processes.
    """

    def __init__(
        self,
        store: Store,
        names: Sequence[str],
        indices: np.ndarray,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be positive, not {batch_size}")
        if batch_size % world_size:
            raise ValueError(
                f"batch_size {batch_size} must be a multiple of the {world_size} processes"
            )
        if shuffle and batch_size > len(indices):
            raise ValueError(
                f"batch_size {batch_size} is larger than the {len(indices)} training samples; "
                "choose a smaller one or convert more logs"
            )
        self.store = store
        self.names = tuple(names)
        self.batch_size = batch_size
        # The two attributes of torch's DataLoader that Lightning looks at.
        self.sampler = EpochOrder(indices, seed, shuffle)
        self.batch_sampler = None
        self._rank, self._world_size = rank, world_size
        self._first = self._position = 0

    def __len__(self) -> int:
        batches, rest = divmod(len(self.sampler.indices), self.batch_size)
        # Where the rest is not a sample for each process, it belongs to the batch before it.
        own_batch = not self.sampler.shuffle and rest and (rest >= self._world_size or not batches)
        return batches + bool(own_batch)

    def __iter__(self) -> Iterator[Batch]:
        # Only a restored state starts in the middle; an iteration that was given up does not.
        first, self._first = self._first, 0
        order = self.sampler()
        for number in range(first, len(self)):
            self._position = number + 1
            whole = self.sampler.shuffle or number + 1 < len(self)
            end = (number + 1) * self.batch_size if whole else None
            rows = order[number * self.batch_size : end]
            mine = rows[self._rank :: self._world_size]
            # Fewer samples than processes: an average over nothing is none, so it reads another's.
            rows = mine if len(mine) else rows[:1]
            yield self.store.read(rows, self.names, self.sampler.epoch)

    def state_dict(self) -> dict[str, int]:
        """Batches of the epoch that have been given out."""
        return {"position": self._position % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continues after that many batches in the next iteration."""
        self._first = self._position = state["position"]
