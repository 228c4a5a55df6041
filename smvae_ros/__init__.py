"""The ROS 2 side: message adapters, the perception node, and tools for rosbags."""
