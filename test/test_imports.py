# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Imports between our own modules: what they name exists, and the rooms point one way."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys

import pytest

from places import ROOT

PACKAGES = ("smvae_core", "smvae_ros", "training", "benchmarks")


@pytest.mark.parametrize("package", [*PACKAGES, "test"])
def test_imports_of_ours_can_be_resolved(package: str) -> None:
    missing = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.module}.{alias.name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES
        for alias in node.names
        if not _exists(node.module or "", alias.name)
    ]
    assert missing == []


def _exists(module: str, name: str) -> bool:
    """Whether ``from module import name`` works. What lacks another's package counts as well."""
    try:
        if hasattr(importlib.import_module(module), name):
            return True
        importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError as error:
        return (error.name or "").split(".")[0] not in PACKAGES
    return True


def test_rooms_point_one_way() -> None:
    """Packages point to smvae_core, no files and no rooms import each other in a circle, the core
    knows no ROS, and training on logs no image data sets: what pyproject.toml says, wherever in a
    file the import stands."""
    pytest.importorskip("importlinter", reason="import-linter is not installed")
    # In a process of its own: import-linter silences the loggers that there are.
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_tests_import_no_tests() -> None:
    """Such a test would be skipped where it is run alone: what tests share lies in helpers."""
    found = [
        f"{path.relative_to(ROOT)}: {node.module}"
        for path in sorted((ROOT / "test").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("test_")
    ]
    assert found == []
