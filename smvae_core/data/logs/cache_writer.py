# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Rows of a cache's arrays on disk: reserving their space and writing them."""

from __future__ import annotations

import math
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from smvae_core.data.logs.cache_folder import clear, open_array


def allocate(folder: Path, plan: dict[str, Any]) -> None:
    """Create the arrays with their space on the disk reserved, so that a full disk shows now."""
    try:
        for name, entry in plan["arrays"].items():
            path = folder / f"{name}.npy"
            np.lib.format.open_memmap(path, "w+", np.dtype(entry["dtype"]), tuple(entry["shape"]))
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError:
        clear(folder)  # don't leave a full disk behind
        raise


class RowWriter:
    """Writes rows with plain file writes: a full disk is then an error, with a map a crash."""

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        self._arrays = {}
        with ExitStack() as opened:
            for name, entry in plan["arrays"].items():
                path = folder / f"{name}.npy"
                array = open_array(path, entry, "use --restart")
                file = opened.enter_context(open(path, "r+b", buffering=0))
                row = array.dtype.itemsize * math.prod(array.shape[1:])
                self._arrays[name] = (file, array.offset, row, array.dtype)
            self._opened = opened.pop_all()

    def write(self, name: str, row: int, values: np.ndarray) -> None:
        """Store values (t, ...) as rows from `row` on."""
        file, offset, row_size, dtype = self._arrays[name]
        data = np.ascontiguousarray(values, dtype).reshape(-1).view(np.uint8).data
        position = offset + row * row_size
        while data:
            written = os.pwrite(file.fileno(), data, position)
            data, position = data[written:], position + written

    def flush(self) -> None:
        """Return when everything that was written is on the disk."""
        for file, *_ in self._arrays.values():
            os.fsync(file.fileno())

    def close(self) -> None:
        self._opened.close()
