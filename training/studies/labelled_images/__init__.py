"""SMVAE and every baseline on labelled images: likelihoods, coherence, probes."""
