"""The set VAE and the models it is compared with; each file is one idea, or one paper."""
