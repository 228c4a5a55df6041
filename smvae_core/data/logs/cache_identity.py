"""What tells a cache from others, wherever it lies."""

from __future__ import annotations

import hashlib
from typing import Any

from smvae_core.data.logs.dataset import LogCache


def describe_cache(cache: LogCache) -> dict[str, Any]:
    """Sizes, and a digest of some of its content: ``steps``, ``trajectories`` and ``digest``."""
    digest = hashlib.sha256()
    for name in sorted(cache.names):
        # Some rows of all: reading everything would take longer than it is worth.
        digest.update(cache.arrays[name][:: max(1, len(cache) // 64)].tobytes())
    return {
        "steps": len(cache),
        "trajectories": len(set(cache.arrays["trajectory"].tolist())),
        "digest": digest.hexdigest()[:16],
    }
