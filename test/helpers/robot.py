# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The other end of the perception node: publishes sensors, hears what the node says, over DDS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger

from patience import PATIENCE
from small_models import small_modalities
from smvae_ros.messages import adapter, installed_types, stamp_ns

NODE = "/smvae_perception"
JOINTS = ("x", "y", "z", "yaw")
MS = 1_000_000
TOPICS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "rgb": ("/camera/color/image_raw", "sensor_msgs/msg/Image", {}),
    "depth": ("/camera/depth/image_raw", "sensor_msgs/msg/Image", {}),
    "force": ("/wrench", "geometry_msgs/msg/WrenchStamped", {}),
    "action": ("/action", "geometry_msgs/msg/TwistStamped", {"scale": 0.05}),
    "proprio": ("/joint_states", "sensor_msgs/msg/JointState", {"joint_names": JOINTS}),
}
ALL = tuple(TOPICS)
_TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "cleanup": Transition.TRANSITION_CLEANUP,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
}


def observations(seed: int = 0, image_shape: tuple[int, int] = (16, 16)) -> dict[str, np.ndarray]:
    """One reading of each sensor in raw units; of the force one wrench (6,)."""
    random = np.random.default_rng(seed)
    return {
        "rgb": random.integers(0, 256, (*image_shape, 3), dtype=np.uint8),
        "depth": np.round(random.uniform(0.3, 1.7, image_shape), 3).astype(np.float32),
        "force": random.normal(0, 5, 6).astype(np.float32),
        "action": random.normal(0, 0.01, 4).astype(np.float32),
        "proprio": random.normal(0, 0.2, 8).astype(np.float32),
    }


class Status:
    """One ``~/status`` message, readable."""

    def __init__(self, message: DiagnosticArray) -> None:
        self.stamp_ns = stamp_ns(message)
        self.messages = {_last(s.name): s.message for s in message.status}
        self.levels = {_last(s.name): s.level for s in message.status}
        self.values = {_last(s.name): {v.key: v.value for v in s.values} for s in message.status}

    @property
    def subset(self) -> tuple[str, ...]:
        return tuple(self.values["frame"]["subset"].split("+"))

    @property
    def predicted(self) -> str:
        """Modalities, joined by +."""
        return self.values["frame"]["predicted"]


def _last(name: str) -> str:
    return name.split(": ")[-1]


class Robot:
    """Publishes, listens and calls services in a context of its own.

    Args:
        domain: ROS_DOMAIN_ID.
        namespace: of the node and of the sensors' topics, such as ``/arm_1``.
        listening: whether to subscribe to ~/status and ~/latent at once.
        diagnosing: whether to subscribe to /diagnostics.

    Attributes:
        statuses: of ~/status, oldest first.
        latents: of ~/latent.
        diagnostics: the node's latest on /diagnostics, by modality.
        predictions: topic → messages, for those that were subscribed to.
        moments: stamps that the present :meth:`run` has sent, which tell its frames from those that
            were still on their way when it began.
    """

    def __init__(
        self, domain: int, listening: bool = True, diagnosing: bool = True, namespace: str = ""
    ) -> None:
        self._name = f"{namespace}{NODE}"
        self.statuses: list[Status] = []
        self.latents: list[Image] = []
        self.predictions: dict[str, list[Any]] = {}
        self.diagnostics: Status | None = None
        self.moments: set[int] = set()
        self._wrench = 0  # stamp of the last one
        self.heard = threading.Condition()
        self._closing = threading.Event()
        self._modalities = {modality.name: modality for modality in small_modalities()}
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = Node("robot", context=self._context, start_parameter_services=False)
        quality = QoSProfile(depth=100)
        self.publishers = {
            name: self.node.create_publisher(installed_types(type_name), namespace + topic, quality)
            for name, (topic, type_name, _) in TOPICS.items()
        }
        self.camera_info = self.node.create_publisher(
            CameraInfo, f"{namespace}/camera/color/camera_info", 1
        )
        if diagnosing:
            self.listen(DiagnosticArray, "/diagnostics", self._hear_diagnostics)
        if listening:
            self.listen_to_frames()
        self._clients: dict[str, Any] = {}
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._closing.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self._closing.set()
        self._thread.join(5.0)
        self.node.destroy_node()  # before Kilted, the end of the context leaves its subscriptions
        self._context.shutdown()

    def listen(self, message_type: type, topic: str, keep: Callable[[Any], object]) -> Any:
        """Subscribes; whoever waits is woken by every message."""

        def receive(message: Any) -> None:
            with self.heard:
                keep(message)
                self.heard.notify_all()

        return self.node.create_subscription(message_type, topic, receive, 100)

    def listen_to_frames(self) -> None:
        """Subscribes to ~/status and ~/latent."""
        self.listen(
            DiagnosticArray, f"{self._name}/status", lambda m: self.statuses.append(Status(m))
        )
        self.listen(Image, f"{self._name}/latent", self.latents.append)

    def listen_to_prediction(self, name: str, message_type: type) -> Any:
        messages = self.predictions.setdefault(name, [])
        return self.listen(message_type, f"{self._name}/prediction/{name}", messages.append)

    def _hear_diagnostics(self, message: DiagnosticArray) -> None:
        if any(self._name.strip("/") in status.name for status in message.status):
            self.diagnostics = Status(message)

    def message(self, name: str, array: np.ndarray, stamp: int, **options: Any) -> Any:
        _, type_name, defaults = TOPICS[name]
        return adapter(type_name).to_message(
            array,
            self._modalities[name],
            installed_types,
            stamp_ns=stamp,
            frame_id=f"{name}_frame",
            **{**defaults, **options},
        )

    def send(
        self, names: Collection[str], readings: dict[str, np.ndarray], stamp: int | None = None
    ) -> int:
        """Publishes one moment of these sensors, of the force also what has been since the last.
        Returns its stamp."""
        stamp = time.time_ns() if stamp is None else stamp
        for name in names:
            for time_ns in self._times_of_wrenches(stamp) if name == "force" else [stamp]:
                self.publishers[name].publish(self.message(name, readings[name], time_ns))
        return stamp

    def _times_of_wrenches(self, stamp: int) -> list[int]:
        """Each millisecond since the last one, or 40 where there was none within a second before,
        so that the series has no gaps when this process had to wait for its turn."""
        since = stamp - self._wrench
        self._wrench = stamp
        count = max(1, since // MS) if 0 < since < 1000 * MS else 41
        return [stamp - i * MS for i in reversed(range(count))]

    def wait(self, condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
        """Returns what the condition does, once it is true."""
        with self.heard:
            result = self.heard.wait_for(condition, timeout)
        assert result, f"no {what} within {timeout} s; last diagnostics: {self._describe()}"
        return result

    def _describe(self) -> str:
        return "none" if self.diagnostics is None else str(self.diagnostics.messages)

    def run(
        self,
        names: Sequence[str],
        readings: dict[str, np.ndarray],
        until: Callable[[], Any],
        what: str,
        *,
        offset_ns: int = 0,
        timeout: float = PATIENCE,
    ) -> Any:
        """Publishes these sensors at 40 Hz until the condition is true, and returns what it does.
        ``offset_ns`` is added to all stamps."""
        deadline = time.monotonic() + timeout
        self.moments.clear()
        while time.monotonic() < deadline:
            self.moments.add(self.send(names, readings, time.time_ns() + offset_ns))
            with self.heard:
                if result := self.heard.wait_for(until, 0.025):
                    return result
        raise AssertionError(f"no {what} within {timeout} s; diagnostics: {self._describe()}")

    def frames(self) -> list[Status]:
        """Those of the present or last :meth:`run`, oldest first."""
        return [status for status in self.statuses if status.stamp_ns in self.moments]

    def run_until_subset(
        self,
        names: Sequence[str],
        readings: dict[str, np.ndarray],
        frames: int = 2,
        *,
        published: Sequence[str] | None = None,
        **options: Any,
    ) -> Status:
        """Publishes until so many frames in a row were of exactly these sensors. ``published`` are
        others than these."""

        def reached() -> Status | None:
            latest = self.frames()[-frames:]
            wanted = tuple(names)
            alike = len(latest) == frames and all(status.subset == wanted for status in latest)
            return latest[-1] if alike else None

        published = names if published is None else published
        return self.run(published, readings, reached, f"frames of exactly {names}", **options)

    # -- services ----------------------------------------------------------------------------------

    def call(self, service_type: Any, name: str, request: Any, timeout: float = PATIENCE) -> Any:
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_type, f"{self._name}/{name}")
        client = self._clients[name]
        assert client.wait_for_service(timeout), f"no service {name}"
        answered = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: answered.set())
        assert answered.wait(timeout), f"no answer from {name}"
        return future.result()

    def state(self) -> str:
        return self.call(GetState, "get_state", GetState.Request()).current_state.label

    def change_state(self, transition: str) -> bool:
        request = ChangeState.Request(transition=Transition(id=_TRANSITIONS[transition]))
        return self.call(ChangeState, "change_state", request).success

    def set(self, name: str, value: Any) -> str:
        """Sets a parameter; returns why it was rejected, or an empty text."""
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        (result,) = self.call(SetParameters, "set_parameters", request).results
        assert result.successful or result.reason
        return result.reason if not result.successful else ""

    def get(self, name: str) -> Any:
        """The value of a parameter."""
        request = GetParameters.Request(names=[name])
        (value,) = self.call(GetParameters, "get_parameters", request).values
        return parameter_value_to_python(value)

    def reload(self) -> Trigger.Response:
        return self.call(Trigger, "reload_model", Trigger.Request())
