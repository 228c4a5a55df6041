# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""``~/status``: how one snapshot came about, as diagnostic_msgs/DiagnosticArray.

The first status is ``<node>: frame``, where ``<node>`` has the node's namespace
(``arm_1/smvae_perception``), with the keys ``subset`` and ``predicted`` (modalities joined by +),
``trigger``, ``model``, and the stages' durations ``gather_ms`` to ``total_ms``
(:class:`smvae_ros.node.predictions.Predictions`). One ``<node>: <modality>`` follows for each
modality of the model, OK where it was used and STALE where not, with the reason
(:mod:`smvae_ros.sensors.absence`), with ``age_ms``, ``skew_ms``, and counters since activation:
``received``, ``used``, ``dropped``, ``lost``, ``invalid``, ``foreign``, ``skewed``
(:class:`smvae_ros.sensors.arrivals.Counters`).
"""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from smvae_ros.messages import installed_types, make_header
from smvae_ros.node.key_values import make_status
from smvae_ros.node.predictions import Predictions
from smvae_ros.sensors.arrivals import Counters


def make_snapshot_status(
    predictions: Predictions, counters: Mapping[str, Counters], prefix: str, frame_id: str
) -> DiagnosticArray:
    """The message of one snapshot, with the stamp of its outputs; ``prefix`` as in
    :func:`smvae_ros.node.key_values.status_prefix`."""
    snapshot = predictions.snapshot
    subset = "+".join(snapshot.readings)
    overall = {
        "subset": subset,
        "predicted": "+".join(predictions.arrays),
        "trigger": snapshot.trigger,
        "model": predictions.model_hash,
        **{f"{stage}_ms": 1000 * seconds for stage, seconds in predictions.timings.items()},
    }
    statuses = [make_status(DiagnosticStatus.OK, f"{prefix}: frame", subset, overall)]
    for name, counter in counters.items():
        entry = snapshot.readings.get(name)
        used = entry is not None
        values = {
            "age_ms": None if entry is None else 1000 * entry.age,
            "skew_ms": None if entry is None or entry.skew is None else 1000 * entry.skew,
            "received": counter.received,
            "used": counter.used,
            "dropped": counter.dropped,
            "lost": counter.lost,
            "invalid": counter.invalid,
            "foreign": counter.foreign,
            "skewed": counter.skewed,
        }
        level = DiagnosticStatus.OK if used else DiagnosticStatus.STALE
        message = "used" if used else snapshot.absent[name].text
        statuses.append(make_status(level, f"{prefix}: {name}", message, values))
    header = make_header(installed_types, predictions.stamp_ns, frame_id)
    return DiagnosticArray(header=header, status=statuses)
