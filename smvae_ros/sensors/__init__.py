"""From messages to frames without rclpy: which sensors are live, and when their readings make a frame."""
