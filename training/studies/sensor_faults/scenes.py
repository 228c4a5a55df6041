# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Worker processes through which the scenes of the fault study go, each scene kept in a file.

They are not in the program itself: a spawned process does not find what stands in a __main__.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from smvae_core.files import write_text
from smvae_core.inference.inference import Inference
from smvae_core.stored_model import HEALTH, WEIGHTS
from smvae_ros.simulation.graphics import find_mujoco
from training.studies.sensor_faults.runs import run_scene, settings
from training.workers import worker_pool

_inference: Inference | None = None


def _start_worker(model: Path) -> None:
    global _inference
    torch.set_num_threads(1)
    _inference = Inference.load(model)


def _run_worker(file: Path, *scene: Any) -> dict[str, Any]:
    result = run_scene(_inference, *scene)
    write_text(file, json.dumps(result) + "\n")
    return result


def run_scenes(options: argparse.Namespace, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Results of all scenes, those in the folder ``work`` included.

    Raises:
        SimulationUnavailable: without MuJoCo or graphics.
        KeyboardInterrupt: what is finished is in that folder.
    """
    find_mujoco()
    work = options.work / _work_name(options.model, options.steps, options.share)
    work.mkdir(parents=True, exist_ok=True)
    results, todo = [], []
    for k, seed in enumerate(seeds):
        faulty = k < options.fault_scenes
        file = work / f"{seed}{'_faults' if faulty else ''}.json"
        if file.exists():
            results.append(json.loads(file.read_text()))
        else:
            todo.append((file, seed, options.steps, faulty, options.share))
    with (
        worker_pool(options.workers, _start_worker, options.model) as pool,
        tqdm(total=len(seeds), initial=len(results), unit="scene") as bar,
    ):
        for future in as_completed([pool.submit(_run_worker, *task) for task in todo]):
            results.append(future.result())
            bar.update()
    return results


def _work_name(model: Path, steps: int, share: float) -> str:
    """Of everything that results depend on."""
    digest = hashlib.sha256(json.dumps([settings(), steps, share]).encode())
    for name in (WEIGHTS, HEALTH):
        digest.update((model / name).read_bytes())
    return digest.hexdigest()[:12]
