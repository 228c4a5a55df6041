"""The commands; each file is one of `ros2 run smvae_ros`."""
