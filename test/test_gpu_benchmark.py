# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The measurement of a GPU, tried on a CPU; and its page."""

from __future__ import annotations

import json
import time
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from places import RESULTS

pytest.importorskip("lightning", reason="lightning is not installed")
pytest.importorskip("jsonargparse", reason="jsonargparse is not installed")

from benchmarks.gpu import agreement, cuda_tests, encoding, latency, training
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.page import to_markdown
from benchmarks.gpu.parts import listen
from benchmarks.gpu.settings import small

MACHINE = {
    "gpu": "A GPU",
    "driver": "1.2",
    "torch": "2.13",
    "cuda": "13.0",
    "onnxruntime": "1.32",
    "cores": 8,
}


def figures(part: Any, work: Path, case: str) -> dict[str, Any]:
    """Of one case, measured here."""
    return dict(part.cases(small(work)))[case]()


def test_the_page_is_that_of_what_was_measured() -> None:
    file = RESULTS / "gpu.json"
    measured = json.loads(file.read_text()) if file.exists() else None
    page = (RESULTS / "gpu.md").read_text()
    assert page == to_markdown(measured), "run python -m benchmarks.gpu --only-page"
    assert ("**Not measured.**" in page) == (measured is None)


def measured(frame: float, samples: float) -> dict[str, Any]:
    """What a GPU might have given."""
    times = {"encode_ms_p50": frame, "encode_ms_p99": 2.0, "all_ms_p50": 1.0, "all_ms_p99": 3.0}
    rate = {"samples_per_second": samples, "loader_share": 0.25, "memory_mb": 100.0}
    return {
        "command": "python -m benchmarks.gpu",
        "commit": "0" * 12,
        "machine": MACHINE,
        "complete": False,
        "parts": {
            "tests": {"test_a.py": {"passed": 3, "skipped": 1, "failed": ["test_b: a | b"]}},
            "agreement": {
                "eager/float32": {
                    "mean_sigmas": 1e-5,
                    "log_variance": 1e-5,
                    "prediction_scales": 1e-5,
                },
                "onnx/float16": {"left_out": "no provider"},
            },
            "latency": {
                "64/eager/float32": times,
                "128/eager/float32": times,
                "128/cuda_graphs/float32": {"error": "RuntimeError: it | broke"},
                "128/cpu/float32": {**times, "encode_ms_p50": 0.01},
            },
            "encoding": {"cuda": {"frames_per_second": 5000.0, "memory_mb": 300.0}},
            "training": {
                "insertion/fp32": rate,
                "insertion/waits": {"waits_per_step": 17},
                "insertion/cpu": {"samples_per_second": 100.0, "loader_share": 0.01},
            },
        },
    }


@pytest.mark.parametrize(
    ("frame", "samples", "verdict"), [(0.8, 2500.0, "reached"), (1.2, 1900.0, "**missed**")]
)
def test_the_page_says_whether_aims_are_reached(frame: float, samples: float, verdict: str) -> None:
    page = to_markdown(measured(frame, samples))
    aims = [line for line in page.splitlines() if line.startswith(("| one RGB-D", "| training"))]
    assert f"{frame:.3f} ms, eager" in aims[0], "not the CPU's"
    assert f"insertion {samples / 100:.1f}" in aims[1]
    assert all(line.endswith(f"| {verdict} |") for line in aims)
    assert "**Not all is measured**" in page


def test_tables_are_whole_whatever_failed() -> None:
    page = to_markdown(measured(0.8, 2500.0))
    table: list[str] = []
    for line in [*page.splitlines(), ""]:
        if line.startswith("|"):
            table.append(line.replace("\\|", ""))
            continue
        assert len({row.count("|") for row in table}) <= 1, table
        table = []
    assert "failed: RuntimeError: it \\| broke" in page
    assert "| onnx | float16 | not there |" in page
    assert "| insertion | fp32 | 2500 | 25.0 | 17 | 100 |" in page


def test_runtimes_are_compared_with_the_cpu(tmp_path: Path) -> None:
    for runtime in ("eager", "onnx"):
        found = figures(agreement, tmp_path, f"{runtime}/float32")
        assert set(found) == {"mean_sigmas", "log_variance", "prediction_scales"}
        assert max(found.values()) < 0.01
    assert "CUDA" in figures(agreement, tmp_path, "cuda_graphs/float32")["left_out"]


def test_frames_and_logs_are_timed(tmp_path: Path) -> None:
    for runtime in ("eager", "onnx"):
        found = figures(latency, tmp_path, f"16/{runtime}/float32")
        assert 0 < found["encode_ms_p50"] <= found["encode_ms_p99"]
        assert "memory_mb" not in found
    found = figures(encoding, tmp_path, "cpu")
    assert found["frames"] == 200
    assert found["frames_per_second"] > 0


@pytest.mark.training
def test_training_is_timed(tmp_path: Path) -> None:
    found = figures(training, tmp_path, "insertion/fp32")
    assert found["steps"] >= 1
    assert found["samples_per_second"] > 0
    assert 0 < found["loader_share"] < 1


def test_the_tests_of_a_gpu_are_found_and_their_outcomes_read(tmp_path: Path) -> None:
    found = dict(cuda_tests.cases(small(tmp_path)))
    assert {"test/core/models/test_devices.py", "test/training/test_cuda.py"} <= set(found)
    outcome = found["test/core/models/test_devices.py"]()
    assert outcome["failed"] == []
    assert outcome["passed"] + outcome["skipped"] == 7


def test_what_is_known_is_kept_and_not_measured_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work, results = tmp_path / "work", tmp_path / "results"
    arguments = ["--device", "cpu", "--work", str(work), "--results", str(results)]
    assert main([*arguments, "--parts", "agreement", "--minutes", "0.01"]) == 0
    state = work / "gpu.json"
    known = json.loads(state.read_text())
    assert known["parts"] == {"agreement": {}}
    assert "no time is left" in capsys.readouterr().err
    cases = [case for case, _ in agreement.cases(small(work))]
    known["parts"]["agreement"] = {case: {"mean_sigmas": 42.0} for case in cases}
    known["parts"]["agreement"]["cuda_graphs/float32"] = {"error": "it broke"}
    state.write_text(json.dumps(known))
    assert main([*arguments, "--parts", "agreement", "--minutes", "9"]) == 0
    found = json.loads(state.read_text())["parts"]["agreement"]
    assert found["eager/float32"] == {"mean_sigmas": 42.0}
    assert "CUDA device" in found["cuda_graphs/float32"]["left_out"], "what failed is tried again"
    assert not results.exists()


def test_a_case_that_fails_ends_its_process_and_is_told() -> None:
    kept: dict[str, Any] = {}
    ours, theirs = Pipe(duplex=False)
    soon = time.monotonic() + 600

    def say(*messages: tuple[str, Any]) -> str:
        for message in messages:
            theirs.send(message)
        return listen(ours, soon, kept.__setitem__)

    assert say(("a", None), ("a", {"x": 1.0}), ("b", None), ("b", {"error": "broke"})) == "b"
    assert say(("", {})) == "finished"
    assert kept == {"a": {"x": 1.0}, "b": {"error": "broke"}}
    theirs.send(("c", None))
    assert listen(ours, time.monotonic(), kept.__setitem__) == "stuck"
    theirs.send(("d", None))
    theirs.close()
    assert listen(ours, soon, kept.__setitem__) == "d"
    assert "not finished" in kept["c"]["error"]
    assert "has ended" in kept["d"]["error"]
    assert listen(ours, soon, kept.__setitem__) == "stuck"
