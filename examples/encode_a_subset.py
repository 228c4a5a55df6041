# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Encodes action and joints of a recorded moment, and predicts what the cameras would see.

    python examples/encode_a_subset.py

Only the last messages before that moment are read from the bundled bag.
"""

import numpy as np

from smvae_core import Inference
from smvae_core.preprocessing import prepare
from smvae_ros.bags import BagReader
from smvae_ros.bundled import bag_path, model_path
from smvae_ros.messages import adapter

TOPICS = {"depth": "/camera/depth/image_raw", "action": "/action", "proprio": "/joint_states"}

inference = Inference.load(model_path())
observations = {}
with BagReader(bag_path()) as bag:
    for name, topic in TOPICS.items():
        modality = inference.modalities[name]
        # The last message of the first ten seconds: message → reading → prepared array.
        *_, (_, type_name, _, data) = bag.messages([topic], end_ns=bag.start_ns + 10 * 10**9)
        reading = adapter(type_name).to_array(
            bag.deserialise(type_name, data),
            modality,
            scale=0.05 if name == "action" else 1.0,  # m/s → m in a step of 50 ms
            joint_names=("x", "y", "z", "yaw"),
        )
        observations[name] = prepare(modality, reading)

# Any subset of the modalities may be encoded, and any may be predicted from it.
encoding = inference.encode({name: observations[name] for name in ("action", "proprio")})
expected = inference.decode(encoding, ("rgb", "depth"))

millimetres = 1000 * np.nanmedian(abs(expected["depth"] - observations["depth"]))
print(f"a latent of {len(encoding.mean)} numbers from action and joints")
print(f"rgb {expected['rgb'].shape}, and depth, off by {millimetres:.1f} mm (median of its pixels)")
