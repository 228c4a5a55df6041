# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Which checkpoints the node loads: those in one folder, chosen by whoever starts it.

The parameter ``checkpoint`` can be set by everybody on the network; without this, it would name any
file of the machine to a program that reads it and says what is wrong with it. No ROS import.
"""

from __future__ import annotations

import os
from pathlib import Path

from smvae_ros.bundled import model_path


class ModelFolder:
    """Checkpoints in it, the bundled one, and the one that the node was started with.

    Args:
        folder: as configured; empty for the directory in which ``start`` stands, or the bundled
            models where that is empty too.
        start: the checkpoint that the node was started with; empty for the bundled one.

    Attributes:
        path: the folder, with all links resolved.
    """

    def __init__(self, folder: str, start: str) -> None:
        self._start = start
        if not folder:
            checkpoint = _real(start) if start else model_path().resolve()
            at_the_top = checkpoint.parent == Path(checkpoint.anchor)  # / would be everything
            folder = str(checkpoint if at_the_top else checkpoint.parent)
        self.path = _real(folder)

    def resolve(self, checkpoint: str) -> Path:
        """The directory of a checkpoint; empty is the bundled one.

        Raises:
            ValueError: where it, or a file in it, lies outside of the folder, be it by an absolute
                path, by ``..`` or by a link. The text is the same whether or not it exists.
        """
        if not checkpoint:
            return model_path()
        if checkpoint == self._start:
            return Path(checkpoint).expanduser()
        try:
            directory = _real(checkpoint)
            inside = directory.is_relative_to(self.path)
            if inside and directory.is_dir():
                inside = all(_real(file).is_relative_to(self.path) for file in directory.iterdir())
        except (OSError, RuntimeError, ValueError):  # such as a null character, or an unknown ~user
            inside = False
        if not inside:
            raise ValueError(
                f"checkpoint {checkpoint[:200]!r} does not lie in the model folder {self.path}; "
                "put the checkpoint there, or start the node with another model_folder"
            )
        return directory


def _real(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.realpath(Path(path).expanduser()))
