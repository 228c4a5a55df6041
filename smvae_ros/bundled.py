"""What comes with the package: a trained model and a recorded insertion."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def model_path() -> Path:
    """Checkpoint directory of the bundled model."""
    return _resource("insertion_model")


def bag_path() -> Path:
    """The bundled bag; a seed that the model was not trained on."""
    return _resource("insertion_bag")


def _resource(name: str) -> Path:
    # Packages are always installed unpacked: ROS tools and memory maps need real files.
    return Path(str(files("smvae_ros"))) / "resources" / name
