# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The fusion of each model, from embeddings and the presence mask to q(z|X_s), as nodes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smvae_core.graphs.experts import experts, joint_head, mixture_moments, product, with_prior
from smvae_core.graphs.graph import Value
from smvae_core.graphs.set_encoders import set_encoder

MAXIMUM_SUBSETS = 2**12  # components of a mixture


def positive(architecture: Mapping[str, Any], key: str) -> int:
    """A size out of a model's description.

    Raises:
        ValueError: where it is missing, or none.
    """
    size = architecture.get(key)
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"{key} must be a positive whole number, not {size!r}")
    return size


@dataclass(frozen=True)
class Posterior:
    """q(z|X_s) of one sample.

    Attributes:
        mean: (1, D).
        log_variance: (1, D).
        components: of a mixture: their means (C, D), their weights (C, 1), and C.
    """

    mean: Value
    log_variance: Value
    components: tuple[Value, Value, int] | None = None


@dataclass(frozen=True)
class Fusion:
    """What a model joins.

    Attributes:
        embeddings: (M, d), zero where nothing is present.
        present: (M, 1) bool.
        names: of the modalities.
        size: d.
        latent_size: D.
        given: modalities that a CVAE is conditioned on.
        architecture: the model's other arguments, as they stand in its description.
    """

    embeddings: Value
    present: Value
    names: tuple[str, ...]
    size: int
    latent_size: int
    given: tuple[str, ...]
    architecture: Mapping[str, Any]

    def experts(self) -> tuple[Value, Value]:
        """Mean and log-variance of each modality's own posterior, (M, D) each."""
        return experts(self.embeddings, self.names, self.size, self.latent_size)

    def joint(self, key: str, names: tuple[str, ...]) -> tuple[Value, Value]:
        """The posterior of a network for the embeddings of these modalities at once."""
        rows = self.rows(names, self.embeddings)
        return joint_head(rows, len(names), key, self.size, self.latent_size)

    def rows(self, names: tuple[str, ...], value: Value) -> Value:
        """Those of these modalities."""
        if names == self.names:
            return value
        return value.graph.apply("Gather", value, np.array([*map(self.names.index, names)]), axis=0)


def _smvae(f: Fusion) -> Posterior:
    name, heads = f.architecture.get("set_encoder"), positive(f.architecture, "heads")
    return Posterior(*set_encoder(name, f.embeddings, f.present, f.size, f.latent_size, heads))


def _jmvae(f: Fusion) -> Posterior:
    complete = f.present.graph.apply("ReduceMin", f.present.cast("float32")).cast("bool")
    choices = zip(f.joint("joint", f.names), product(*f.experts(), f.present), strict=True)
    mean, log_variance = (complete.where(*choice) for choice in choices)
    return Posterior(mean, log_variance)


def _mvae(f: Fusion) -> Posterior:
    always = f.present.graph.apply("Concat", f.present, np.array([[True]]), axis=0)
    return Posterior(*product(*with_prior(*f.experts(), f.latent_size), always))


def _mmvae(f: Fusion) -> Posterior:
    return _mixture(*f.experts(), f.present, len(f.names))


def _mopoe(f: Fusion) -> Posterior:
    count = len(f.names)
    if 2**count > MAXIMUM_SUBSETS:
        raise ValueError(
            f"mopoe of {count} modalities is a mixture of {2**count - 1} components, more than "
            f"{MAXIMUM_SUBSETS - 1}"
        )
    subsets = [r for n in range(count) for r in itertools.combinations(range(count), n + 1)]
    members = np.array([[i in r for i in range(count)] + [len(r) == count] for r in subsets])
    means, log_variances = product(
        *with_prior(*f.experts(), f.latent_size), f.present.graph.constant(members[..., None])
    )
    shape = len(subsets), f.latent_size
    missing = f.present.graph.apply("Not", f.present).cast("float32")
    lost = f.present.graph.constant(members[:, :-1].astype(np.float32)) @ missing
    there = lost.graph.apply("Less", lost, 0.5)
    return _mixture(means.reshape(*shape), log_variances.reshape(*shape), there, len(subsets))


def _mixture(means: Value, log_variances: Value, there: Value, count: int) -> Posterior:
    """The even mixture of those of ``count`` components that are there, (C, 1) bool."""
    counted = there.cast("float32")
    weights = counted / counted.sum(0, keepdims=True)
    return Posterior(*mixture_moments(means, log_variances, weights), (means, weights, count))


def _cvae(f: Fusion) -> Posterior:
    targets = tuple(name for name in f.names if name not in f.given)
    counted = f.rows(targets, f.present).cast("float32")
    observed = counted.graph.apply("ReduceMax", counted).cast("bool")
    choices = zip(
        f.joint("recognition", f.names), f.joint("conditional_prior", f.given), strict=True
    )
    mean, log_variance = (observed.where(*choice) for choice in choices)
    return Posterior(mean, log_variance)


FUSIONS: dict[str, Callable[[Fusion], Posterior]] = {
    "smvae": _smvae,
    "jmvae": _jmvae,
    "telbo": _jmvae,
    "mvae": _mvae,
    "mmvae": _mmvae,
    "mopoe": _mopoe,
    "cvae": _cvae,
}
