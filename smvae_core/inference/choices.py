# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Choices for a model at work, by name; no library is needed, so that a launch file can ask."""

PRECISIONS = ("float32", "bfloat16", "float16")
ONNX_RUNTIMES = ("onnx", "tensorrt")
RUNTIMES = (*ONNX_RUNTIMES, "eager", "cuda_graphs")
AUTO = "auto"  # of the runtimes: see smvae_core.inference.runtime
