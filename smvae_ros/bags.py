"""rosbag2 bags without ROS: what reads them and what writes them."""

from __future__ import annotations

from smvae_ros.bag_reader import BagError, BagReader, Topic
from smvae_ros.bag_writer import BagWriter

__all__ = ["BagError", "BagReader", "BagWriter", "Topic"]
