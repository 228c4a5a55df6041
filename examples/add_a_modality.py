# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Adds a gripper (opening and effort) to the bundled robot: one block of its robot file, no code.

    python examples/add_a_modality.py

`training.convert`, `training.train` and the node read the same file (`--robot`, `robot:=`).
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import yaml

from smvae_core import SMVAE
from smvae_ros.parameters.robot_values import load_robot

document = yaml.safe_load((Path(__file__).parents[1] / "config/robots/insertion.yaml").read_text())
document["modalities"]["gripper"] = {
    "kind": "vector",
    "shape": [2],
    "ros": {
        "topic": "gripper/joint_states",
        "type": "sensor_msgs/msg/JointState",
        "fields": ["position", "effort"],
        "joints": ["finger"],
    },
}
with TemporaryDirectory() as folder:
    path = Path(folder, "with_gripper.yaml")
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    robot = load_robot(str(path))

# The model is built of whatever modalities there are. This one is not trained.
model = SMVAE(robot.modalities)
posterior = model.encode({"gripper": torch.tensor([[0.04, 0.5]]), "force": torch.zeros(1, 6, 32)})
expected = model.decode(posterior.mean, ["gripper", "rgb"])
print({name: tuple(likelihood.mean.shape) for name, likelihood in expected.items()})
print("what the node is given:", robot.parameters())
