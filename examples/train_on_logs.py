# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Trains a small model on a folder of robot logs, without a configuration file.

    python examples/train_on_logs.py LOGS OUTPUT

`python -m training.simulate --output LOGS --trajectories 4 --steps 50` makes some.
"""

import sys
from pathlib import Path

from smvae_core import Modality, load_checkpoint
from smvae_core.data.logs.vision_touch.recording import convert_logs
from training.train import train

MODALITIES = {
    "rgb": {"kind": "image", "shape": [3, 16, 16]},
    "force": {"kind": "series", "shape": [6, 32], "rate": 1000.0, "weight": 10.0},
    "action": {"kind": "vector", "shape": [4], "weight": 100.0},
}

if __name__ == "__main__":
    logs, output = (Path(argument) for argument in sys.argv[1:])
    convert_logs(logs, output / "cache", [Modality(name, **m) for name, m in MODALITIES.items()])
    train(
        {
            "model": {"latent_size": 16, "modalities": MODALITIES, "objective": "predictive"},
            "data": {"cache": str(output / "cache"), "batch_size": 8, "validation_fraction": 0.25},
            "trainer": {"max_epochs": 3, "accelerator": "auto", "devices": 1},
        },
        output / "run",
    )
    model = load_checkpoint(output / "run" / "model").model
    print(f"{', '.join(model.names)} share a latent of {model.latent_size} numbers")
