# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""zstd as rosbag2 uses it: over whole files, and over single messages."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd  # comes with rosbags

from smvae_ros.messages.cdr import is_serialised

MAGIC = b"\x28\xb5\x2f\xfd"


def as_cdr(data: bytes) -> bytes:
    """A recorded message as it was sent, decompressed where it is compressed by itself.

    No serialised message begins like a compressed one, so that nobody needs to be asked.

    Raises:
        ValueError: where it is neither.
    """
    if is_serialised(data):
        return data
    if data[:4] == MAGIC:
        try:
            data = zstd.decompress(data)
        except (zstd.ZstdError, EOFError) as error:
            raise ValueError(f"it is compressed and damaged ({error})") from error
        if is_serialised(data):
            return data
    raise ValueError(f"it is no serialised message (CDR): {data[:4].hex(' ') or 'no bytes'} ...")


def decompress_file(path: Path, target: Path, damaged: bool = False) -> None:
    """Writes the content of a compressed file into another.

    Args:
        path: of the compressed file.
        target: to write.
        damaged: keeps what can be decompressed of it.

    Raises:
        ValueError: where it is truncated or damaged.
        OSError: where a file cannot be read or written.
    """
    try:
        with zstd.open(path, "rb") as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    except (EOFError, zstd.ZstdError) as error:
        if not damaged:
            raise ValueError(str(error)) from error
