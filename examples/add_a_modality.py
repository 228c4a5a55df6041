# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Adds a gripper (opening and effort) to the modalities of the bundled model's configuration.

    python examples/add_a_modality.py

A modality of a known kind is configuration: one block for training, one for the node. No code.
"""

from pathlib import Path

import torch
import yaml

from smvae_core import SMVAE, Modality
from smvae_ros.parameters.declarations import modality_parameters

# For training: write the block into the YAML, or give it on the command line as
# --model.modalities.gripper '{kind: vector, shape: [2], weight: 300.0}'
configuration = Path(__file__).parents[1] / "config" / "training" / "insertion.yaml"
modalities = yaml.safe_load(configuration.read_text())["model"]["modalities"]
modalities["gripper"] = {"kind": "vector", "shape": [2], "weight": 300.0}

# The model is built of whatever modalities there are. This one is not trained.
model = SMVAE([Modality.from_dict({"name": name, **m}) for name, m in modalities.items()])
posterior = model.encode({"gripper": torch.tensor([[0.04, 0.5]]), "force": torch.zeros(1, 6, 32)})
expected = model.decode(posterior.mean, ["gripper", "rgb"])
print({name: tuple(likelihood.mean.shape) for name, likelihood in expected.items()})

# For the node: these parameters come with the checkpoint. Only the topic and its type are needed.
print("in the parameters file:")
for parameter in modality_parameters("gripper", "vector"):
    print(f"  {parameter.name}: {parameter.default!r}  # {parameter.description}")
