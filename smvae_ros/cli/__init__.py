"""The commands; each file is one of `ros2 run smvae_ros`."""

from smvae_ros.cli.loading import listen_while_loading

listen_while_loading()
