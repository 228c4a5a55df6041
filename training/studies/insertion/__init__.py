"""SMVAE, baselines and dedicated networks on the simulated insertion robot."""
