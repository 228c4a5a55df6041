# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""How every program of training ends: what can be expected to go wrong is one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import torch

from smvae_core.checkpoint import CheckpointError
from smvae_core.data.logs.cache_folder import CacheError

EXPECTED = (ValueError, OSError, CacheError, CheckpointError)


def run_program(
    name: str,
    program: Callable[[], int],
    interrupted: str = "the same command continues",
    expected: tuple[type[Exception], ...] = (),
) -> int:
    """Runs a program; returns its exit code: 2 after an error that it names, 130 after Ctrl-C.

    Args:
        name: of the module, such as ``training.evaluate``.
        program: returns the exit code.
        interrupted: what to know after Ctrl-C.
        expected: further exceptions whose message is for people.
    """
    told: tuple[type[Exception], ...] = (*EXPECTED, *expected)
    try:
        code = program()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(f"\nInterrupted; {interrupted}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # `| head` has seen enough. Nothing is lost; what is still buffered must go somewhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        return 1
    except torch.cuda.OutOfMemoryError as error:
        reason = f"the device has too little memory: {str(error).splitlines()[0]}"
        return _failed(name, f"{reason} Choose a smaller batch size, or device cpu")
    except told as error:
        return _failed(name, str(error))


def _failed(name: str, reason: str) -> int:
    print(f"{name}: error: {reason}", file=sys.stderr, flush=True)
    return 2
