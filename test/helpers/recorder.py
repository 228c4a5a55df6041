# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Logs that a recorder of another process has open, or has left damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from places import PYTHONPATH, ROOT


@contextmanager
def writing(path: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    """A recorder in another process, which has written so far when the context begins."""
    program = (
        "import sys, h5py, numpy as np\n"
        "from log_files import log_arrays\n"
        "path, how = sys.argv[1:]\n"
        "file = h5py.File(path, 'w', libver=None if how == 'earliest' else 'latest')\n"
        "for key, array in log_arrays(4).items():\n"
        "    # As many recorders do, one key after another: the last ones lag behind.\n"
        "    length = 4 if key in ('image', 'depth_data') else 3\n"
        "    shape = (None, *array.shape[1:])\n"
        "    chunks = (1, *shape[1:])\n"
        "    file.create_dataset(key, data=array[:length], maxshape=shape, chunks=chunks)\n"
        "if how == 'swmr':\n"
        "    file.swmr_mode = True\n"
        "file.flush()\n"
        "print('written', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program, str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "written\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def damage_first_chunk(path: Path, key: str) -> None:
    with h5py.File(path) as file:
        chunk = file[key].id.get_chunk_info(0)
    with open(path, "r+b") as file:
        file.seek(chunk.byte_offset + chunk.size // 2)
        file.write(b"\xff" * 64)
