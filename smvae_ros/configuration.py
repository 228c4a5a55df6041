"""From parameters to sources; and a parameters file read without ROS, for offline tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from smvae_core.modalities import Modality
from smvae_ros.messages import adapter
from smvae_ros.sources import Source
from smvae_ros.specifications import NODE_PARAMETERS, modality_parameters

NODE_NAME = "smvae_perception"


def make_sources(
    modalities: Mapping[str, Modality], values: Mapping[str, Any]
) -> dict[str, Source]:
    """Where each modality comes from, according to the parameters' values.

    Raises:
        MessageError: for a message type without an adapter.
    """
    return {
        name: Source(
            modality,
            values[f"{name}.topic"],
            adapter(values[f"{name}.type"]),
            values.get(f"{name}.scale", 1.0),
            tuple(joint for joint in values.get(f"{name}.joints", ()) if joint),
        )
        for name, modality in modalities.items()
    }


def read_values(path: Path, modalities: Iterable[Modality]) -> dict[str, Any]:
    """Values of all parameters that the node would have with this parameters file.

    Args:
        path: YAML as ROS 2 reads it: node name or ``/**``, then ``ros__parameters``.
        modalities: of the model.

    Raises:
        ValueError: for a file that is none, or a value that the node would refuse.
        OSError: where it cannot be read.
    """
    given = dict(_parameters(path))
    specifications = list(NODE_PARAMETERS)
    for modality in modalities:
        specifications += modality_parameters(modality)
    values = {}
    for specification in specifications:
        value = given.get(specification.name, specification.default)
        if isinstance(specification.default, float) and type(value) is int:
            value = float(value)  # `max_rate: 30` in YAML is an integer
        if problem := specification.problem(value):
            raise ValueError(f"{path}: {specification.name} {problem}, but is {value!r}")
        values[specification.name] = value
    return values


def _parameters(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path}: not a ROS 2 parameters file")
    for node, section in document.items():
        if str(node).lstrip("/") in ("**", NODE_NAME):
            if not isinstance(section, dict) or "ros__parameters" not in section:
                raise ValueError(f"{path}: {node} has no ros__parameters")
            yield from _flat(section["ros__parameters"], "")


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted names, the way ROS 2 reads them."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
