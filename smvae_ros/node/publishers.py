"""The node's publishers. Nothing is decoded or built for which nobody listens.

``~/latent``                    posterior (:mod:`smvae_ros.messages.latent`), before all others
``~/latent_plot``               mean, as std_msgs/Float32MultiArray, for live plots
``~/prediction/<modality>``     what the model expects the modality to look like
``~/prediction/camera_info``    for predicted images, so that RViz can place them
``~/overview``                  all of it in a picture (:mod:`smvae_ros.node.overview`)
``~/status``                    how the frame came about (:mod:`smvae_ros.node.frame_status`)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import LifecyclePublisher as Publisher
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Float32MultiArray

from smvae_core.inference.inference import Encoding
from smvae_core.modalities import Modality
from smvae_ros.messages import (
    MessageError,
    adapter,
    installed_types,
    make_message,
    scale_camera_info,
)
from smvae_ros.messages.latent import SerialisedLatents
from smvae_ros.node.frame import Frame
from smvae_ros.node.frame_status import make_frame_status
from smvae_ros.node.key_values import status_prefix
from smvae_ros.node.overview import draw_overview
from smvae_ros.sensors.arrivals import Counters
from smvae_ros.sensors.topic_inputs import Source

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks

QUEUE_SIZE = 5
_IMAGE_KINDS = ("image", "depth")
_PICTURE = Modality("overview", "image", (3, 1, 1))  # of any size: a message is made of it


class Outputs:
    """Creates the publishers; a lifecycle node publishes with them only while it is active.

    Args:
        node: the publishers' node.
        sources: by modality; predictions are sent in the source's message type, images always as
            sensor_msgs/Image.
        warn: given a subject and a text.

    Attributes:
        frame_id: of the latent, and of predictions whose sensor has none.
        camera_frame: instead of it, of predicted images.
    """

    def __init__(
        self,
        node: LifecycleNode,
        sources: Mapping[str, Source],
        warn: Callable[[str, str], None],
    ) -> None:
        self._node, self._sources, self._warn = node, sources, warn
        self.frame_id = self.camera_frame = ""
        self._images = [n for n, s in sources.items() if s.modality.kind in _IMAGE_KINDS]
        self._adapters = {
            name: adapter("sensor_msgs/msg/Image") if name in self._images else source.adapter
            for name, source in sources.items()
        }
        self._publishers: list[Publisher] = []
        self._latent = self._create(Image, "~/latent")
        self._latents: SerialisedLatents | None = None
        self._latent_plot = self._create(Float32MultiArray, "~/latent_plot")
        self._status = self._create(DiagnosticArray, "~/status")
        self._overview = self._create(Image, "~/overview")
        self._predictions = {
            name: self._create(installed_types(used.type_name), f"~/prediction/{name}")
            for name, used in self._adapters.items()
        }
        if self._images:
            self._prediction_info = self._create(CameraInfo, "~/prediction/camera_info")

    def _create(self, message_type: Any, topic: str) -> Publisher:
        publisher = self._node.create_lifecycle_publisher(
            message_type,
            topic,
            QUEUE_SIZE,
            # For the same reason as in smvae_ros.node.polled_events.
            event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
        )
        self._publishers.append(publisher)
        return publisher

    def destroy(self) -> None:
        """Ends all publishers."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def wanted(self) -> list[str]:
        """The modalities whose predictions somebody listens to."""
        if _is_heard(self._overview):
            return list(self._predictions)
        return [name for name, publisher in self._predictions.items() if _is_heard(publisher)]

    def are_heard(self) -> bool:
        """Whether anybody listens to anything."""
        return any(map(_is_heard, self._publishers))

    def publish_latent(self, encoding: Encoding, stamp_ns: int) -> None:
        """Sends the posterior, before anything is predicted from it."""
        frame_id, size = self.frame_id, len(encoding.mean)
        if self._latents is None or self._latents.made_for != (size, frame_id):
            self._latents = SerialisedLatents(size, frame_id, installed_types, serialize_message)
        message = self._latents(encoding.mean, encoding.log_variance, stamp_ns)
        self._latent.publish(message)

    def publish(self, frame: Frame) -> None:
        """Sends everything else but the status.

        Raises:
            MessageError: where a prediction does not fit its message type.
        """
        prediction = frame.prediction
        if _is_heard(self._latent_plot):
            self._latent_plot.publish(
                make_message(
                    installed_types, "std_msgs/msg/Float32MultiArray", data=prediction.mean
                )
            )
        for name, array in prediction.observations.items():
            if _is_heard(self._predictions[name]):
                self._predictions[name].publish(self._make_prediction(name, array, frame))
        if self._images and _is_heard(self._prediction_info):
            self._publish_camera_info(frame)
        if _is_heard(self._overview):
            self._overview.publish(self._make_overview(frame))

    def publish_status(self, frame: Frame, counters: Mapping[str, Counters]) -> None:
        """Sends how the frame came about."""
        if _is_heard(self._status):
            prefix = status_prefix(self._node)
            self._status.publish(make_frame_status(frame, counters, prefix, self.frame_id))

    def _make_prediction(self, name: str, array: Any, frame: Frame) -> Any:
        source = self._sources[name]
        default = self.camera_frame if name in self._images else self.frame_id
        return self._adapters[name].to_message(
            array,
            source.modality,
            installed_types,
            stamp_ns=frame.stamp_ns,
            frame_id=frame.sample.frame_ids.get(name) or default,
            scale=source.scale,
            joint_names=source.joint_names,
            encoding="32FC1" if source.modality.kind == "depth" else "",
        )

    def _make_overview(self, frame: Frame) -> Image:
        return adapter("sensor_msgs/msg/Image").to_message(
            draw_overview(frame),
            _PICTURE,
            installed_types,
            stamp_ns=frame.stamp_ns,
            frame_id=self.frame_id,
        )

    def _publish_camera_info(self, frame: Frame) -> None:
        camera_info = frame.sample.camera_info
        if camera_info is None:
            return
        modality = self._sources[self._images[0]].modality
        try:
            scaled = scale_camera_info(
                camera_info, modality, installed_types, stamp_nanoseconds=frame.stamp_ns
            )
        except MessageError as error:
            self._warn("camera info", str(error))
            return
        self._prediction_info.publish(scaled)


def _is_heard(publisher: Publisher) -> bool:
    return publisher.get_subscription_count() > 0
