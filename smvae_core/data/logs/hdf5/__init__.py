# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""HDF5.

files:          opening a file in whatever state it is
recorded_steps: how far a recorder came
recording:      files of any layout, to be converted
episode:        where an episode's readings are
readings:       the readings of one sensor
"""
