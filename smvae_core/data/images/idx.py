# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Arrays in gzipped IDX files, the format of MNIST (http://yann.lecun.com/exdb/mnist)."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib

import numpy as np

from smvae_core.data.images.data_files import DataSetError

_UNSIGNED_BYTE = 0x08


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array of unsigned bytes, of any rank, that a ``*-ubyte.gz`` file holds.

    Raises:
        DataSetError: where the file is missing, truncated, no gzip, or no IDX file of bytes.
    """
    try:
        with gzip.open(path) as file:
            content = file.read()
    except FileNotFoundError:
        raise DataSetError(f"{path}: no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataSetError(
            f"{path}: expected a whole gzip file, but it is truncated or damaged ({error}); "
            "download it again"
        ) from error
    zeros, kind, rank = struct.unpack(">HBB", content[:4].ljust(4, b"\xff"))
    if zeros != 0 or kind != _UNSIGNED_BYTE or rank == 0:
        raise DataSetError(
            f"{path}: expected an IDX file of unsigned bytes (it begins with 0, 0, 8, rank), "
            f"found {list(content[:4])} at its beginning"
        )
    first = 4 + 4 * rank
    if len(content) < first:
        raise DataSetError(f"{path}: its header ends after {len(content)} of {first} bytes")
    shape = struct.unpack(f">{rank}I", content[4:first])
    if len(content) - first != math.prod(shape):
        raise DataSetError(
            f"{path}: its header announces shape {shape}, which is {math.prod(shape)} bytes, but "
            f"{len(content) - first} follow; download it again"
        )
    # A copy, since an array on top of bytes is read-only, which torch cannot express.
    return np.frombuffer(content, np.uint8, offset=first).reshape(shape).copy()
