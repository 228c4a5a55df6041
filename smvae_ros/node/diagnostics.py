"""The health of node and sensors, for ``/diagnostics`` once a second.

``<node>: perception`` is about the whole, ``<node>: <modality>`` about one sensor. Levels: OK; WARN
where somebody should look; ERROR where nothing usable comes; STALE where nothing comes at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus

from smvae_ros.node.key_values import make_status
from smvae_ros.node.worker import Progress
from smvae_ros.sensor_set import Counters


@dataclass(frozen=True)
class SensorHealth:
    """What is known of one modality at one time.

    Attributes:
        topic: with remappings; empty where none is subscribed.
        publishers: on that topic.
        incompatible: quality-of-service policy that kept a publisher away, or empty.
        live: whether frames use it.
        age: seconds since it last arrived; None if it never did.
        counters: since activation.
    """

    topic: str
    publishers: int
    incompatible: str
    live: bool
    age: float | None
    counters: Counters


@dataclass(frozen=True)
class NodeHealth:
    """What is known of the node at one time.

    Attributes:
        state: of its life cycle.
        failure: why it could not be configured, or empty.
        progress: of its worker.
        model: hash of the model's weights, or empty.
        device: where the model runs, or empty.
    """

    state: str
    failure: str
    progress: Progress
    model: str
    device: str


class HealthReport:
    """Turns counts into rates, and both into statuses.

    Args:
        node_name: in front of every status's name.
    """

    def __init__(self, node_name: str) -> None:
        self._node_name = node_name
        self._before_ns = 0
        self._progress = Progress()
        self._counters: dict[str, Counters] = {}

    def __call__(
        self, node: NodeHealth, sensors: Mapping[str, SensorHealth], now_ns: int
    ) -> list[DiagnosticStatus]:
        """The statuses for the time since the last call; ``now_ns`` is monotonic."""
        seconds = max(1e-3, (now_ns - self._before_ns) / 1e9)
        statuses = [self._node_status(node, sensors, seconds)]
        for name, health in sensors.items():
            statuses.append(self._sensor_status(name, health, seconds))
        self._before_ns = now_ns
        self._progress = node.progress
        self._counters = {name: health.counters for name, health in sensors.items()}
        return statuses

    def _node_status(
        self, node: NodeHealth, sensors: Mapping[str, SensorHealth], seconds: float
    ) -> DiagnosticStatus:
        progress = node.progress
        rate = max(0, progress.frames - self._progress.frames) / seconds
        values = {
            "state": node.state,
            "rate_hz": rate,
            "subset": "+".join(progress.subset),
            "latency_ms": 1000 * progress.latency,
            "frames": progress.frames,
            "failures": progress.failures,
            "model": node.model,
            "device": node.device,
        }
        level, message = DiagnosticStatus.OK, f"{values['subset']} at {rate:.1f} Hz"
        if node.failure:
            level, message = DiagnosticStatus.ERROR, node.failure
        elif node.state != "active":
            message = node.state
        elif progress.failures > self._progress.failures:
            level, message = DiagnosticStatus.ERROR, f"frames fail: {progress.last_error}"
        elif not any(health.live for health in sensors.values()):
            level, message = DiagnosticStatus.WARN, "no modality is live"
        elif progress.idle:
            message += ", since nobody listens (idle_rate)"
        return make_status(level, f"{self._node_name}: perception", message, values)

    def _sensor_status(self, name: str, health: SensorHealth, seconds: float) -> DiagnosticStatus:
        counters, before = health.counters, self._counters.get(name, Counters())
        arrived = max(0, counters.received - before.received)
        invalid = max(0, counters.invalid - before.invalid)
        level, message = _judge(health, arrived, invalid, seconds)
        values = {
            "topic": health.topic,
            "publishers": health.publishers,
            "rate_hz": arrived / seconds,
            "age_ms": None if health.age is None else 1000 * health.age,
            "received": counters.received,
            "dropped": counters.dropped,
            "lost": counters.lost,
            "invalid": counters.invalid,
            "skewed": counters.skewed,
            "last_error": counters.last_error,
        }
        return make_status(level, f"{self._node_name}: {name}", message, values)


def _judge(health: SensorHealth, arrived: int, invalid: int, seconds: float) -> tuple[bytes, str]:
    """Level and message of one modality, of which ``arrived`` + ``invalid`` messages came."""
    if not health.topic:
        return DiagnosticStatus.OK, "no topic is configured"
    if invalid:
        level = DiagnosticStatus.WARN if arrived > invalid else DiagnosticStatus.ERROR
        return level, f"{invalid} unusable messages: {health.counters.last_error}"
    if health.live:
        return DiagnosticStatus.OK, f"live at {arrived / seconds:.1f} Hz"
    if arrived:
        return DiagnosticStatus.WARN, (
            f"{arrived} readings arrived, but they make no window: their stamps must advance, by "
            "at most max_gap"
        )
    if health.age is not None:
        return DiagnosticStatus.STALE, f"stopped {health.age:.1f} s ago"
    if health.incompatible:
        return DiagnosticStatus.ERROR, (
            f"nothing arrived on {health.topic}: a publisher offers an incompatible "
            f"{health.incompatible}"
        )
    if health.publishers:
        return DiagnosticStatus.WARN, (
            f"nothing arrived on {health.topic}, though it has publishers ({health.publishers})"
        )
    return DiagnosticStatus.STALE, f"nothing arrived on {health.topic}: it has no publisher"
