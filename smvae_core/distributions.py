# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Posteriors q(z|X_s), Gaussian, correlated or a mixture, and likelihoods p(x_i|z)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributions as D
from torch.nn.functional import binary_cross_entropy_with_logits

from smvae_core.modalities import Modality


@dataclass(frozen=True)
class Gaussian:
    """A diagonal Gaussian over z: the posterior of Eq. 5, or with ``standard`` the prior p(z).

    Attributes:
        mean: (B, D).
        log_variance: (B, D).
    """

    mean: Tensor
    log_variance: Tensor

    @classmethod
    def standard(cls, like: Tensor) -> Gaussian:
        """N(0, I) of the shape, type and device of ``like``."""
        zeros = torch.zeros_like(like)
        return cls(zeros, zeros)

    def sample(self, noise: Tensor, position: Tensor | None = None) -> Tensor:
        """z = μ + σ ⊙ ε (Eq. 6); ``noise`` is ε, (..., D), broadcast against the batch.
        ``position`` is for mixtures (:meth:`Mixture.sample`)."""
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def unflatten(self, shape: Sequence[int]) -> Gaussian:
        """The same with the batch in this shape, so that parameters are (*shape, D)."""
        return Gaussian(*(p.unflatten(0, shape) for p in (self.mean, self.log_variance)))

    def log_prob(self, z: Tensor) -> Tensor:
        """log density of z (..., D), summed over D."""
        squared = (z - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (squared + self.log_variance + math.log(2 * math.pi)).sum(-1)

    def kl(self, other: Gaussian) -> Tensor:
        """KL(self ‖ other) in closed form, (B,) in nats."""
        ratio = self.log_variance - other.log_variance
        distance = (self.mean - other.mean).square() * (-other.log_variance).exp()
        return 0.5 * (ratio.exp() + distance - 1 - ratio).sum(-1)


@dataclass(frozen=True)
class CorrelatedGaussian:
    """N(μ, L Lᵀ) over z, with the interface of :class:`Gaussian`; its latent variables are
    correlated.

    Attributes:
        mean: μ, (..., D).
        factor: L, (..., D, D), lower triangular with a positive diagonal.
    """

    mean: Tensor
    factor: Tensor

    @classmethod
    def from_scales(
        cls, mean: Tensor, log_scale: Tensor, correlations: Tensor
    ) -> CorrelatedGaussian:
        """L = diag(s) (I + T), T strictly lower triangular.

        Args:
            mean: (..., D).
            log_scale: log s², (..., D); without correlations the log-variance.
            correlations: (..., D (D - 1) / 2), T row by row.
        """
        size = mean.shape[-1]
        rows, columns = torch.tril_indices(size, size, -1, device=mean.device)
        unit = torch.eye(size, dtype=mean.dtype, device=mean.device)
        unit = unit.expand(*mean.shape, size).clone()
        unit[..., rows, columns] = correlations.to(mean.dtype)
        return cls(mean, (0.5 * log_scale).exp()[..., None] * unit)

    @property
    def log_variance(self) -> Tensor:
        """Of each latent variable alone, (..., D)."""
        return self.factor.square().sum(-1).log()

    @property
    def _log_determinant(self) -> Tensor:
        """Of the covariance, (...)."""
        return 2 * self.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def unflatten(self, shape: Sequence[int]) -> CorrelatedGaussian:
        """The same with the batch in this shape, so that means are (*shape, D)."""
        return CorrelatedGaussian(*(p.unflatten(0, shape) for p in (self.mean, self.factor)))

    def sample(self, noise: Tensor, position: Tensor | None = None) -> Tensor:
        """z = μ + L ε; ``noise`` is ε, (..., D), broadcast against the batch. ``position`` is for
        mixtures."""
        return self.mean + torch.einsum("...ij,...j->...i", self.factor, noise)

    def log_prob(self, z: Tensor) -> Tensor:
        """log density of z, (..., D) or with more dimensions in front, summed over D."""
        difference = z - self.mean
        more = difference.ndim - self.mean.ndim
        # Many z of one sample are columns of one right-hand side.
        columns = difference.flatten(0, more - 1) if more else difference[None]
        whitened = torch.linalg.solve_triangular(self.factor, columns.movedim(0, -1), upper=False)
        squared = whitened.square().sum(-2).movedim(-1, 0)
        squared = squared.unflatten(0, difference.shape[:more]) if more else squared[0]
        return -0.5 * (squared + self._log_determinant + z.shape[-1] * math.log(2 * math.pi))

    def kl(self, other: CorrelatedGaussian | Gaussian) -> Tensor:
        """KL(self ‖ other) in closed form, (...) in nats."""
        difference = other.mean - self.mean
        if isinstance(other, Gaussian):
            precision = (-other.log_variance).exp()
            trace = (precision * self.factor.square().sum(-1)).sum(-1)
            distance = (precision * difference.square()).sum(-1)
            log_determinant = other.log_variance.sum(-1)
        else:
            batch = difference.shape
            factor = self.factor.expand(*batch, batch[-1])
            sides = torch.cat((factor, difference[..., None]), dim=-1)
            squared = torch.linalg.solve_triangular(other.factor, sides, upper=False).square()
            trace, distance = squared[..., :-1].sum((-1, -2)), squared[..., -1].sum(-1)
            log_determinant = other._log_determinant
        ratio = log_determinant - self._log_determinant
        return 0.5 * (trace + distance - self.mean.shape[-1] + ratio)


@dataclass(frozen=True)
class Mixture:
    """q(z) = Σ_c w_c N(z; μ_c, σ_c²).

    Attributes:
        components: mean and log-variance (B, C, D).
        log_weights: (B, C), log w_c; −∞ for a component that a sample does not have. Its parameters
            must be finite all the same.
    """

    components: Gaussian
    log_weights: Tensor

    @property
    def mean(self) -> Tensor:
        """E[z], (B, D)."""
        return (self._weights * self.components.mean).sum(1)

    @property
    def log_variance(self) -> Tensor:
        """Log of the variance of z, (B, D); the mixture itself is no Gaussian."""
        distance = (self.components.mean - self.mean[:, None]).square()
        return (self._weights * (self.components.log_variance.exp() + distance)).sum(1).log()

    @property
    def _weights(self) -> Tensor:
        return self.log_weights.exp()[..., None]

    def sample(self, noise: Tensor, position: Tensor) -> Tensor:
        """A draw from the component at which ``position`` falls.

        Uniform positions give draws from the mixture; evenly spaced ones give stratified draws, of
        which every component has its share.

        Args:
            noise: ε, (..., B, D).
            position: in [0, 1), (..., B); the weights cut that interval into components.

        Returns:
            z = μ_c + σ_c ⊙ ε, (..., B, D).
        """
        edges = self.log_weights.detach().double().exp().cumsum(-1)
        chosen = (position.double()[..., None] * edges[..., -1:] >= edges).sum(-1)
        # A position next to 1 can be rounded past the last component that has any weight.
        chosen = torch.minimum(chosen, (edges < edges[..., -1:]).sum(-1))
        index = chosen[..., None, None].expand(*chosen.shape, 1, noise.shape[-1])
        mean, log_variance = (
            parameter.expand(*chosen.shape, *parameter.shape[1:]).gather(-2, index).squeeze(-2)
            for parameter in (self.components.mean, self.components.log_variance)
        )
        return Gaussian(mean, log_variance).sample(noise)

    def log_prob(self, z: Tensor) -> Tensor:
        """log density of z (..., B, D) under the whole mixture, (..., B)."""
        return (self.log_weights + self.components.log_prob(z[..., None, :])).logsumexp(-1)


#: The forms that q(z|X_s) can have. All have ``mean`` and ``log_variance`` (..., D), ``sample`` and
#: ``log_prob``, the first two ``kl`` and ``unflatten`` as well.
Posterior = Gaussian | CorrelatedGaussian | Mixture


@dataclass(frozen=True)
class Likelihood:
    """p(x_i|z) for a batch, all elements independent given z.

    Attributes:
        modality: whose likelihood.
        location: (..., *shape); logits for Bernoulli and categorical.
        log_scale: (channels, 1, ...) log of standard deviation (Gaussian) or diversity (Laplace);
            unused by the others.
    """

    modality: Modality
    location: Tensor
    log_scale: Tensor

    @functools.cached_property
    def distribution(self) -> D.Distribution:
        """Over the elements of (..., *shape); for a categorical modality over one-hot rows."""
        if self.modality.likelihood == "bernoulli":
            # validate_args=False: grey values under a Bernoulli are the field's legacy protocol.
            return D.Bernoulli(logits=self.location, validate_args=False)
        if self.modality.likelihood == "categorical":
            return D.OneHotCategorical(logits=self.location, validate_args=False)
        family = D.Normal if self.modality.likelihood == "gaussian" else D.Laplace
        scale = self.log_scale.exp().expand_as(self.location)
        return family(self.location, scale, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[x_i|z] in normalised units, (..., *shape)."""
        return self.distribution.mean

    def sample(self) -> Tensor:
        """One draw of x_i in normalised units, (..., *shape)."""
        return self.distribution.sample()

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x_i|z) in nats, (...), for x (B, *shape), which is broadcast against (..., *shape).

        Elements of x that are NaN were not measured and count nothing; a row of a categorical
        modality counts only as a whole.
        """
        elements = tuple(range(1 - x.ndim, 0))
        if not x.sum().isnan():  # this takes a tenth of what the masks below take
            return self._element_log_prob(x).sum(elements)
        measured = ~torch.isnan(x)
        if self.modality.likelihood == "categorical":
            measured = measured.all(-1, keepdim=True)
        # A NaN must be gone before log_prob: its gradient would survive a mask put on afterwards.
        log_prob = self._element_log_prob(torch.where(measured, x, 0.0))
        return torch.where(measured, log_prob, 0.0).sum(elements)

    def _element_log_prob(self, x: Tensor) -> Tensor:
        """log p(x_i|z) of each element of x, (..., *shape)."""
        # Bernoulli and categorical without the distribution, which takes a while to be made.
        if self.modality.likelihood == "bernoulli":
            x = x.expand_as(self.location)
            return -binary_cross_entropy_with_logits(self.location, x, reduction="none")
        if self.modality.likelihood == "categorical":
            return x * self.location.log_softmax(-1)
        return self.distribution.log_prob(x)
