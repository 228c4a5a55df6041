# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The node's publishers. Nothing is decoded or built for which nobody listens.

``~/latent``, ...               posterior (:mod:`smvae_ros.node.latent_outputs`), before all others
``~/prediction/<modality>``     what the model expects the modality to look like
``.../compressed``              pictures (:mod:`smvae_ros.node.compressed_predictions`)
``~/prediction/camera_info``    for predicted images, so that RViz can place them
``~/overview``                  all of it in a picture (:mod:`smvae_ros.node.overview`)
``~/status``                    how the snapshot came about (:mod:`smvae_ros.node.snapshot_status`)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import LifecyclePublisher as Publisher
from sensor_msgs.msg import CameraInfo, Image

from smvae_core.inference.inference import Encoding
from smvae_core.modalities import Modality
from smvae_ros.messages import (
    Adapter,
    MessageError,
    adapter,
    installed_types,
    scale_camera_info,
)
from smvae_ros.messages.fields import DEFAULT_QUALITY
from smvae_ros.node.compressed_predictions import CompressedPredictions
from smvae_ros.node.key_values import status_prefix
from smvae_ros.node.latent_outputs import LatentOutputs, is_heard
from smvae_ros.node.overview import draw_overview
from smvae_ros.node.predictions import Predictions
from smvae_ros.node.snapshot_status import make_snapshot_status
from smvae_ros.sensors.arrivals import Counters
from smvae_ros.sensors.snapshot import Snapshot
from smvae_ros.sensors.topic_inputs import TopicInput

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks

QUEUE_SIZE = 5
_IMAGE_KINDS = ("image", "depth")
_PICTURE = Modality("overview", "image", (3, 1, 1))  # of any size: a message is made of it


class Publishers:
    """Creates the publishers; a lifecycle node publishes with them only while it is active.

    Args:
        node: the publishers' node.
        inputs: by modality; predictions are sent in the message type of its input, images always as
            sensor_msgs/Image.
        warn: given a subject and a text.

    Attributes:
        inputs: as given; others of the same topics and types may take their place.
        frame_id: of the latent, and of predictions whose sensor has none.
        camera_frame: instead of it, of predicted images.
        jpeg_quality: of compressed pictures, 1 to 100.
    """

    def __init__(
        self,
        node: LifecycleNode,
        inputs: Mapping[str, TopicInput],
        warn: Callable[[str, str], None],
    ) -> None:
        self.inputs = inputs
        self._node, self._warn = node, warn
        self.frame_id = self.camera_frame = ""
        self.jpeg_quality = DEFAULT_QUALITY
        self._images = [n for n, s in inputs.items() if s.modality.kind in _IMAGE_KINDS]
        self._adapters = {
            name: adapter("sensor_msgs/msg/Image")
            if name in self._images
            else topic_input.adapter.for_predictions
            for name, topic_input in inputs.items()
        }
        self._publishers: list[Publisher] = []
        self._latents = LatentOutputs(self._create, tuple(inputs), warn)
        self._status = self._create(DiagnosticArray, "~/status")
        self._overview = self._create(Image, "~/overview")
        self._predictions = {
            name: self._create(installed_types(used.type_name), f"~/prediction/{name}")
            for name, used in self._adapters.items()
        }
        modalities = {name: topic_input.modality for name, topic_input in inputs.items()}
        self._compressed = CompressedPredictions(
            self._create, modalities, self._compress_prediction, warn
        )
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
        self._compressed.end()
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def wanted(self) -> list[str]:
        """The modalities whose predictions somebody listens to."""
        if is_heard(self._overview):
            return list(self._predictions)
        compressed = self._compressed.wanted()
        return [
            name
            for name, publisher in self._predictions.items()
            if name in compressed or is_heard(publisher)
        ]

    def are_heard(self) -> bool:
        """Whether anybody listens to anything."""
        return any(map(is_heard, self._publishers))

    def publish_latent(self, posterior: Encoding, snapshot: Snapshot, model_hash: str) -> None:
        """Sends the posterior, before anything is predicted from it."""
        self._latents.frame_id = self.frame_id
        self._latents.publish(posterior, snapshot, model_hash)

    def publish(self, predictions: Predictions) -> None:
        """Sends everything else but the status.

        Raises:
            MessageError: where a prediction does not fit its message type.
        """
        for name, array in predictions.arrays.items():
            if is_heard(self._predictions[name]):
                self._predictions[name].publish(self._make_prediction(name, array, predictions))
        if self._images and is_heard(self._prediction_info):
            self._publish_camera_info(predictions)
        if is_heard(self._overview):
            self._overview.publish(self._make_overview(predictions))
        for name in self._compressed.wanted():
            if name in predictions.arrays:  # else somebody began to listen a moment ago
                self._compressed.offer(name, predictions.arrays[name], predictions)

    def publish_status(self, predictions: Predictions, counters: Mapping[str, Counters]) -> None:
        """Sends how the snapshot came about."""
        if is_heard(self._status):
            prefix = status_prefix(self._node)
            self._status.publish(make_snapshot_status(predictions, counters, prefix, self.frame_id))

    def _make_prediction(self, name: str, array: Any, predictions: Predictions) -> Any:
        encoding = "32FC1" if self.inputs[name].modality.kind == "depth" else ""
        return self._encode(self._adapters[name], name, array, predictions, encoding=encoding)

    def _compress_prediction(self, name: str, array: Any, predictions: Predictions) -> Any:
        """As a message of image_transport; called in another thread."""
        encoding = "compressedDepth" if self.inputs[name].modality.kind == "depth" else "jpeg"
        used = adapter("sensor_msgs/msg/CompressedImage")
        quality = self.jpeg_quality
        return self._encode(used, name, array, predictions, encoding=encoding, quality=quality)

    def _encode(
        self, used: Adapter, name: str, array: Any, predictions: Predictions, **options: Any
    ) -> Any:
        default = self.camera_frame if name in self._images else self.frame_id
        return self.inputs[name].encode(
            used,
            array,
            installed_types,
            stamp_ns=predictions.stamp_ns,
            frame_id=predictions.snapshot.frame_ids.get(name) or default,
            **options,
        )

    def _make_overview(self, predictions: Predictions) -> Image:
        return adapter("sensor_msgs/msg/Image").to_message(
            draw_overview(predictions),
            _PICTURE,
            installed_types,
            stamp_ns=predictions.stamp_ns,
            frame_id=self.frame_id,
        )

    def _publish_camera_info(self, predictions: Predictions) -> None:
        camera_info = predictions.snapshot.camera_info
        if camera_info is None:
            return
        modality = camera_of([self.inputs[name].modality for name in self._images])
        try:
            scaled = scale_camera_info(
                camera_info, modality, installed_types, stamp_nanoseconds=predictions.stamp_ns
            )
        except MessageError as error:
            self._warn("camera info", str(error))
            return
        self._prediction_info.publish(scaled)


def camera_of(images: Sequence[Modality]) -> Modality:
    """What the camera that is described sees: the first in colour; where there is none, the first
    that is no picture of values, as of a tactile pad."""
    return max(images, key=lambda m: (m.shape[0], m.kind == "depth" or m.minimum is None))
