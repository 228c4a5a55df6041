"""One run of the model: what went in, what came out, and how long each stage took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from smvae_core.health.monitor import Judgement
from smvae_core.inference.inference import Prediction
from smvae_core.modalities import Modality
from smvae_ros.sensors.snapshot import SensorSample


@dataclass(frozen=True)
class Frame:
    """What is published of one moment.

    Attributes:
        sample: the inputs, with ages; their values have been consumed.
        arrays: what they were to the model: prepared arrays by modality.
        prediction: the posterior, and the observations that somebody listens to.
        modalities: the model's.
        model_hash: tells models apart.
        timings: stage → seconds, in this order: ``gather`` (from receipt of the trigger until
            taken), ``convert`` (messages → arrays), ``prepare`` (→ the model's size), ``encode``,
            ``latent`` (sending ~/latent), ``decode``, ``publish`` (everything else but ~/status);
            ``total`` is all of it and what lies between.
        judgements: modality → the latest about its health, as it was before this moment.
    """

    sample: SensorSample
    arrays: Mapping[str, np.ndarray]
    prediction: Prediction
    modalities: Mapping[str, Modality]
    model_hash: str
    timings: dict[str, float]
    judgements: Mapping[str, Judgement] = field(default_factory=dict)

    @property
    def stamp_ns(self) -> int:
        """Stamp of all outputs: that of the newest input, 0 where no input has one."""
        return self.sample.stamp_ns or 0
