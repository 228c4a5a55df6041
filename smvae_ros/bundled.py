# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What comes with the package: a trained model, a recorded insertion, the node's parameters."""

from __future__ import annotations

import os
import sys
from importlib.resources import files
from pathlib import Path


def model_path() -> Path:
    """Checkpoint directory of the bundled model."""
    return _resource("insertion_model")


def yardstick_path() -> Path:
    """Checkpoint directory of a network that only predicts depth from force and action."""
    return _resource("dedicated_depth_model")


def bag_path() -> Path:
    """The bundled bag; a seed that the model was not trained on."""
    return _resource("insertion_bag")


def parameters_path() -> Path:
    """The node's parameters file, config/perception.yaml, of the checkout or of the installation.

    Raises:
        FileNotFoundError: where neither is found.
    """
    return _configuration("perception.yaml")


def robot_path(robot: str) -> Path:
    """The robot file that is meant: a path, or the name of one of config/robots.

    Raises:
        FileNotFoundError: where there is none.
    """
    path = Path(robot)
    if path.suffix or len(path.parts) != 1 or path.is_file():
        return path
    try:
        return _configuration(f"robots/{robot}.yaml")
    except FileNotFoundError as error:
        names = {path.stem for place in _places() for path in place.glob("config/robots/*.yaml")}
        if not names:
            raise
        raise FileNotFoundError(
            f"no robot {robot!r}: name a file, or one of {', '.join(sorted(names))}"
        ) from error


def training_path(name: str) -> Path:
    """A configuration of config/training.

    Raises:
        FileNotFoundError: where there is none.
    """
    return _configuration(f"training/{name}.yaml")


def _configuration(name: str) -> Path:
    places = _places()
    for place in places:
        path = place / "config" / name
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"no config/{name} in {', '.join(map(str, places))}; name a file, or install the package "
        "again"
    )


def _places() -> list[Path]:
    checkout = Path(str(files("smvae_ros"))).parent
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    return [checkout, *(Path(prefix, "share", "smvae_ros") for prefix in prefixes if prefix)]


def _resource(name: str) -> Path:
    # Packages are always installed unpacked: ROS tools and memory maps need real files.
    return Path(str(files("smvae_ros"))) / "resources" / name
