# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A model as ONNX graphs, made from its description without PyTorch.

There is one graph for each embedding network, one for the fusion of embeddings with the presence
mask as an input, and one for each decoder: 2M + 1 for M modalities, not one for each subset. Raw
prepared arrays go in, raw units come out. Weights are not in the graphs: these refer to where they
lie in the model's safetensors file.

File by file:

    build:      a model's description → all its graphs
    graph:      a graph while it grows, written like formulas
    onnx_file:  the bytes of an ONNX file
    networks:   embedding networks and decoders
    units:      prepared array → network units → raw units
    fusion:     the fusion of each model
    set_encoders: the set encoders of SMVAE
    experts:    products and mixtures of the baselines' experts
"""
