# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Vision&Touch logs (Lee et al., IEEE T-RO 2020).

layout:         names and layout of the files, writing them
log_file:       reading one
validation:     everything that is wrong with one
recording:      a folder of them, to be converted
"""
