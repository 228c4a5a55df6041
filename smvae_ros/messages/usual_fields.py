# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The fields that are the reading where none are named, of message types that many robots have."""

from __future__ import annotations

_POSE = ("position", "orientation:six")
_MOTION = ("linear", "angular")
_IN_STAMPED: dict[str, tuple[str, tuple[str, ...]]] = {
    "Accel": ("accel", _MOTION),
    "Point": ("point", ("x", "y", "z")),
    "Pose": ("pose", _POSE),
    "Quaternion": ("quaternion", ()),  # as a whole, which bare has no name
    "Transform": ("transform", ("translation", "rotation:six")),
    "Twist": ("twist", ("linear", "angular.z")),
    "Vector3": ("vector", ("x", "y", "z")),
    "Wrench": ("wrench", ("force", "torque")),
}
_SIMPLE = ("Bool", "Float32", "Float64", "Int8", "Int16", "Int32", "Int64")
_UNSIGNED = ("UInt8", "UInt16", "UInt32", "UInt64")
_ARRAYS = (*_SIMPLE[1:], *_UNSIGNED)


def _of_geometry() -> dict[str, tuple[str, ...]]:
    fields: dict[str, tuple[str, ...]] = {}
    for name, (inside, parts) in _IN_STAMPED.items():
        stamped = tuple(f"{inside}.{part}" for part in parts) or (f"{inside}:six",)
        fields[f"{name}Stamped"] = stamped
        if parts:
            fields[name] = parts
    fields["PoseWithCovariance"] = tuple(f"pose.{part}" for part in _POSE)
    fields["PoseWithCovarianceStamped"] = tuple(f"pose.pose.{part}" for part in _POSE)
    fields["TwistWithCovariance"] = tuple(f"twist.{part}" for part in _MOTION)
    fields["TwistWithCovarianceStamped"] = tuple(f"twist.twist.{part}" for part in _MOTION)
    return fields


USUAL_FIELDS: dict[str, tuple[str, ...]] = {
    **{f"geometry_msgs/msg/{name}": fields for name, fields in _of_geometry().items()},
    **{f"std_msgs/msg/{name}": ("data",) for name in (*_SIMPLE, *_UNSIGNED)},
    **{f"std_msgs/msg/{name}MultiArray": ("data",) for name in _ARRAYS},
    "nav_msgs/msg/Odometry": (
        *(f"pose.pose.{part}" for part in _POSE),
        *(f"twist.twist.{part}" for part in _MOTION),
    ),
    "sensor_msgs/msg/BatteryState": ("voltage",),
    "sensor_msgs/msg/FluidPressure": ("fluid_pressure",),
    "sensor_msgs/msg/Illuminance": ("illuminance",),
    "sensor_msgs/msg/Imu": ("angular_velocity", "linear_acceleration"),
    "sensor_msgs/msg/Joy": ("axes",),
    "sensor_msgs/msg/MagneticField": ("magnetic_field",),
    "sensor_msgs/msg/Range": ("range",),
    "sensor_msgs/msg/RelativeHumidity": ("relative_humidity",),
    "sensor_msgs/msg/Temperature": ("temperature",),
}
