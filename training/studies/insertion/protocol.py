# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The robot study's runs: which model is trained, on what, and with what budget."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from smvae_core.metrics.subset_choice import Subset
from training.studies import study

# All that runs have in common but the protocol: networks, optimiser, scales and weights.
CONFIGURATION = Path(__file__).parents[3] / "config" / "training" / "insertion.yaml"

# Row of the tables → model and objective of `smvae_core.models.registry`.
METHODS: dict[str, tuple[str, str]] = {
    "smvae": ("smvae", "predictive"),
    "smvae_long": ("smvae", "predictive"),
    "mvae": ("mvae", "subsampled"),
    "mmvae": ("mmvae", "elbo"),
    "mopoe": ("mopoe", "elbo"),
}
# Times the protocol's epochs. This SMVAE takes about as long to train as the eight dedicated
# networks that it stands for take together.
EPOCHS = {"smvae_long": 2.5}
DEDICATED = "dedicated"
TARGETS = ("rgb", "depth")
ALL = ("rgb", "depth", "force", "action", "proprio")
# From what each target is predicted by a dedicated network: the limit for one model of all subsets.
DEDICATED_NETWORKS: list[tuple[Subset, str]] = [
    (given, target)
    for target, other in zip(TARGETS, TARGETS[::-1], strict=True)
    for given in (("force", "action"), ("proprio",), (other,), ALL)
]


@dataclass(frozen=True)
class Protocol:
    """What all runs of a table have in common.

    Attributes:
        epochs: of training, at most; :data:`EPOCHS` times that for some methods. The state with the
            best validation counts.
        patience: epochs without a better validation after which training ends.
        batch_size: samples in a step.
        latent_size: D, length of z.
        warm_up_steps: in which β rises from 0 to 1.
        likelihood_steps: test steps on which log-likelihoods are estimated.
        importance_samples: K.
        picture_steps: test steps on which SSIM is measured.
        classifier_steps: training steps of the classifier that judges generated images.
    """

    epochs: int = 40
    patience: int = 10
    batch_size: int = 32
    latent_size: int = 128
    warm_up_steps: int = 1000
    likelihood_steps: int = 50
    importance_samples: int = 100
    picture_steps: int = 200
    classifier_steps: int = 1000


@dataclass(frozen=True)
class Run(study.Run):
    """One model to train: a method with a seed, or a network dedicated to one subset and target.

    Attributes:
        method: of :data:`METHODS`, or ``dedicated``.
        seed: of initialisation, subsets, noise and order.
        protocol: see :class:`Protocol`.
        data: what tells its caches from others.
        given, target: of a dedicated network.
    """

    protocol: Protocol
    data: Mapping[str, Any]
    given: Subset = ()
    target: str = ""

    @property
    def title(self) -> str:
        """For people."""
        what = f" {self.target} from {'+'.join(self.given)}" if self.given else ""
        return f"{self.method}{what}, seed {self.seed}"

    @property
    def configuration(self) -> dict[str, Any]:
        """All that decides the result, as plain values."""
        own: dict[str, Any] = {"study": "insertion", "method": self.method, "seed": self.seed}
        if self.given:
            own |= {"given": list(self.given), "target": self.target}
        shared = {"protocol": asdict(self.protocol), "data": dict(self.data)}
        return json.loads(json.dumps({**own, **shared, "training": self.training("")}))

    def training(self, cache: str) -> dict[str, Any]:
        """The configuration of `training.train` for this run on a cache."""
        whole = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
        protocol, model = self.protocol, whole["model"]
        name, objective = METHODS.get(self.method, ("smvae", "regression"))
        model |= {
            "name": name,
            "objective": objective,
            "latent_size": protocol.latent_size,
            "warm_up_steps": protocol.warm_up_steps,
            "seed": self.seed,
        }
        if self.given:
            # No networks that it does not use, and no weights: there is one target.
            used = {*self.given, self.target}
            model["modalities"] = {
                name: {key: value for key, value in modality.items() if key != "weight"}
                for name, modality in model["modalities"].items()
                if name in used
            }
            model |= {"given": list(self.given), "targets": [self.target]}
        epochs = round(protocol.epochs * EPOCHS.get(self.method, 1.0))
        trainer = whole["trainer"] | {"max_epochs": epochs}
        data = whole["data"] | {
            "cache": cache,
            "batch_size": protocol.batch_size,
            "order_seed": self.seed,
        }
        return {
            "seed_everything": self.seed,
            "patience": protocol.patience,
            "calibrate": False,  # no node runs these models, and it takes minutes
            "trainer": trainer,
            "data": data,
            "model": model,
        }
