# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The parts of the perception node; rclpy is imported here and in the programs only."""
