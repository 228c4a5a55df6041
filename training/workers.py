# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Worker processes of programs that simulate: Ctrl-C is their parent's matter."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

CONTEXT = multiprocessing.get_context("spawn")


@contextmanager
def worker_pool(
    count: int, start: Callable[..., None], *arguments: Any
) -> Iterator[ProcessPoolExecutor]:
    """A pool whose waiting tasks are dropped when the context ends, in whatever way; those that run
    are waited for.

    Args:
        count: of the processes.
        start: called in each of them before its first task.
        arguments: of ``start``.
    """
    pool = ProcessPoolExecutor(count, CONTEXT, _start, (start, *arguments))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _start(start: Callable[..., None], *arguments: Any) -> None:
    # Ctrl-C reaches the whole process group; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Workers share the cores already: one rendering thread (of Mesa's llvmpipe) each.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    start(*arguments)
