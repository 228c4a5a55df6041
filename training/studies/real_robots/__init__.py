# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Recordings of real robots: a model beside dedicated networks and trivial predictors."""
