# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The stage that measures log-likelihoods of a run's model."""

from __future__ import annotations

from typing import Any

import torch

from smvae_core.metrics.importance_sampling import Estimate, ImportanceSampler
from smvae_core.models.multimodal_vae import MultimodalVAE
from training.studies.labelled_images.protocol import Run
from training.studies.labelled_images.run_data import RunData
from training.studies.ledger import RunFailed

PROPOSALS = ("proposal_xy", "proposal_x")  # what q(z|·) of the estimates sees
MEASURES = ("log_p_xy", "log_p_x", "log_p_x_given_y")
_LABEL_SEED = 1_000_000  # so that the draws of log p(y) are not those of log p(x, y)


def log_likelihoods(model: MultimodalVAE, run: Run, data: RunData) -> dict[str, Any]:
    """log p(x, y), log p(x) and log p(x|y) with both proposals on the first test images.

    log p(x, y) and log p(x) share their z_k. In log p(x|y) = log p(x, y) − log p(y) the proposal of
    log p(y) is the prior for every model, as in the paper: a mixture's own q(z|y) covers the
    posterior badly, which makes log p(y) too low and the difference too high.

    Of a CVAE there is log p(x|y) only, and its q(z|x, y) always sees the label.

    Returns:
        ``proposal_xy`` and ``proposal_x`` → measure → ``mean`` in nats, ``standard_error`` of it
        over images, ``monte_carlo_error`` of it from K draws; ``log_p_y`` likewise. What the model
        does not have is missing.
    """
    protocol = run.protocol
    observed = data.observations(model, "test", protocol.test_images)
    samples = protocol.importance_samples
    y = protocol.data_set.label
    sampler = ImportanceSampler(model, samples, run.seed)
    if model.given:
        estimate = sampler.log_likelihood(observed, ["image"], ["image", y])
        return {"proposal_xy": {"log_p_x_given_y": _summary(estimate)}}
    # The seed moves every draw, so the errors of log p(y) are independent of those of log p(x, y).
    of_label = ImportanceSampler(model, samples, run.seed + _LABEL_SEED)
    label = of_label.log_likelihood(observed, [y], ())
    results: dict[str, Any] = {}
    targets = [("image", y), ("image",)]
    for proposal, names in zip(PROPOSALS, targets, strict=True):
        both, image = sampler.log_likelihoods(observed, targets, names)
        error = (both.standard_error.square() + label.standard_error.square()).sqrt()
        conditional = Estimate(both.value - label.value, error)
        estimates = zip(MEASURES, (both, image, conditional), strict=True)
        results[proposal] = {name: _summary(estimate) for name, estimate in estimates}
    return {**results, "log_p_y": _summary(label)}


def _summary(estimate: Estimate) -> dict[str, float]:
    if not bool(torch.isfinite(estimate.value).all()):
        raise RunFailed("a likelihood is not finite, no result was written")
    count = len(estimate.value)
    monte_carlo = float(estimate.standard_error.square().sum().sqrt()) / count
    return {
        "mean": round(estimate.mean, 4),
        "standard_error": round(estimate.mean_error, 4),
        "monte_carlo_error": round(monte_carlo, 4),
    }
