# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The robot file: one YAML that says what a robot's sensors are and where their readings come from.

Conversion, training and node read the same file (``--robot``, launch argument ``robot:=``)::

    name: my_robot
    rate: 30.0                      # steps per second of caches, Hz
    episodes: data/demo_*           # HDF5: groups that are episodes
    ros:                            # the node's parameters, as in config/perception.yaml
      frame_id: base_link
    modalities:
      wrist:
        kind: image                 # these fields are those of Modality
        shape: [3, 64, 64]
        aspect: crop
        key: observation.images.wrist     # in data sets and logs
        ros:                        # the node's parameters of this modality
          topic: /wrist/image_raw
          type: sensor_msgs/msg/Image
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from smvae_core.modalities import MAXIMUM_MODALITIES, Modality, check_names

# Fields of a modality that the file gives: those that decide how a reading is prepared, and the
# likelihood, which a sensor's nature decides.
MODALITY_FIELDS = ("kind", "shape", "rate", "minimum", "maximum", "aspect", "angles", "likelihood")
SENSOR_FIELDS = (*MODALITY_FIELDS, "key", "columns", "unit", "ros")
ROBOT_FIELDS = ("name", "rate", "episodes", "ros", "modalities")
_RATES = (1e-3, 1e6)  # Hz
_STEPS = f"a number from {_RATES[0]:g} to {_RATES[1]:g} Hz"
_MAXIMUM_BYTES = 2**20
_MAXIMUM_VALUES = 20_000
_MAXIMUM_ELEMENTS = 2**24  # of one reading: an image of 2364 pixels a side


class RobotError(ValueError):
    """A robot file that cannot be used; the message names file, place and what to do."""


@dataclass(frozen=True)
class Sensor:
    """One sensor of a robot.

    Attributes:
        modality: as it is prepared; without statistics, and with the default networks.
        key: of its readings in data sets and logs; empty where they have none.
        columns: of a key that holds a vector (or a window of vectors), which of its values, by
            number or by the name that the data set gives them; empty for all.
        unit: what stored values are multiplied by, such as 0.001 for depth in millimetres. Images
            ignore it.
        ros: the node's parameters of this modality, such as ``topic``.
    """

    modality: Modality
    key: str = ""
    columns: tuple[int | str, ...] = ()
    unit: float = 1.0
    ros: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """What of it decides which stored values are its readings, as plain values."""
        described = {
            "key": self.key,
            "columns": list(self.columns),
            "unit": self.unit if self.unit != 1 else None,
        }
        return {field: value for field, value in described.items() if value}


@dataclass(frozen=True)
class Robot:
    """A robot file's content.

    Attributes:
        name: of the robot.
        sensors: by the modality's name, in the file's order, which is the model's.
        rate: steps per second of what is converted from bags and HDF5, in Hz; None where the
            recording says it.
        episodes: of HDF5 files, a pattern of the groups that are episodes; empty where each file is
            one.
        ros: the node's own parameters.
    """

    name: str
    sensors: Mapping[str, Sensor]
    rate: float | None = None
    episodes: str = ""
    ros: Mapping[str, Any] = field(default_factory=dict)

    @property
    def modalities(self) -> list[Modality]:
        """Those of its sensors."""
        return [sensor.modality for sensor in self.sensors.values()]

    def with_image_size(self, size: int) -> Robot:
        """The robot with square pictures of so many pixels."""
        sensors = {
            name: replace(sensor, modality=replace(m, shape=(m.shape[0], size, size)))
            if (m := sensor.modality).kind in ("image", "depth")
            else sensor
            for name, sensor in self.sensors.items()
        }
        return replace(self, sensors=sensors)

    def parameters(self) -> dict[str, Any]:
        """The node's parameters that the file gives, by full name, such as ``rgb.topic``."""
        of_sensors = {
            f"{name}.{setting}": value
            for name, sensor in self.sensors.items()
            for setting, value in sensor.ros.items()
        }
        return {**self.ros, **of_sensors}

    def unused(self, modalities: Iterable[str]) -> list[str]:
        """Names of its modalities that are not among those of a model."""
        return [name for name in self.sensors if name not in set(modalities)]

    def check(self, modalities: Mapping[str, Modality]) -> None:
        """Checks that readings of its sensors are prepared as those that a model was trained on.

        Args:
            modalities: of the model, by name. Those that the robot does not have are not looked at.

        Raises:
            RobotError: where one is not; names every field with both values.
        """
        different = [
            f"{name}.{field} is {expected} there, but {given} in the robot file"
            for name, modality in modalities.items()
            if name in self.sensors
            for field, (expected, given) in modality.differences(
                self.sensors[name].modality
            ).items()
        ]
        if different:
            raise RobotError(
                f"the model was trained on other readings than those of the robot {self.name}: "
                f"{'; '.join(different)}; correct the file, or train a model with it"
            )


def read_robot(path: Path) -> Robot:
    """Reads a robot file.

    The parameters under ``ros`` are not looked at here:
    :func:`smvae_ros.parameters.robot_values.load_robot` knows them.

    Raises:
        RobotError: for a file that is none, and for fields that are unknown, missing or wrong.
    """
    top = _mapping(_read(path), f"{path}")
    _check_known(top, ROBOT_FIELDS, f"{path}")
    sensors = {
        str(name): _sensor(str(name), entry, f"{path}: modalities.{name}")
        for name, entry in _mapping(top.get("modalities"), f"{path}: modalities").items()
    }
    try:
        check_names([sensor.modality for sensor in sensors.values()])
    except ValueError as error:
        raise RobotError(f"{path}: {error}") from error
    rate = top.get("rate")
    if len(sensors) > MAXIMUM_MODALITIES:
        raise RobotError(f"{path}: {len(sensors)} modalities; at most {MAXIMUM_MODALITIES} fit")
    if rate is not None and not _is_rate(rate):
        raise RobotError(f"{path}: rate must be {_STEPS}, not {rate!r}")
    name, episodes = top.get("name", path.stem), top.get("episodes", "")
    for field_name, value in (("name", name), ("episodes", episodes)):
        if not isinstance(value, str):
            raise RobotError(f"{path}: {field_name} must be text, not {value!r}")
    ros = _mapping(top.get("ros", {}), f"{path}: ros")
    return Robot(name, sensors, None if rate is None else float(rate), episodes, ros)


class _Loader(yaml.SafeLoader):
    """Refuses a name that a mapping has twice, of which YAML silently forgets the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As SafeLoader does."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise yaml.MarkedYAMLError(problem=f"{twice!r} twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> Any:
    """The file's content: plain values, few enough to be told in a message."""
    try:
        if path.stat().st_size > _MAXIMUM_BYTES:
            raise RobotError(f"{path}: too large for a robot file")
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RobotError(f"{path}: not readable as YAML: {error}") from error
    except RecursionError as error:
        raise RobotError(f"{path}: not readable as YAML: nested too deeply") from error
    except OSError as error:
        raise RobotError(f"cannot read the robot file {path}: {error.strerror}") from error
    waiting, count = [document], 0
    while waiting:  # an alias (*name) stands for as many values as what it means
        value, count = waiting.pop(), count + 1
        if count > _MAXIMUM_VALUES:
            raise RobotError(f"{path}: too much for a robot file; are there aliases (*name) in it?")
        if isinstance(value, dict | list):
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return document


def _sensor(name: str, entry: Any, place: str) -> Sensor:
    values = _mapping(entry, place)
    _check_known(values, SENSOR_FIELDS, place)
    for needed in ("kind", "shape"):
        if needed not in values:
            raise RobotError(f"{place}: {needed} is missing")
    fields = {key: values[key] for key in MODALITY_FIELDS if key in values}
    if not re.fullmatch(r"[A-Za-z]\w{0,63}", name, re.ASCII):
        raise RobotError(f"{place}: a name is of the letters a-z, digits and _, as ROS has it")
    try:
        modality = Modality.from_dict({"name": name, **fields})
    except ValueError as error:
        raise RobotError(f"{place}: {error}") from error
    if modality.kind == "image" and modality.shape[0] not in (1, 3):
        raise RobotError(
            f"{place}: shape of a camera's image must be of 1 or 3 channels, which come first, not "
            f"{list(modality.shape)}"
        )
    if modality.rate is not None and not _is_rate(modality.rate):
        raise RobotError(f"{place}: rate must be {_STEPS}, not {modality.rate!r}")
    if math.prod(modality.shape) > _MAXIMUM_ELEMENTS:
        raise RobotError(f"{place}: shape {list(modality.shape)} is too large for networks")
    key, unit, columns = values.get("key", ""), values.get("unit", 1.0), values.get("columns", [])
    if not isinstance(key, str):
        raise RobotError(f"{place}: key must be text, not {key!r}")
    if not _is_positive(unit):
        raise RobotError(f"{place}: unit must be a number above 0, not {unit!r}")
    if not isinstance(columns, list) or not all(type(c) in (int, str) for c in columns):
        raise RobotError(f"{place}: columns must be a list of numbers or names, not {columns!r}")
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise RobotError(f"{place}: columns has {twice!r} twice; name each value once")
    ros = _mapping(values.get("ros", {}), f"{place}.ros")
    return Sensor(modality, key, tuple(columns), float(unit), ros)


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= sys.float_info.max


def _is_rate(value: Any) -> bool:
    return _is_positive(value) and _RATES[0] <= value <= _RATES[1]


def _mapping(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RobotError(f"{place}: must hold names with values, not {value!r}")
    return {str(key): entry for key, entry in value.items()}


def _check_known(values: Iterable[str], known: Iterable[str], place: str) -> None:
    known = list(known)
    for name in values:
        if name not in known:
            nearest = get_close_matches(name, known, 1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
            raise RobotError(f"{place}: unknown {name!r}; {hint}")
