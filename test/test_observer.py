"""Inputs of frames are decoded once, also those that were made ready before the frame was taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smvae_core.modalities import Modality
from smvae_ros.messages import MessageError
from smvae_ros.sensor_sample import Input, SensorSample
from smvae_ros.sources import Observer, Source

VECTOR = Modality("action", "vector", (2,))


class Counting:
    """An adapter whose messages are numbers."""

    def __init__(self) -> None:
        self.decoded: list[Any] = []

    def to_array(self, message: Any, modality: Modality, **_: Any) -> np.ndarray:
        self.decoded.append(message[0])
        if message[0] < 0:
            raise MessageError("negative")
        return np.full(2, message[0], np.float32)


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def observer(counting: Counting) -> Observer:
    return Observer({"action": Source(VECTOR, "/action", counting)})


def sample(value: Any) -> SensorSample:
    return SensorSample({"action": Input(value, 1, 0.0, 0.0)}, "action", 0, 0.0, {})


def test_what_is_ready_is_not_decoded_again(observer: Observer, counting: Counting) -> None:
    message = [3]
    assert observer.missing({"action": message}) == {"action": message}
    observer.prepare("action", message)
    assert observer.missing({"action": message}) == {}
    observations = observer(sample(message))
    np.testing.assert_array_equal(observations.arrays["action"], [3, 3])
    assert counting.decoded == [3]
    assert observations.timings["convert"] > 0


def test_a_newer_value_replaces_what_was_ready(observer: Observer, counting: Counting) -> None:
    observer.prepare("action", [3])
    np.testing.assert_array_equal(observer(sample([4])).arrays["action"], [4, 4])
    assert counting.decoded == [3, 4]


def test_an_equal_value_is_another_message(observer: Observer, counting: Counting) -> None:
    observer.prepare("action", [3])
    observer(sample([3]))
    assert counting.decoded == [3, 3]


def test_nothing_is_kept_beyond_a_frame(observer: Observer, counting: Counting) -> None:
    """A camera's images are large."""
    message = [3]
    observer(sample(message))
    observer(sample(message))
    assert counting.decoded == [3, 3]


def test_an_unusable_value_is_named_once_whenever_it_was_found(
    observer: Observer, counting: Counting
) -> None:
    message = [-1]
    observer.prepare("action", message)
    observations = observer(sample(message))
    assert observations.arrays == {}
    assert observations.invalid == {"action": "negative"}
    assert counting.decoded == [-1]
