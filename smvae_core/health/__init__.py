# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Sensor health: a live sensor whose residuals are not normal (:mod:`smvae_core.residuals`) is
isolated and reported.

    leave_one_out:  one moment, each sensor predicted from any of the others; isolation
    hysteresis:     scores over time → OK, WARN, ERROR
    monitor:        all of it over time, within a share of the time
"""
