"""The models that SMVAE is compared with, behind its interface and on the same networks."""
