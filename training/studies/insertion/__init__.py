# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""SMVAE, baselines and dedicated networks on the simulated insertion robot."""
