# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The parts that SMVAE and its baselines share: embedding networks, decoders and likelihoods.

    encode: observations → embedding networks E_i → the model's own fusion → q(z|X_s)
    decode: z → decoders D_i → likelihoods p(x_i|z)

A modality that is absent is simply not among the observations; its embedding network is not run.
Where samples of one batch miss different modalities, a mask does the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from smvae_core.distributions import Gaussian, Likelihood, Mixture, Posterior
from smvae_core.modalities import Modality, check_names
from smvae_core.models.network_checks import check_values
from smvae_core.models.networks import (
    ALL,
    build_decoder,
    build_embedding,
    initialise,
    set_principal_components,
)


def without_holes(x: Tensor) -> Tensor:
    """An observation as an embedding network sees it: elements that are NaN or infinite were not
    measured, and in normalised units zero is their mean."""
    return torch.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)


class MultimodalVAE(nn.Module):
    """Base of all models. One differs from another in :meth:`encode_embeddings`, with the networks
    that it needs, and in the objectives it is trained with (:mod:`smvae_core.models.registry`).

    A constructor adds those networks between ``super().__init__(...)`` and
    :meth:`_add_decoders`.

    Args:
        modalities: in the order in which columns of a present mask stand.
        latent_size: D, length of z.
        embedding_size: d, length of every E_i(x_i).

    Attributes:
        kind: the model's name in checkpoints and configurations.
        given: modalities that the prior is conditioned on and that are not modelled themselves.

    Raises:
        ValueError: for modalities, networks and sizes that do not fit each other.
    """

    kind: ClassVar[str]
    given: tuple[str, ...] = ()

    def __init__(
        self, modalities: Sequence[Modality], latent_size: int, embedding_size: int
    ) -> None:
        super().__init__()
        check_names(modalities)
        _check_free(modalities)
        if min(latent_size, embedding_size) < 1:
            raise ValueError(
                "latent_size and embedding_size must be positive, not "
                f"{latent_size} and {embedding_size}"
            )
        check_values(self.kind, modalities, latent_size)
        self.modalities = {modality.name: modality for modality in modalities}
        self.latent_size = latent_size
        self.embedding_size = embedding_size
        self.embeddings = nn.ModuleDict(
            {m.name: build_embedding(m, embedding_size) for m in modalities}
        )

    def _add_decoders(self) -> None:
        """Adds decoders, learned scales and training means, and initialises all networks."""
        modalities = self.modalities.values()
        self.decoders = nn.ModuleDict({m.name: self._build_decoder(m) for m in modalities})
        self.log_scales = nn.ParameterDict({m.name: self._initial_log_scale(m) for m in modalities})
        # The mean of the training split, in normalised units. A continuous decoder adds to it, so
        # that it need not learn a static background; it is also the floor that predictions are
        # measured against.
        for modality in modalities:
            self.register_buffer(f"training_mean_{modality.name}", torch.zeros(modality.shape))
        self.apply(initialise)

    def _build_decoder(self, modality: Modality) -> nn.Module:
        return build_decoder(modality, self.latent_size)

    @staticmethod
    def _initial_log_scale(modality: Modality) -> nn.Parameter:
        shape = (modality.shape[0],) + (1,) * (len(modality.shape) - 1)
        learned = modality.scale is None and modality.is_continuous
        scale = 1.0 if modality.scale is None else float(modality.scale)
        return nn.Parameter(torch.full(shape, scale).log(), requires_grad=learned)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all modalities, in the order of the columns of a present mask."""
        return tuple(self.modalities)

    @property
    def architecture(self) -> dict[str, Any]:
        """The constructor's arguments other than the modalities, for a checkpoint."""
        return {"latent_size": self.latent_size, "embedding_size": self.embedding_size}

    def training_mean(self, name: str) -> Tensor:
        """Mean of the training split in normalised units, of the modality's shape; zeros before it
        has been set with :meth:`set_training_mean`."""
        return self.get_buffer(f"training_mean_{name}")

    def set_training_mean(self, name: str, mean: Tensor) -> None:
        """Stores the mean of the training split, in normalised units, of the modality's shape."""
        self.training_mean(name).copy_(mean)

    def set_principal_components(
        self, name: str, directions: Tensor, scales: Tensor, share: slice = ALL
    ) -> None:
        """Gives a modality's networks the principal components of the training split, in normalised
        units; after :meth:`set_training_mean`. Arguments as
        :func:`smvae_core.models.networks.set_principal_components`."""
        for networks in (self.embeddings, self.decoders):
            if name in networks:
                mean = self.training_mean(name)
                set_principal_components(networks[name], directions, scales, mean, share)

    def embed(self, observations: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """E_i(x_i) for the observations given, each (B, d), in their order.

        Raises:
            ValueError: without observations, or with a name that the model does not know.
        """
        self._check(observations)
        if not observations:
            raise ValueError("encode needs at least one observation")
        return {name: self.embeddings[name](without_holes(x)) for name, x in observations.items()}

    def encode_embeddings(
        self, embeddings: Mapping[str, Tensor], present: Tensor | None = None
    ) -> Posterior:
        """q(z|X_s) from embeddings (Eq. 7); cheap, so that many subsets can share one
        :meth:`embed`.

        Args:
            embeddings: what :meth:`embed` returned, or some of it, in any order.
            present: (B, M) bool in the order of :attr:`names`, False where a sample misses a
                modality; ``None``: all that are given are present.
        """
        raise NotImplementedError

    def encode_subsets(self, embeddings: Mapping[str, Tensor], subsets: Tensor) -> Posterior:
        """q(z|X_s) of several subsets of the same embeddings.

        Args:
            embeddings: what :meth:`embed` returned.
            subsets: (R, B, M) bool, each row with a True among the modalities given.

        Returns:
            The posterior; its mean and log-variance are (R, B, D).
        """
        repeated = {name: e.repeat(len(subsets), 1) for name, e in embeddings.items()}
        posterior = self.encode_embeddings(repeated, subsets.flatten(0, 1))
        return posterior.unflatten(subsets.shape[:-1])

    def encode(
        self, observations: Mapping[str, Tensor], present: Tensor | None = None
    ) -> Posterior:
        """q(z|X_s) for any subset of modalities in any order.

        Args:
            observations: modality name → (B, *shape), normalised; at least one.
            present: (B, M) bool as in :meth:`encode_embeddings`. Every row needs a True among the
                modalities given.

        Returns:
            The posterior; its mean and log-variance are (B, D).

        Raises:
            ValueError: without observations, or with a name that the model does not know.
        """
        return self.encode_embeddings(self.embed(observations), present)

    def prior(self, observations: Mapping[str, Tensor]) -> Gaussian:
        """p(z) = N(0, I) for every sample of these observations, (B, D)."""
        batch = len(next(iter(observations.values())))
        parameter = next(self.parameters())
        return Gaussian.standard(parameter.new_zeros(batch, self.latent_size))

    def decode(self, z: Tensor, names: Iterable[str] | None = None) -> dict[str, Likelihood]:
        """p(x_i|z) for the modalities asked for (all by default); no other decoder is run.

        Args:
            z: (B, D), or (..., B, D) for several z of each sample.
            names: modalities; all by default.

        Raises:
            ValueError: for a name that the model does not know.
        """
        names = self.names if names is None else tuple(names)
        self._check(names)
        flat = z.flatten(0, -2)
        outputs = {name: self.decoders[name](flat) for name in names}
        return {
            name: self.likelihood(name, output.unflatten(0, z.shape[:-1]))
            for name, output in outputs.items()
        }

    def predict(
        self, posterior: Posterior, names: Iterable[str] | None = None
    ) -> dict[str, Tensor]:
        """The modalities asked for as the decoders expect them, (B, *shape), in network units: at
        the posterior's mean. Of a mixture it is the average over what they expect at the means of
        its components; the mean of all may lie where no component is.

        Args:
            posterior: of B samples.
            names: modalities; all by default.

        Raises:
            ValueError: for a name that the model does not know.
        """
        if not isinstance(posterior, Mixture):
            return {name: p.mean for name, p in self.decode(posterior.mean, names).items()}
        totals: dict[str, Tensor] = {}
        means, weights = posterior.components.mean, posterior.log_weights.exp()
        for mean, weight in zip(means.unbind(1), weights.unbind(1), strict=True):
            for name, likelihood in self.decode(mean, names).items():
                x = likelihood.mean
                part = weight.view(-1, *(1 for _ in x.shape[1:])) * x
                totals[name] = totals[name] + part if name in totals else part
        return totals

    def likelihood(self, name: str, output: Tensor) -> Likelihood:
        """p(x_i|z), given what the modality's decoder put out for z, (..., B, *shape)."""
        modality = self.modalities[name]
        location = output + self.training_mean(name) if modality.is_continuous else output
        return Likelihood(modality, location, self.log_scales[name])

    def log_likelihoods(
        self, observations: Mapping[str, Tensor], z: Tensor, counted: Tensor
    ) -> dict[str, Tensor]:
        """log p(x_i|z_s) for each modality i and each of S latent variables, with one pass of each
        decoder.

        Args:
            observations: modality → (B, *shape), normalised.
            z: (S, B, D).
            counted: (S, B, M) bool; what does not count is not decoded.

        Returns:
            Modality → (S, B), zero where it does not count.
        """
        terms = {}
        for name, x in observations.items():
            mask = counted[..., self.names.index(name)]
            rows = mask.nonzero(as_tuple=True)
            term = z.new_zeros(mask.shape)
            if len(rows[0]):
                likelihood = self.decode(z[rows], [name])[name]
                log_prob = likelihood.log_prob(x.index_select(0, rows[1]))
                term = term.index_put(rows, log_prob.to(term.dtype))
            terms[name] = term
        return terms

    def weighted_sum(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Σ_i λ_i log p(x_i|z), of the shape of a term."""
        return torch.stack([self.modalities[n].weight * term for n, term in terms.items()]).sum(0)

    def _stack(
        self, embeddings: Mapping[str, Tensor], present: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Embeddings (B, m, d) in the order given, and their columns of the mask,
        (..., B, m)."""
        stacked = torch.stack(tuple(embeddings.values()), dim=1)
        return stacked, None if present is None else self._columns(present, embeddings)

    def _columns(self, present: Tensor, names: Iterable[str]) -> Tensor:
        """Columns of a mask (..., M), in the order of the names."""
        names = tuple(names)
        if names == self.names:
            return present
        # Not by a list of their numbers: that would be copied to the device each time, which a GPU
        # waits for, and which no CUDA graph may hold.
        return torch.stack([present[..., self.names.index(name)] for name in names], dim=-1)

    def _check(self, names: Iterable[str]) -> None:
        unknown = [name for name in names if name not in self.modalities]
        if unknown:
            raise ValueError(
                f"unknown modality {', '.join(unknown)}; the model has {', '.join(self.names)}"
            )


def _check_free(modalities: Sequence[Modality]) -> None:
    """Raises ValueError for a name that PyTorch's containers of networks need for themselves."""
    containers = nn.ModuleDict(), nn.ParameterDict()
    taken = [m.name for m in modalities if any(hasattr(c, m.name) for c in containers)]
    if taken:
        raise ValueError(
            f"a modality cannot be named {taken[0]!r}, which is a method of PyTorch's modules; "
            "choose another name"
        )
