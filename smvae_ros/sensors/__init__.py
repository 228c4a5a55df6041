"""From messages to observations without rclpy: what is live, and when it makes a snapshot."""
