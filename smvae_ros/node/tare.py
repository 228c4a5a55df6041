# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What ``~/tare`` does: the mean of a still second becomes the zero of every wrench.

Only of wrenches: what an accelerometer or a joint says at rest is no error. The zero is the
parameter ``<modality>.zero``, so that it can be read, written to a file and taken back.
"""

from __future__ import annotations

from smvae_core.words import counted
from smvae_ros.node.subscriptions import Subscriptions
from smvae_ros.sensors.still_second import (
    NEWTON,
    NEWTON_METRE,
    MeasuredZero,
    Stillness,
    StillSecond,
)

WRENCHES = ("geometry_msgs/msg/WrenchStamped", "geometry_msgs/msg/Wrench")
PATIENCE = 2.0  # seconds; one of them may pass until the first message


def measure_zeros(
    subscriptions: Subscriptions, limits: Stillness
) -> tuple[dict[str, MeasuredZero], str]:
    """Waits for a second of every wrench, in messages' units, and says what came of it.

    Args:
        subscriptions: of which the executor goes on receiving.
        limits: of what counts as still.

    Returns:
        Modality → its zero, of those that sent anything; and in words all of it.

    Raises:
        ValueError: with the reason why there is no zero of any.
    """
    inputs = subscriptions.inputs
    names = [n for n, x in inputs.items() if x.topic and x.adapter.type_name in WRENCHES]
    if not names:
        raise ValueError(f"no modality has a topic of {' or '.join(WRENCHES)}")
    second = StillSecond(names)
    subscriptions.watch = second.add
    try:
        readings = second.wait(PATIENCE)
    finally:
        subscriptions.watch = None
    silent = ", ".join(
        f"{name} on {subscriptions.topic(name)}" for name in names if name not in readings
    )
    if not readings:
        raise ValueError(f"no message of {silent} within {PATIENCE:g} s")
    zeros = {}
    for name, array in readings.items():
        source = inputs[name]
        correction = source.correction
        raw = array / source.scale if correction is None else correction.measured(array)
        labels = source.adapter.labels(raw.shape[1])
        units = tuple(NEWTON_METRE if "torque" in label else NEWTON for label in labels)
        zeros[name] = MeasuredZero(raw.mean(0), raw.std(0), units, len(raw))
        if unrest := zeros[name].unrest(limits):
            raise ValueError(
                f"{name} is not still: {unrest} (tare_force_spread, tare_torque_spread); stop the "
                "arm, with nothing touching the sensor, and call again"
            )
    said = [f"{name} {zero.describe()}" for name, zero in zeros.items()]
    if silent:
        said.append(f"{counted(len(names) - len(zeros), 'sensor')} silent: {silent}")
    return zeros, "; ".join(said)
