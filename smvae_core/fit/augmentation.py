# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Random colours in training: as of another light, another camera, other paint.

A model that has seen few scenes knows them by their colours, and what it makes of an image of
another scene suffers from it, and what it makes of a set that holds the image.
"""

from __future__ import annotations

import torch
from torch import Tensor

COLOUR_NUMBERS = 13  # uniform numbers that an image needs


def jitter_colours(images: Tensor, uniform: Tensor, strength: float = 1.0) -> Tensor:
    """Each image with all its colours changed by one random affine map, (1 + a) c + M c + b.

    At strength 1 the contrast changes by up to 30 %, each channel takes up to 25 % of each, and
    gains or loses up to 0.15 standard deviations.

    Args:
        images: (B, 3, H, W), normalised.
        uniform: (B, COLOUR_NUMBERS) numbers in [0, 1); all 0.5 changes nothing.
        strength: factor of all changes; 0 for none.

    Returns:
        (B, 3, H, W).
    """
    contrast, mixing, offset = (strength * (2 * uniform - 1)).split((1, 9, 3), 1)
    maps = (1 + 0.3 * contrast[..., None]) * torch.eye(3, device=images.device)
    maps = maps + 0.25 * mixing.view(-1, 3, 3)
    changed = torch.einsum("bij,bjhw->bihw", maps, images)
    return changed + 0.15 * offset[..., None, None]
