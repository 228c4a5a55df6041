# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What the node needs of the core, and what training does before it trains, is imported without
PyTorch, which takes seconds."""

from __future__ import annotations

import os
import subprocess
import sys

from places import ROOT
from smvae_ros.bundled import model_path

MODULES = (
    "smvae_core.inference.inference",
    "smvae_core.stored_model",
    "smvae_core.health.monitor",
    "smvae_core.residuals.calibration",
    "smvae_core.preprocessing",
    "smvae_core.precision",
    "training.convert",
    "training.simulate",
    "training.export_bag",
)


def test_torch_is_not_imported() -> None:
    code = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    assert "torch" not in sys.modules, name
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, *MODULES], env=environment, check=True)


def test_a_model_is_at_work_where_torch_cannot_be_imported() -> None:
    """From the file to a judgement of every sensor's health."""
    code = """
import sys
sys.modules["torch"] = None
import numpy as np
from smvae_core.health.monitor import HealthMonitor, HealthSettings
from smvae_core.inference.inference import Inference
inference = Inference.load(sys.argv[1])
inference.warm_up()
sample = {n: np.ones(m.raw_shape, m.raw_dtype) for n, m in inference.modalities.items()}
encoding, _ = inference.encode_finite(sample)
monitor = HealthMonitor(HealthSettings(1.0))
monitor.check(inference, encoding, sample, dict.fromkeys(sample, 0), 0.0)
assert set(monitor.judgements) <= set(sample) and monitor.checks == len(sample), monitor.judgements
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, str(model_path())], env=environment, check=True)
