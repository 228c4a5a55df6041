"""Wrenches, twists, joint states and bare number arrays ↔ vectors and readings of a series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_core.words import counted
from smvae_ros.messages.fields import (
    Adapter,
    ForeignMessage,
    MessageError,
    Options,
    make_message,
    newest_reading,
    plausible_vector,
)
from smvae_ros.messages.types import Types

STATE = ("position", "velocity")
MAXIMUM_JOINTS = 1000


def _vector3(types: Types, values: Sequence[float]) -> Any:
    x, y, z = values
    return make_message(types, "geometry_msgs/msg/Vector3", x=x, y=y, z=z)


class WrenchAdapter(Adapter):
    """geometry_msgs/Wrench ↔ one reading (6,): fx fy fz tx ty tz in N and N m."""

    type_name = "geometry_msgs/msg/Wrench"
    kinds = ("series", "vector")
    has_header = False
    values = 6

    def _from_values(self, values: tuple[float, ...], options: Options) -> np.ndarray:
        return plausible_vector(values, options, "wrench")

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        force, torque = message.force, message.torque
        values = (force.x, force.y, force.z, torque.x, torque.y, torque.z)
        return self._from_values(values, options)

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        values = newest_reading(array, 6, options.scale)
        return make_message(
            types,
            "geometry_msgs/msg/Wrench",
            force=_vector3(types, values[:3]),
            torque=_vector3(types, values[3:]),
        )


class WrenchStampedAdapter(WrenchAdapter):
    """geometry_msgs/WrenchStamped ↔ one reading (6,), like Wrench."""

    type_name = "geometry_msgs/msg/WrenchStamped"
    has_header = True

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        return super()._to_array(message.wrench, modality, options)

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        wrench = super()._to_message(array, modality, types, header, options)
        return make_message(types, self.type_name, header=header, wrench=wrench)


class TwistAdapter(Adapter):
    """geometry_msgs/Twist ↔ (4,): linear x y z and angular z, times ``scale``.

    With ``scale`` the period of control, velocities become displacements per step.
    """

    type_name = "geometry_msgs/msg/Twist"
    kinds = ("series", "vector")
    has_header = False
    values = 6

    def _from_values(self, values: tuple[float, ...], options: Options) -> np.ndarray:
        return plausible_vector((*values[:3], values[5]), options, "twist")

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        linear, angular = message.linear, message.angular
        values = (linear.x, linear.y, linear.z, angular.x, angular.y, angular.z)
        return self._from_values(values, options)

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        x, y, z, yaw = newest_reading(array, 4, options.scale)
        return make_message(
            types,
            "geometry_msgs/msg/Twist",
            linear=_vector3(types, (x, y, z)),
            angular=_vector3(types, (0.0, 0.0, yaw)),
        )


class TwistStampedAdapter(TwistAdapter):
    """geometry_msgs/TwistStamped ↔ (4,), like Twist."""

    type_name = "geometry_msgs/msg/TwistStamped"
    has_header = True

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        return super()._to_array(message.twist, modality, options)

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        twist = super()._to_message(array, modality, types, header, options)
        return make_message(types, self.type_name, header=header, twist=twist)


class JointStateAdapter(Adapter):
    """sensor_msgs/JointState ↔ (2n,): positions of the n named joints, then their velocities; or
    (n,), where the modality has only that many values: positions alone.

    Several publishers may share a topic (arm, gripper, base): a message with none of the joints is
    somebody else's. One with some of them is unusable, since the others of its moment are missing,
    and parts of two moments are no reading.
    """

    type_name = "sensor_msgs/msg/JointState"
    kinds = ("series", "vector")

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        joint_names = _required_joint_names(options)
        if len(message.name) > MAXIMUM_JOINTS:
            raise MessageError(
                f"a joint state of {len(message.name)} joints, more than {MAXIMUM_JOINTS}; check "
                "its publisher"
            )
        index = {name: place for place, name in enumerate(message.name)}
        missing = [name for name in joint_names if name not in index]
        if len(missing) == len(joint_names):
            raise ForeignMessage(
                f"a joint state of {', '.join(index) or 'no joints'}, with none of "
                f"{', '.join(joint_names)}"
            )
        if missing:
            raise MessageError(
                f"joint {', '.join(missing)} is not in the joint state, which has "
                f"{', '.join(index)}; correct the configured joint names, or have all of them "
                "published in one message (joint_state_publisher with source_list merges several)"
            )
        fields = ("position",) if _has_positions_only(modality, joint_names) else STATE
        for field in fields:
            if len(getattr(message, field)) != len(message.name):
                raise MessageError(
                    f"joint state has {len(message.name)} names, but "
                    f"{counted(len(getattr(message, field)), 'value')} of {field}; its publisher "
                    f"must fill {' and '.join(fields)}"
                )
        places = [index[name] for name in joint_names]
        values = [getattr(message, field)[place] for field in fields for place in places]
        return plausible_vector(values, options, "joint state")

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        joint_names = _required_joint_names(options)
        count = len(joint_names)
        length = count if _has_positions_only(modality, joint_names) else 2 * count
        values = np.array(newest_reading(array, length, options.scale))
        return make_message(
            types,
            self.type_name,
            header=header,
            name=list(joint_names),
            position=values[:count],
            velocity=values[count:],
            effort=np.empty(0),
        )


def _has_positions_only(modality: Modality, joint_names: Sequence[str]) -> bool:
    return modality.shape[0] == len(joint_names)


def _required_joint_names(options: Options) -> Sequence[str]:
    if not options.joint_names:
        raise MessageError("no joint names are configured; list them in the model's order")
    return options.joint_names


class Float64MultiArrayAdapter(Adapter):
    """std_msgs/Float64MultiArray ↔ (n,): its data in order; the layout is not looked at."""

    type_name = "std_msgs/msg/Float64MultiArray"
    kinds = ("categorical", "series", "vector")
    has_header = False

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        count, expected = len(message.data), modality.shape[0]
        if count != expected:
            raise MessageError(
                f"the array has {counted(count, 'value')}, but {modality.name} has {expected}; "
                "configure a topic with so many"
            )
        return plausible_vector(message.data, options, "array")

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        values = np.array(newest_reading(array, array.shape[-1], options.scale))
        layout = make_message(types, "std_msgs/msg/MultiArrayLayout", dim=[], data_offset=0)
        return make_message(types, self.type_name, layout=layout, data=values)
