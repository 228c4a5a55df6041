# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Signals that end a program, remembered until it is convenient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interrupts:
    """Whether SIGINT or SIGTERM has come; call it to know."""

    def __init__(self) -> None:
        self._came = False
        self._action: Callable[[], object] = _nothing

    def __call__(self) -> bool:
        return self._came

    def come(self, *_: object) -> None:
        """Handles a signal, in the main thread."""
        self._came = True
        action, self._action = self._action, _nothing  # once, that it is not torn apart itself
        action()

    @contextmanager
    def cause(self, action: Callable[[], object]) -> Iterator[None]:
        """While the context lasts, an interrupt is not only remembered, but calls this at once. For
        the main thread, for work that may be torn apart. The action may raise an exception.

        An interrupt that has come before calls it, too.
        """
        self._action = action
        try:
            if self._came:
                self.come()
            yield
        finally:
            self._action = _nothing


def _nothing() -> None:
    pass
