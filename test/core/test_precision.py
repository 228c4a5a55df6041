# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A precision that a processor only emulates is named where it is chosen."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from places import ROOT
from small_caches import make_cache
from small_training import write_config
from smvae_core.precision import has_bfloat16, precision_advice
from training.train import main

CPU = "cpu"


def test_other_precisions_and_devices_need_no_advice() -> None:
    for precision in ("float32", "32-true", "16-mixed", "float16"):
        assert precision_advice(precision, CPU) is None
    for precision in ("bfloat16", "bf16-mixed", "bf16-true"):
        assert precision_advice(precision, "cuda") is None
        assert (precision_advice(precision, CPU) is None) == has_bfloat16(CPU)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="oneDNN's limit is for x86")
def test_a_processor_without_bfloat16_is_known() -> None:
    code = """
from smvae_core.precision import precision_advice
print(precision_advice("bf16-mixed", "cpu"))
"""
    environment = {
        **os.environ,
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "PYTHONPATH": str(ROOT),
    }
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "bf16-mixed: this processor has no instructions for bfloat16" in said


def test_training_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_config(
        make_cache(tmp_path), tmp_path / "small.yaml", validation_fraction=0.2, test_fraction=0.2
    )
    arguments = ["--config", str(config), "--output", str(tmp_path / "run")]
    options = ["--trainer.max_epochs", "1", "--trainer.precision", "bf16-mixed"]
    assert main([*arguments, *options]) == 0
    assert ("no instructions for bfloat16" in capsys.readouterr().err) != has_bfloat16(CPU)
