# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What Lightning says of itself, and of what is meant so, is kept out of the log."""

from __future__ import annotations

import warnings

MESSAGES = (
    ".*does not have many workers",  # none are needed: data are in memory, or mapped into it
    ".*irectory .* exists and is not empty",  # of a run that continues
    "The dirpath has changed",  # of a run whose folder was moved, which finds its best state
    # Its own calls of what jsonargparse and torch have deprecated.
    r"(?s).*\binstantiate_classes\b.*deprecated",
    "(?s).*JsonargparseDeprecationWarning",
    ".*LeafSpec",
)


def quieten() -> None:
    """From here on nobody hears of it in this process."""
    for message in MESSAGES:
        warnings.filterwarnings("ignore", message)
