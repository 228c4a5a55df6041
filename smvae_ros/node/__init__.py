"""The parts of the perception node; rclpy is imported here and in the programs only."""
