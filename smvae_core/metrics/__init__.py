# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Measures of what a model knows of what it was not shown.

File by file:

    subset_errors:        errors and skills of predictions from every subset
    subset_choice:        which subsets are measured
    importance_sampling:  log-likelihoods
"""
