"""The forms that a posterior q(z|X_s) can have."""

from __future__ import annotations

from smvae_core.correlated_gaussian import CorrelatedGaussian
from smvae_core.distributions import Gaussian
from smvae_core.mixture import Mixture

#: All have ``mean`` and ``log_variance`` (..., D), ``sample`` and ``log_prob``, the first two
#: ``kl`` and ``unflatten`` as well.
Posterior = Gaussian | CorrelatedGaussian | Mixture
