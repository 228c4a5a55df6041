"""From messages to frames without rclpy: which sensors are live, and when readings make a frame."""
