# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""SMVAE and every baseline on labelled images: likelihoods, coherence, probes."""
