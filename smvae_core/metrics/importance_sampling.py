# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Importance-sampled log-likelihoods: one estimator for every model.

For a target set T and a proposal set P (Burda et al. 2015; Rezende et al. 2014),

    log p(x_T) ≈ log 1/K Σ_k p(x_T|z_k) p(z_k) / q(z_k|x_P),   z_k ~ q(z|x_P),

and log p(x_T|x_G) = log p(x_T, x_G) − log p(x_G), where log p(x_G) has a proposal of its own:
q(z|x_G) or the prior. The numerator's would be concentrated where x_T is likely, too, and the
estimate of log p(x_G) would collapse.

A posterior that is a mixture is sampled stratified, each component having its share of the K draws,
and every draw is weighed by the density of the whole mixture.

The draws of a sample depend on the seed and on the sample's number only. So results do not depend
on the size or order of batches, nor on how the work is cut up to bound memory.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from smvae_core.distributions import Gaussian, Mixture, Posterior
from smvae_core.models.multimodal_vae import MultimodalVAE

BLOCK = 64  # draws of a sample that are decoded together


@dataclass(frozen=True)
class Estimate:
    """A log-likelihood for each of N samples, in nats.

    Attributes:
        value: (N,) float64.
        standard_error: (N,) float64, of the Monte-Carlo error of each value to first order; NaN for
            K = 1. For stratified draws it is an upper bound.
    """

    value: Tensor
    standard_error: Tensor

    @property
    def mean(self) -> float:
        """Average over samples."""
        return float(self.value.mean())

    @property
    def mean_error(self) -> float:
        """Standard error of that average: how it would vary with other samples and draws."""
        return float(self.value.std() / math.sqrt(len(self.value)))


class ImportanceSampler:
    """Estimates log-likelihoods of a model.

    Args:
        model: any :class:`smvae_core.models.multimodal_vae.MultimodalVAE`, in evaluation mode.
        samples: K, draws of z for each sample and estimate.
        seed: of the draws.
        max_elements: numbers in the largest tensor that a decoder puts out, or that the density of
            a mixture takes, at once; bounds memory, whatever K is. One block of 64 draws of one
            sample is the least.

    Raises:
        ValueError: for numbers below 1.
    """

    def __init__(
        self, model: MultimodalVAE, samples: int = 1000, seed: int = 0, max_elements: int = 2**18
    ) -> None:
        if min(samples, max_elements) < 1:
            raise ValueError(
                f"samples and max_elements must be positive, not {samples} and {max_elements}"
            )
        self.model = model
        self.samples = samples
        self.seed = seed
        self.max_elements = max_elements

    def log_likelihoods(
        self,
        observations: Mapping[str, Tensor],
        targets: Sequence[Collection[str]],
        proposal: Collection[str],
        index: Tensor | None = None,
    ) -> list[Estimate]:
        """log p(x_T) for several target sets T on the same z_k, which makes them comparable:
        log p(x, y) never exceeds log p(x) for a discrete y.

        Of a model whose prior is conditioned on x_G (``model.given``, as a CVAE's is), these are
        log p(x_T|x_G), and G is part of every proposal.

        Args:
            observations: modality → (N, *shape), normalised, complete (single elements may be NaN).
            targets: the sets T, each not empty.
            proposal: P; empty for the prior.
            index: (N,) int, numbers of the samples in their data set, on which their draws depend;
                by default 0..N − 1.

        Raises:
            ValueError: for sets that the observations do not have or the model does not model.
        """
        values, covariances = self._estimate(observations, targets, proposal, index, stream=0)
        return [
            Estimate(value, covariances[number, number].clamp(min=0).sqrt())
            for number, value in enumerate(values)
        ]

    def log_likelihood(
        self,
        observations: Mapping[str, Tensor],
        target: Collection[str],
        proposal: Collection[str],
        index: Tensor | None = None,
    ) -> Estimate:
        """log p(x_T); arguments and errors as :meth:`log_likelihoods`."""
        return self.log_likelihoods(observations, [target], proposal, index)[0]

    def conditional(
        self,
        observations: Mapping[str, Tensor],
        target: Collection[str],
        given: Collection[str],
        proposal: Collection[str],
        given_from_prior: bool = False,
        index: Tensor | None = None,
    ) -> Estimate:
        """log p(x_T|x_G) = log p(x_T, x_G) − log p(x_G).

        An estimate lies below the truth on average, the more so the worse its proposal. So where
        q(z|x_G) covers the posterior badly, log p(x_T|x_G) comes out too high: check log p(x_G)
        against the prior's estimate, which for a label is the better one.

        Args:
            observations: as in :meth:`log_likelihoods`.
            target: T.
            given: G, disjoint from T.
            proposal: P of the numerator; empty for the prior.
            given_from_prior: whether the proposal of log p(x_G) is the prior, as in the paper,
                instead of q(z|x_G).
            index: as in :meth:`log_likelihoods`.

        Raises:
            ValueError: as :meth:`log_likelihoods`; for T and G that overlap; for G without what
                the model's prior is conditioned on.
        """
        own = set(self.model.given)
        target, given, proposal = set(target), set(given), set(proposal) - own
        if target & given:
            raise ValueError(f"target and given both have {', '.join(sorted(target & given))}")
        if not own <= given:
            raise ValueError(f"this model is always given {', '.join(self.model.given)}")
        rest = given - own
        if not rest:
            return self.log_likelihood(observations, target, proposal, index)
        given_proposal = set() if given_from_prior else rest
        sets = [target | rest, rest]
        if proposal == given_proposal:
            values, covariances = self._estimate(observations, sets, proposal, index, stream=0)
            variance = covariances[0, 0] + covariances[1, 1] - 2 * covariances[0, 1]
        else:  # the draws are independent, and so are the errors
            parts = [
                self._estimate(observations, [names], source, index, stream)
                for stream, (names, source) in enumerate(
                    zip(sets, (proposal, given_proposal), strict=True)
                )
            ]
            values = torch.cat([value for value, _ in parts])
            variance = torch.stack([covariance[0, 0] for _, covariance in parts]).sum(0)
        return Estimate(values[0] - values[1], variance.clamp(min=0).sqrt())

    @torch.inference_mode()
    def _estimate(
        self,
        observations: Mapping[str, Tensor],
        targets: Sequence[Collection[str]],
        proposal: Collection[str],
        index: Tensor | None,
        stream: int,
    ) -> tuple[Tensor, Tensor]:
        """Estimates (T, N) and the covariances of their errors (T, T, N)."""
        count = self._check(observations, targets, proposal, index)
        numbers = range(count) if index is None else index.tolist()
        modalities = [self.model.modalities[name] for names in targets for name in names]
        _, posterior = self._distributions({n: x[:1] for n, x in observations.items()}, proposal)
        elements = max(_size(posterior), *(math.prod(modality.shape) for modality in modalities))
        step = max(1, self.max_elements // (BLOCK * elements))
        sums, pairs = [], []
        chunks = range(0, count, step)
        for first in tqdm(chunks, "importance sampling", disable=None, leave=False):
            rows = slice(first, first + step)
            chunk = {name: x[rows] for name, x in observations.items()}
            draws = _Draws(self.seed, numbers[rows], stream, self.samples, self.model.latent_size)
            total, pair = self._sums(chunk, targets, proposal, draws)
            sums.append(total.cpu())
            pairs.append(pair.cpu())
        total, pair = torch.cat(sums, dim=-1), torch.cat(pairs, dim=-1)
        # Var[log Ŵ] ≈ Var[Ŵ] / Ŵ², and likewise for two estimates on the same draws.
        ratio = (pair - total[:, None] - total[None]).exp()
        return total - math.log(self.samples), (self.samples * ratio - 1) / (self.samples - 1)

    def _check(
        self,
        observations: Mapping[str, Tensor],
        targets: Sequence[Collection[str]],
        proposal: Collection[str],
        index: Tensor | None,
    ) -> int:
        """The number of samples; ValueError where something does not fit."""
        if not observations or not all(map(len, observations.values())):
            raise ValueError("a likelihood needs observations of at least one sample")
        if not targets or not all(targets):
            raise ValueError("a likelihood needs a target set that is not empty")
        needed = set(self.model.given).union(proposal, *targets)
        missing = sorted(needed - set(observations))
        if missing:
            raise ValueError(
                f"no observations of {', '.join(missing)}; there are {', '.join(observations)}"
            )
        conditioned = sorted(set(self.model.given).intersection(*[set().union(*targets)]))
        if conditioned:
            raise ValueError(
                f"{', '.join(conditioned)} cannot be a target: the model is always given it"
            )
        sizes = {name: len(x) for name, x in observations.items()}
        if index is not None:
            sizes["index"] = len(index)
        if len(set(sizes.values())) > 1:
            raise ValueError(f"observations differ in their number of samples: {sizes}")
        return next(iter(sizes.values()))

    def _sums(
        self,
        observations: Mapping[str, Tensor],
        targets: Sequence[Collection[str]],
        proposal: Collection[str],
        draws: _Draws,
    ) -> tuple[Tensor, Tensor]:
        """log Σ_k w_k for each target set, (T, B), and log Σ_k w_k w'_k for each two, (T, T, B)."""
        prior, posterior = self._distributions(observations, proposal)
        names = sorted(set().union(*targets))
        total = pair = torch.tensor(-torch.inf, dtype=torch.float64, device=prior.mean.device)
        for noise, position in draws.blocks(prior.mean):
            z = posterior.sample(noise, position)
            log_ratio = prior.log_prob(z) - posterior.log_prob(z)
            terms = {  # one decoder after the other: memory holds the output of one
                name: self.model.decode(z, [name])[name].log_prob(observations[name])
                for name in names
            }
            log_weights = torch.stack(
                [log_ratio + sum(terms[name] for name in target) for target in targets]
            ).double()
            total = torch.logaddexp(total, log_weights.logsumexp(1))
            products = log_weights[:, None] + log_weights[None]
            pair = torch.logaddexp(pair, products.logsumexp(2))
        return total, pair

    def _distributions(
        self, observations: Mapping[str, Tensor], proposal: Collection[str]
    ) -> tuple[Gaussian, Posterior]:
        """p(z) and q(z|x_P)."""
        prior = self.model.prior(observations)
        if not proposal:
            return prior, prior
        known = {*proposal, *self.model.given}
        return prior, self.model.encode(
            {name: observations[name] for name in self.model.names if name in known}
        )


def _size(posterior: Posterior) -> int:
    """Numbers that the density of one draw takes."""
    if isinstance(posterior, Mixture):
        posterior = posterior.components
    return posterior.mean[0].numel()


class _Draws:
    """Random numbers of some samples, each from a generator of its own."""

    def __init__(
        self, seed: int, numbers: Sequence[int], stream: int, samples: int, latent_size: int
    ) -> None:
        self._generators = [
            # Two streams: of an estimate, and of the log p(x_G) that is subtracted from it.
            torch.Generator().manual_seed((seed * 1_000_003 + number) * 2 + stream)
            for number in numbers
        ]
        self._samples, self._latent_size = samples, latent_size

    def blocks(self, like: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Noise (k, B, D), of the type and device of ``like``, and positions (k, B) for mixtures,
        evenly spaced in [0, 1) over all K draws; K in total, at most 64 at a time."""
        offset = torch.cat(
            [torch.rand(1, dtype=torch.float64, generator=g) for g in self._generators]
        )
        for first in range(0, self._samples, BLOCK):
            count = min(BLOCK, self._samples - first)
            # Whole blocks, so that the first draws are the same for every K.
            noise = torch.stack(
                [
                    torch.randn(BLOCK, self._latent_size, dtype=like.dtype, generator=g)
                    for g in self._generators
                ],
                dim=1,
            )[:count]
            numbers = torch.arange(first, first + count, dtype=torch.float64)
            position = (numbers[:, None] + offset) / self._samples
            yield noise.to(like.device), position.to(like.device)
