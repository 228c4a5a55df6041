# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: message adapters, the perception node, and tools for rosbags."""
