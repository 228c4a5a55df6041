"""A Gaussian posterior whose latent variables are correlated: a full covariance matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from smvae_core.distributions import Gaussian


@dataclass(frozen=True)
class CorrelatedGaussian:
    """N(μ, L Lᵀ) over z, with the interface of :class:`smvae_core.distributions.Gaussian`.

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
