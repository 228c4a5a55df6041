# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A trained model at work on one observation after the other.

File by file:

    inference:       encode, leave out, decode
    choices:         names of precisions and runtimes
    devices:         which GPUs there are
    runtime:         ways to run the networks: what they have in common, and which one is chosen
    onnx_runtime:    that of ONNX Runtime
    torch_runtimes:  those of PyTorch
"""
