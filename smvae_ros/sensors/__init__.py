# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""From messages to observations without rclpy: what is live, and when it makes a snapshot."""
