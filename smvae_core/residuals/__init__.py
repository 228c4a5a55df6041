# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Residuals of sensors, each predicted from others, and what is normal of them.

File by file:

    features:     residuals of one reading and its leave-one-out prediction
    reference:    what is normal of them: test statistics as quantiles of healthy data
    calibration:  references beside any set of other sensors, as the checkpoint keeps them
    calibrate:    a model and healthy logs → calibration
"""
