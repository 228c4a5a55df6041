# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""How every program of training ends: what can be expected to go wrong is one line."""

from __future__ import annotations

from collections.abc import Callable

from smvae_core.data.logs.cache_folder import CacheError
from smvae_core.stored_model import CheckpointError
from smvae_ros.cli.programs import EXPECTED as ANYWHERE
from smvae_ros.cli.programs import exit_code

EXPECTED = (*ANYWHERE, CacheError, CheckpointError)


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

    def work() -> int:
        try:
            return program()
        except RuntimeError as error:
            if type(error).__name__ != "OutOfMemoryError":  # PyTorch's, which may not be loaded
                raise
            raise ValueError(
                f"the device has too little memory: {str(error).splitlines()[0]} Choose a smaller "
                "batch size, or device cpu"
            ) from None

    return exit_code(name, work, (*EXPECTED, *expected), interrupted, failed=2)
