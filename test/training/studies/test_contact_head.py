# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The contact study: every subset is scored by heads that were fitted to other scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed (pip install scikit-learn)")

from small_caches import make_cache
from small_models import save_small_checkpoint
from training.studies.contact_head import Steps, compare, main

ALL = "feel+see"

pytestmark = pytest.mark.training


def steps(seed: int) -> Steps:
    """Contact stands in what is felt, and only in the size of it; the latent knows that."""
    random = np.random.default_rng(seed)
    force = random.normal(0, 1, (400, 1)).astype(np.float32)
    contact = abs(force[:, 0]) > 0.7
    noise = random.normal(0, 1, (400, 3)).astype(np.float32)
    raw = {"feel": force, "see": noise}
    latents = {"feel": abs(force), "see": noise[:, :1], ALL: abs(force)}
    return Steps(contact, np.repeat(np.arange(20), 20), raw, latents)


def test_scores_are_of_the_right_head_and_sensors() -> None:
    scores = compare(steps(0), steps(1), [("feel", "see"), ("feel",), ("see",)])
    assert scores[ALL]["latent"] > 0.95
    assert scores["feel"]["latent"] > 0.95, "the head of all sensors, given the others' latent"
    assert scores["see"]["latent"] < 0.65
    assert scores["feel"]["raw_dedicated"] < 0.65, "linear in the force"
    assert scores["feel"]["trees"] > 0.9
    assert scores["see"]["trees"] < 0.65
    assert 0 < scores["see"]["latent_std"] < 0.1


def test_the_program_writes_what_it_measured(tmp_path: Path) -> None:
    checkpoint = save_small_checkpoint(tmp_path / "model")
    train = make_cache(tmp_path / "train", steps=8, gaps=False)
    test = make_cache(tmp_path / "test", steps=8, gaps=False, first=20)
    words = [str(path) for path in (checkpoint, train, test)]
    output = tmp_path / "contact.json"
    assert main([*words, "--output", str(output), "--subsets", "force+action", "rgb"]) == 0
    report = json.loads(output.read_text())
    assert report["test"] == {"steps": 80, "scenes": 5, "contact": 0.125}
    assert set(report["subsets"]) == {"force+action", "rgb"}
    assert all(0 <= row["latent"] <= 1 for row in report["subsets"].values())
