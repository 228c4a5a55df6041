# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Precisions that a processor computes in, and those that it only emulates."""

from __future__ import annotations


def has_bfloat16(device: str) -> bool:
    """True if a device has instructions for bfloat16; a CPU without computes with it all the same,
    some things ten times slower than in float32."""
    if device != "cpu":
        return True
    import torch  # whose runtimes alone compute in bfloat16

    operations = torch.ops.mkldnn  # of oneDNN, which knows x86 and ARM
    asked = getattr(operations, "_is_mkldnn_bf16_supported", None)
    return asked is not None and bool(asked())


def precision_advice(precision: str, device: str) -> str | None:
    """Advice for somebody who chose a precision that makes this device slower; None where it does
    not.

    Args:
        precision: as the node's or the trainer's is named: ``bfloat16``, ``bf16-mixed``, ...
        device: that computes: ``cpu``, or a GPU.
    """
    if not precision.startswith(("bf16", "bfloat16")) or has_bfloat16(device):
        return None
    return (
        f"precision {precision}: this processor has no instructions for bfloat16 and emulates "
        "them, which is slower than 32 bits; choose those"
    )
