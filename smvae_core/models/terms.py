"""Log-likelihoods of several latent variables for each sample, with one pass of each decoder."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from smvae_core.models.multimodal_vae import MultimodalVAE


def log_likelihoods(
    model: MultimodalVAE,
    observations: Mapping[str, Tensor],
    z: Tensor,
    counted: Tensor,
) -> dict[str, Tensor]:
    """log p(x_i|z_s) for each modality i and each of S latent variables.

    Args:
        model: the model.
        observations: modality → (B, *shape), normalised.
        z: (S, B, D).
        counted: (S, B, M) bool; what does not count is not decoded.

    Returns:
        Modality → (S, B), zero where it does not count.
    """
    terms = {}
    for name, x in observations.items():
        mask = counted[..., model.names.index(name)]
        rows = mask.nonzero(as_tuple=True)
        term = z.new_zeros(mask.shape)
        if len(rows[0]):
            likelihood = model.decode(z[rows], [name])[name]
            log_prob = likelihood.log_prob(x.index_select(0, rows[1]))
            term = term.index_put(rows, log_prob.to(term.dtype))
        terms[name] = term
    return terms


def weighted_sum(model: MultimodalVAE, terms: Mapping[str, Tensor]) -> Tensor:
    """Σ_i λ_i log p(x_i|z), of the shape of a term."""
    return torch.stack([model.modalities[n].weight * term for n, term in terms.items()]).sum(0)
