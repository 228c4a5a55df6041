# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Bags through the rules of the live node, without DDS and the same every time."""
