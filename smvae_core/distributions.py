"""The Gaussian posterior q(z|X_s) and the likelihoods p(x_i|z)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributions as D

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
        ``position`` is for mixtures (:meth:`smvae_core.mixture.Mixture.sample`)."""
        return self.mean + (0.5 * self.log_variance).exp() * noise

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
class Likelihood:
    """p(x_i|z) for a batch, all elements independent given z.

    Attributes:
        distribution: over the elements of (B, *shape); for a categorical modality over (B,)
            one-hot rows.
    """

    distribution: D.Distribution

    @property
    def mean(self) -> Tensor:
        """E[x_i|z] in normalised units, (B, *shape)."""
        return self.distribution.mean

    def sample(self) -> Tensor:
        """One draw of x_i in normalised units, (B, *shape)."""
        return self.distribution.sample()

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x_i|z) in nats, (B,). Elements of x that are NaN were not measured and count
        nothing."""
        measured = ~torch.isnan(x)
        # A NaN must be gone before log_prob: its gradient would survive a mask put on afterwards.
        log_prob = self.distribution.log_prob(torch.where(measured, x, 0.0))
        if log_prob.ndim == 1:  # categorical: one value for a whole row
            return torch.where(measured.all(1), log_prob, 0.0)
        return torch.where(measured, log_prob, 0.0).flatten(1).sum(1)


def build_likelihood(modality: Modality, location: Tensor, log_scale: Tensor) -> Likelihood:
    """The likelihood that the modality names, around what its decoder put out.

    Args:
        modality: whose likelihood.
        location: (B, *shape); logits for Bernoulli and categorical.
        log_scale: (channels, 1, ...) log of standard deviation (Gaussian) or diversity (Laplace);
            unused by the others.
    """
    if modality.likelihood == "bernoulli":
        # validate_args=False: grey values under a Bernoulli are the field's legacy protocol.
        return Likelihood(D.Bernoulli(logits=location, validate_args=False))
    if modality.likelihood == "categorical":
        return Likelihood(D.OneHotCategorical(logits=location, validate_args=False))
    family = D.Normal if modality.likelihood == "gaussian" else D.Laplace
    return Likelihood(family(location, log_scale.exp().expand_as(location), validate_args=False))
