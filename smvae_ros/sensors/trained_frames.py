# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Readings in other axes than those that the model was trained on: told by their frame_id."""

from __future__ import annotations


def describe_other_frame(name: str, found: str, expected: str) -> str:
    """What is wrong with the frame_id of a modality's messages, and what to do; empty where nothing
    is, or one of the two is not known.

    Args:
        name: of the modality.
        found: in the messages; empty where they have none.
        expected: of the training's, or as configured; empty where nobody knows.
    """
    if not found or not expected or found == expected:
        return ""
    return (
        f"its frame_id is {found!r}, and the model was trained on {expected!r}: where its axes are "
        f"others, give {name}.rotation; then set {name}.frame_id to {found!r}"
    )
