"""The Gaussian posterior q(z|X_s) and the likelihoods p(x_i|z)."""

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
        ``position`` is for mixtures (:meth:`smvae_core.mixture.Mixture.sample`)."""
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
        """What each element of x adds to log p(x_i|z), (..., *shape)."""
        # Bernoulli and categorical without the distribution, which takes a while to be made.
        if self.modality.likelihood == "bernoulli":
            x = x.expand_as(self.location)
            return -binary_cross_entropy_with_logits(self.location, x, reduction="none")
        if self.modality.likelihood == "categorical":
            return x * self.location.log_softmax(-1)
        return self.distribution.log_prob(x)
