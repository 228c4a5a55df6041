# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A line of the study: a method, a seed, and the protocol that all share."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from smvae_core.data.samples import Samples
from smvae_core.modalities import ModalityOptions, Network
from training.studies import study
from training.studies.labelled_images.data_sets import DATA_SETS, DataSet, Folders


@dataclass(frozen=True)
class Method:
    """A row of the table: model and objective of `smvae_core.models.registry`.

    Attributes:
        set_encoder: of SMVAE, if not the usual one.
    """

    model: str
    objective: str
    set_encoder: str | None = None


METHODS: dict[str, Method] = {
    "smvae": Method("smvae", "masked-pair", "correlated_attention"),
    "smvae-diagonal": Method("smvae", "masked-pair", "prior_attention"),
    "smvae-masked": Method("smvae", "masked"),
    "smvae-subset": Method("smvae", "subset"),
    "jmvae": Method("jmvae", "kl"),
    "mvae": Method("mvae", "subsampled"),
    "mmvae": Method("mmvae", "elbo"),
    "mmvae-dreg": Method("mmvae", "dreg"),
    "mopoe": Method("mopoe", "elbo"),
    "cvae": Method("cvae", "elbo"),
    "telbo": Method("telbo", "triple"),
}


@dataclass(frozen=True)
class Protocol:
    """What the rows of one table have in common: data, networks, budget and estimator.

    Attributes:
        dataset: name in :data:`training.studies.labelled_images.data_sets.DATA_SETS`.
        pixels: ``dynamic`` or ``grey``, see
            :func:`smvae_core.data.images.labelled_images.load_labelled_images`; of faces
            ``colour``: values in 0..1 under a Bernoulli likelihood, too.
        epochs: of training; the learning rate falls to zero along a cosine over them.
        batch_size: samples in a step.
        learning_rate: highest rate of Adam.
        warm_up_steps: in which β rises from 0 to 1.
        latent_size: D.
        embedding_size: d.
        image_network, image_widths: embedding network and decoder of images; by default
            784-512-512-d and D-512-512-784.
        label_widths: hidden layers of both networks of the label.
        validation: training images held out; 0 where the data set's own split has some.
        test_images: the first ones of the test set, on which likelihoods are measured.
        importance_samples: K.
    """

    dataset: str = "mnist"
    pixels: Literal["dynamic", "grey", "colour"] = "dynamic"
    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 1e-3
    warm_up_steps: int = 200
    latent_size: int = 20
    embedding_size: int = 128
    image_network: str = "mlp"
    image_widths: tuple[int, ...] = (512, 512)
    label_widths: tuple[int, ...] = (256,)
    validation: int = 5000
    test_images: int = 2000
    importance_samples: int = 1000

    @classmethod
    def usual(cls, dataset: str, **fields: Any) -> Protocol:
        """The usual protocol of a data set, but for these fields.

        Raises:
            ValueError: for pixels that the data set does not have.
        """
        entry = DATA_SETS[dataset]
        fields = {"pixels": entry.pixels[0], **entry.usual, **fields}
        if fields["pixels"] not in entry.pixels:
            known = " or ".join(entry.pixels)
            raise ValueError(f"pixels of {dataset} must be {known}, not {fields['pixels']}")
        network = fields.get("image_network", cls.image_network)
        fields.setdefault("image_widths", entry.widths.get(network, entry.widths["convolution"]))
        return cls(dataset, **fields)

    @property
    def data_set(self) -> DataSet:
        """What is known of the data set."""
        return DATA_SETS[self.dataset]

    @property
    def legacy(self) -> Protocol | None:
        """The same on grey values; None where these are not binarised ones."""
        return replace(self, pixels="grey") if self.pixels == "dynamic" else None

    def modalities(self) -> dict[str, ModalityOptions]:
        """The modalities, with the networks that all methods share."""
        image = Network(self.image_network, self.image_widths)
        return self.data_set.modalities(image, Network("mlp", self.label_widths))

    def open(self, folders: Folders, seed: int) -> Samples:
        """The data set; the seed is of the pixels that are drawn in training.

        Raises:
            DataSetError: where it cannot be used.
        """
        return self.data_set.open(folders, self.pixels, self.validation, seed)


@dataclass(frozen=True)
class Run(study.Run):
    """One line of the study: a method, a seed and the protocol."""

    protocol: Protocol

    @property
    def configuration(self) -> dict[str, Any]:
        """All that decides the result, as plain values."""
        chosen = {key: value for key, value in asdict(METHODS[self.method]).items() if value}
        own = {"method": self.method, **chosen, "seed": self.seed}
        return json.loads(json.dumps({**own, "protocol": asdict(self.protocol)}))
