# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Offline work from a checkout: simulate, convert, train, evaluate (`python -m training.train`)."""

from smvae_ros.cli.loading import listen_while_loading

listen_while_loading()
