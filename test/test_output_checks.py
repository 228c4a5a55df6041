# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Programs that take long say before their work that its result could not be written."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

# Program, its option for the output, and inputs: none of them exists, so
# that a message about the output shows that it was tried first.
PROGRAMS = (
    ("smvae_ros.cli.evaluate", "--output", "BAG --checkpoint MODEL"),
    ("smvae_ros.cli.evaluate", "--report", "BAG --checkpoint MODEL"),
    ("smvae_ros.cli.demo", "--output", "--bag BAG --checkpoint MODEL"),
    ("training.evaluate", "--output", "MODEL CACHE"),
    ("training.studies.insertion.figures", "--output", "MODEL CACHE"),
    (
        "training.studies.labelled_images.figures",
        "--figures",
        "--dataset mnist --data-dir DATA --work WORK",
    ),
)


@pytest.mark.parametrize(("program", "option", "inputs"), PROGRAMS)
def test_an_output_on_a_read_only_disk(
    program: str,
    option: str,
    inputs: str,
    read_only_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if program == "smvae_ros.cli.demo":
        pytest.importorskip("rclpy", reason="rclpy is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.chdir(tmp_path)
    output = read_only_folder / "result"
    main = importlib.import_module(program).main
    assert main([*inputs.split(), option, str(output)]) != 0
    error = capsys.readouterr().err
    assert f"{output} cannot be written: " in error
    assert "Traceback" not in error
