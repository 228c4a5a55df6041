# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The posterior, sent before anything is predicted from it.

``~/latent``                 always, and first (:mod:`smvae_ros.messages.latent`)
``~/latent_tensor``          where tensor_msgs is installed
``~/latent_with_sources``    where smvae_interfaces is installed
``~/latent_plot``            the mean, for live plots

The last three (:mod:`smvae_ros.messages.latent_forms`) are built only while somebody listens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.lifecycle import LifecyclePublisher as Publisher
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from smvae_core.inference.inference import Encoding
from smvae_ros.messages import installed_types
from smvae_ros.messages.latent import SerialisedLatents
from smvae_ros.messages.latent_forms import (
    LATENT_TYPE,
    PLOT_TYPE,
    TENSOR_TYPE,
    latent_plot,
    latent_tensor,
    latent_with_sources,
)
from smvae_ros.sensors.snapshot import Snapshot


class LatentOutputs:
    """The publishers of the posterior.

    Args:
        create: makes a publisher of a message class and a topic.
        modalities: all of the model, in its order.
        warn: given a subject and a text.

    Attributes:
        frame_id: of all messages.
    """

    def __init__(
        self,
        create: Callable[[Any, str], Publisher],
        modalities: Sequence[str],
        warn: Callable[[str, str], None],
    ) -> None:
        self.frame_id = ""
        self._modalities = modalities
        self._latent = create(Image, "~/latent")
        self._latents: SerialisedLatents | None = None
        self._plot = create(installed_types(PLOT_TYPE), "~/latent_plot")
        self._create, self._warn = create, warn
        self._tensor = self._create_if_installed(TENSOR_TYPE, "~/latent_tensor")
        self._with_sources = self._create_if_installed(LATENT_TYPE, "~/latent_with_sources")

    def _create_if_installed(self, type_name: str, topic: str) -> Publisher | None:
        if not is_installed(type_name):
            return None
        try:
            return self._create(installed_types(type_name), topic)
        except Exception as error:  # of a package that was built for another ROS or Python
            self._warn(topic, f"{topic} is not published: {error}")
            return None

    def publish(self, posterior: Encoding, snapshot: Snapshot, model_hash: str) -> None:
        """Sends the posterior of a snapshot in all forms that somebody listens to."""
        mean, log_variance = posterior.mean, posterior.log_variance
        frame_id, stamp_ns = self.frame_id, snapshot.stamp_ns or 0
        if self._latents is None or self._latents.made_for != (len(mean), frame_id):
            self._latents = SerialisedLatents(
                len(mean), frame_id, installed_types, serialize_message
            )
        self._latent.publish(self._latents(mean, log_variance, stamp_ns))
        if self._tensor is not None and is_heard(self._tensor):
            self._tensor.publish(latent_tensor(mean, log_variance, installed_types))
        if self._with_sources is not None and is_heard(self._with_sources):
            self._with_sources.publish(
                latent_with_sources(
                    mean,
                    log_variance,
                    self._modalities,
                    {name: reading.age for name, reading in snapshot.readings.items()},
                    model_hash,
                    installed_types,
                    stamp_ns=stamp_ns,
                    frame_id=frame_id,
                )
            )
        if is_heard(self._plot):
            self._plot.publish(
                latent_plot(mean, installed_types, stamp_ns=stamp_ns, frame_id=frame_id)
            )


def is_installed(type_name: str) -> bool:
    """Whether messages of a type can be made here."""
    try:
        installed_types(type_name)
    except ValueError:
        return False
    return True


def is_heard(publisher: Publisher) -> bool:
    """Whether anybody listens."""
    return publisher.get_subscription_count() > 0
