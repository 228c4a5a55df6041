# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What a GPU does: tests, agreement with a CPU, latency, encoding and training, in eight minutes.

    python -m benchmarks.gpu --results docs/results

Needs a checkout, a CUDA build of PyTorch and the extras node, train, test and report, but no ROS.
Each case is kept in WORK as soon as it is known, and within its time the command ends with what it
has; the same command goes on with the rest, also after Ctrl-C, as long as code and device are the
same. What failed is tried again. Writes RESULTS/gpu.json and the page RESULTS/gpu.md.

`--device cpu` tries the same with small numbers and writes no page. `--only-page` makes the page of
the gpu.json that is there, or the one that says that nothing was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.page import NAME, to_markdown
from benchmarks.gpu.parts import PARTS, run_part
from benchmarks.gpu.settings import Settings, small
from smvae_core.files import check_output, write_text
from smvae_core.inference.devices import find_torch_device
from smvae_ros.cli.programs import number, parser_of
from training.programs import run_program
from training.provenance import provenance
from training.studies.command import RESULTS
from training.studies.tables import write_table

PROGRAM = f"benchmarks.{NAME}"
_LAST = 10.0  # seconds under which no part is begun


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = parser_of(f"python -m {PROGRAM}", __doc__)
    add = parser.add_argument
    add("--device", default="cuda", help="cuda, cuda:N or cpu (default: cuda)")
    add(
        "--parts",
        nargs="+",
        choices=list(PARTS),
        default=list(PARTS),
        metavar="PART",
        help=f"of {', '.join(PARTS)} (default: all)",
    )
    add("--minutes", type=number(float, above=0), default=7.5, help="in all (default: 7.5)")
    add("--work", type=Path, default=Path("out/gpu"), help="folder of what is known (%(default)s)")
    add("--results", type=Path, default=RESULTS, help="folder to write to (default: %(default)s)")
    add("--only-page", action="store_true", help="measure nothing")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Measures within its time, and writes the page; returns the exit code."""
    options = parser().parse_args(arguments)
    advice = "what is measured is kept, and the same command goes on"
    return run_program(PROGRAM, lambda: _run(options, arguments), advice)


def _run(options: argparse.Namespace, arguments: list[str] | None) -> int:
    path = options.results / NAME
    check_output(path.with_suffix(".md"))
    if options.only_page:
        file = path.with_suffix(".json")
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        write_text(path.with_suffix(".md"), to_markdown(known))
        return 0
    device = find_torch_device(options.device)
    settings = small(options.work) if device == "cpu" else Settings(device, options.work)
    measured = _begun(options.work, provenance(PROGRAM, arguments), _machine(device))
    try:
        _measure(measured, settings, options)
    finally:
        if settings.on_gpu:
            write_table(path, measured, to_markdown(measured))
            print(f"Wrote {path}.json and {path}.md")
    return 0


def _begun(work: Path, origin: dict[str, str], machine: dict[str, Any]) -> dict[str, Any]:
    """What stands in the work folder, if it was measured with this code on this machine."""
    new = {**origin, "machine": machine, "complete": False, "parts": {}}
    try:
        found = json.loads((work / f"{NAME}.json").read_text(encoding="utf-8"))
        same = all(found[key] == new[key] for key in ("commit", "machine"))
        return {**new, "parts": dict(found["parts"])} if same else new
    except (OSError, ValueError, KeyError, TypeError):
        return new


def _measure(measured: dict[str, Any], settings: Settings, options: argparse.Namespace) -> None:
    """Fills in parts, and writes them to the work folder after each case."""
    begin, end = time.monotonic(), time.monotonic() + 60 * options.minutes
    measured["complete"] = False
    file = settings.work / f"{NAME}.json"
    write_text(file, json.dumps(measured, indent=1) + "\n")
    finished = []
    for part in options.parts:
        entries = measured["parts"].setdefault(part, {})
        done = [case for case, entry in entries.items() if "error" not in entry]

        def keep(case: str, figures: dict[str, Any], part: str = part) -> None:
            measured["parts"][part][case] = {
                key: round(value, 5) if isinstance(value, float) else value
                for key, value in figures.items()
            }
            write_text(file, json.dumps(measured, indent=1) + "\n")
            print(f"{time.monotonic() - begin:6.1f} s  {part}: {case}: {figures}", flush=True)

        left = end - time.monotonic()
        seconds = min(PARTS[part][1], left) if settings.on_gpu else left
        if seconds < _LAST:
            print(f"{part}: no time is left; the same command goes on", file=sys.stderr)
            continue
        if run_part(part, settings, done, seconds, keep):
            finished.append(part)
    measured["complete"] = set(finished) == set(PARTS)
    write_text(file, json.dumps(measured, indent=1) + "\n")


def _machine(device: str) -> dict[str, Any]:
    machine: dict[str, Any] = {"cores": os.cpu_count(), "torch": torch.__version__}
    if device == "cpu":
        return machine
    properties = torch.cuda.get_device_properties(device)
    return {
        "gpu": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "memory_mb": properties.total_memory // 2**20,
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "onnxruntime": _onnx_runtime(),
        **machine,
    }


def _onnx_runtime() -> str:
    """Its version, and what it can compute on."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return "not installed"
    providers = ", ".join(onnxruntime.get_available_providers())
    return f"{onnxruntime.__version__} ({providers})"


def _driver() -> str:
    """The version of NVIDIA's driver for Linux, as it says itself."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "unknown"
    words = text.split()
    numbers = [word for word in words if word[0].isdigit() and word.count(".") >= 1]
    return numbers[0] if numbers else "unknown"


if __name__ == "__main__":
    sys.exit(main())
