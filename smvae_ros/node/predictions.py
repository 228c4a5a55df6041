# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""One run of the model: what went in, what came out, and how long each stage took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from smvae_core.health.monitor import Judgement
from smvae_core.inference.inference import Encoding
from smvae_core.modalities import Modality
from smvae_ros.sensors.observations import Observations
from smvae_ros.sensors.snapshot import Snapshot


@dataclass(frozen=True)
class Predictions:
    """What is published of one moment.

    Attributes:
        observations: what the model was given.
        posterior: what it made of them.
        arrays: modality → what the model expects it to look like, in raw units, of those that
            somebody listens to.
        modalities: the model's.
        model_hash: tells models apart.
        timings: stage → seconds, in this order: ``gather`` (from receipt of the trigger until
            taken), ``convert`` (messages → arrays), ``prepare`` (→ the model's size), ``encode``,
            ``latent`` (sending ~/latent), ``decode``, ``publish`` (everything else but ~/status);
            ``total`` is all of it and what lies between.
        judgements: modality → the latest about its health, as it was before this moment.
    """

    observations: Observations
    posterior: Encoding
    arrays: Mapping[str, np.ndarray]
    modalities: Mapping[str, Modality]
    model_hash: str
    timings: dict[str, float]
    judgements: Mapping[str, Judgement] = field(default_factory=dict)

    @property
    def snapshot(self) -> Snapshot:
        """The messages that it all began with."""
        return self.observations.snapshot

    @property
    def stamp_ns(self) -> int:
        """Stamp of all outputs: that of the newest reading, 0 where none has one."""
        return self.snapshot.stamp_ns or 0
