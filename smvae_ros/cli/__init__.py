# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The commands; each file is one of `ros2 run smvae_ros`."""

from smvae_ros.cli.loading import listen_while_loading

listen_while_loading()
