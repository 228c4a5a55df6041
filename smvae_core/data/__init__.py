# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Data sets, and batches of them.

File by file:

    batches:  batches of any data set, in an order of seed and epoch alone
    samples:  a data set as columns in memory
    logs:     robot logs and their cache
    images:   the image data sets of the paper
"""
