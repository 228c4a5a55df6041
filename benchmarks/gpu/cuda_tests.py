# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The tests with the marker ``cuda``, which machines without a GPU skip."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.gpu.settings import Cases, Settings

_ROOT = Path(__file__).parents[2]
_MARK = "mark.cuda"


def cases(settings: Settings) -> Cases:
    """Files of tests."""
    for path in sorted((_ROOT / "test").rglob("test_*.py")):
        if _MARK in path.read_text(encoding="utf-8"):
            yield str(path.relative_to(_ROOT)), lambda p=path: _run(p)


def _run(path: Path) -> dict[str, Any]:
    """Numbers of tests by outcome, and what failed, in a line each."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", str(path), "-m", "cuda", "-q"]
        command += ["-p", "no:cacheprovider", f"--junitxml={report}"]
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        done = subprocess.run(
            command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if not report.exists():
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
            return {"error": f"pytest ended with {done.returncode}: {lines[-1]}"}
        return _read(report)


def _read(report: Path) -> dict[str, Any]:
    failed, skipped, passed = [], 0, 0
    for test in ElementTree.parse(report).iter("testcase"):
        trouble = next((part for part in test if part.tag in ("failure", "error")), None)
        if trouble is not None:
            message = str(trouble.get("message") or "").splitlines() or [""]
            failed.append(f"{test.get('name')}: {message[0]}")
        elif test.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return {"passed": passed, "skipped": skipped, "failed": failed}
