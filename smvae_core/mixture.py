"""A mixture of Gaussians over z: the joint posterior of MMVAE and MoPoE."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from smvae_core.distributions import Gaussian


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
