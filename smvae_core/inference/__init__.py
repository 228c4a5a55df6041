# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A trained model at work on one observation after the other.

File by file:

    inference:  encode, leave out, decode
    choices:    names of precisions and runtimes
    runtimes:   ways to run the networks
    im2col:     networks as matrix products, for one sample on a CPU
"""
