# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Training with Lightning.

File by file:

    data:                  a data set that is split, opened and described to the model
    principal_components:  of the training split, for networks that begin with them
    module:                a training step, a validation step
    callbacks:             the state of a run, safe from interruption
    sample_noise:          random numbers by seed, epoch and sample
    augmentation:          random changes of observations
    muon:                  Muon for matrices, Adam for the rest
"""
