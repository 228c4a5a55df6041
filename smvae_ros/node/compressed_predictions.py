# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Predicted pictures as image_transport would compress them, for viewers behind a slow network.

``~/prediction/<picture>/compressed``           JPEG
``~/prediction/<depth>/compressedDepth``        PNG of 16 bits, in millimetres

They are encoded in a thread of their own, which the worker does not wait for: where it falls
behind, the newest of each modality counts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.lifecycle import LifecyclePublisher as Publisher
from sensor_msgs.msg import CompressedImage

from smvae_core.modalities import Modality
from smvae_ros.node.latent_outputs import is_heard

_TRANSPORTS = {"image": "compressed", "depth": "compressedDepth"}


class CompressedPredictions:
    """The publishers of compressed pictures, and the thread that feeds them.

    Args:
        create: makes a publisher of a message class and a topic.
        modalities: the model's. Pictures of values, as of a thermal camera, have no publisher:
            JPEG would change the values.
        make: makes the message of a modality's prediction; called in the thread.
        warn: given a subject and a text.
    """

    def __init__(
        self,
        create: Callable[[Any, str], Publisher],
        modalities: Mapping[str, Modality],
        make: Callable[..., Any],
        warn: Callable[[str, str], None],
    ) -> None:
        self._publishers = {
            name: create(CompressedImage, f"~/prediction/{name}/{_TRANSPORTS[modality.kind]}")
            for name, modality in modalities.items()
            if modality.kind == "depth" or (modality.kind == "image" and modality.minimum is None)
        }
        self._make, self._warn = make, warn
        self._waiting: dict[str, tuple[Any, ...]] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="compression", daemon=True)

    def wanted(self) -> list[str]:
        """The modalities whose compressed predictions somebody listens to."""
        return [name for name, publisher in self._publishers.items() if is_heard(publisher)]

    def offer(self, name: str, *prediction: Any) -> None:
        """Leaves to the thread what ``make`` is to be called with after the name."""
        with self._changed:
            self._waiting[name] = prediction
            self._changed.notify()
        if self._thread.ident is None:  # nobody listened before
            self._thread.start()

    def end(self) -> None:
        """Returns when nothing is published any more."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._ended)
                if self._ended:
                    return
                name = next(iter(self._waiting))  # the one that has waited longest
                prediction = self._waiting.pop(name)
            try:
                self._publishers[name].publish(self._make(name, *prediction))
            except Exception as error:  # one bad picture must not end the others
                self._warn(name, f"a predicted {name} was not compressed: {error}")
