"""Set multimodal variational autoencoder: the model, its mathematics and its data. No ROS here."""

__version__ = "0.1.0"
