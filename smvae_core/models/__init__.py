# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The set VAE and the models it is compared with; each file is one idea, or one paper.

File by file:

    multimodal_vae:  what all models share
    networks:        embedding networks and decoders by name
    set_encoder:     any subset of embeddings → one posterior
    posterior_head:  an embedding → the parameters of a Gaussian
    smvae:           the model
    experts, fusion: a posterior for each modality, and their products and mixtures
    jmvae, telbo, mvae, mmvae, mopoe, cvae: the baselines
    objectives:      the bounds of SMVAE
    registry:        all models by name, with their objectives
"""
