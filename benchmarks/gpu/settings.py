# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""How large the measurements are, and on which device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smvae_core.inference.choices import RUNTIMES

#: TensorRT last, which may take all the time of a part to prepare itself.
ORDER = sorted(RUNTIMES, key=lambda runtime: runtime == "tensorrt")
Case = tuple[str, Callable[[], dict[str, Any]]]
Cases = Iterator[Case]  # of a part: name → measures it; plain values, figures by name


@dataclass(frozen=True)
class Settings:
    """Of one measurement.

    Attributes:
        device: ``cuda``, ``cuda:N``, or ``cpu`` to try the programs.
        work: folder of random logs and models.
        sizes: height and width of the images of one frame.
        seconds: that a frame is repeated, or a recipe is trained.
        steps: of the logs that are encoded and trained on.
        threads: of the CPU in training and encoding.
        batch: of training; that of the recipe by default.
    """

    device: str
    work: Path
    sizes: tuple[int, ...] = (64, 128, 256)
    seconds: float = 2.0
    steps: int = 2000
    threads: int = 2
    batch: int | None = None

    @property
    def on_gpu(self) -> bool:
        """True where something is measured."""
        return self.device != "cpu"


def small(work: Path) -> Settings:
    """Those that try everything on a CPU."""
    return Settings("cpu", work, sizes=(16,), seconds=0.1, steps=200, threads=1, batch=4)
