# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""rosbag2 bags without ROS: what reads them and what writes them."""

from __future__ import annotations

from smvae_ros.bags.errors import BagError
from smvae_ros.bags.reader import BagReader
from smvae_ros.bags.topics import Topic
from smvae_ros.bags.writer import BagWriter

__all__ = ["BagError", "BagReader", "BagWriter", "Topic"]
