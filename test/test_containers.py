# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Dockerfiles: what they copy and name is there. They are not built here."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from places import ROOT

FOLDER = ROOT / "docker"
FILES = sorted(FOLDER.glob("*.Dockerfile"))
Instructions = list[tuple[str, str]]


def parse(file: Path) -> Instructions:
    """Instructions in order: name in capitals, and the rest of its lines as one."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.split(None, 1) for line in text.splitlines() if line.strip())
    return [(name.upper(), rest.strip()) for name, rest in pairs]


def all_of(instructions: Instructions, name: str) -> list[str]:
    return [rest for found, rest in instructions if found == name]


def copied(instructions: Instructions) -> list[str]:
    """What is taken from the checkout."""
    words = [shlex.split(rest) for rest in all_of(instructions, "COPY")]
    return [path for copy in words if not copy[0].startswith("--from") for path in copy[:-1]]


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Those of setup.py."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    return given


def test_there_are_two() -> None:
    assert [file.name for file in FILES] == ["python.Dockerfile", "ros.Dockerfile"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_copied_is_there_and_not_ignored(file: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    assert all((ROOT / path).exists() for path in let_in), let_in
    for path in copied(parse(file)):
        assert (ROOT / path).exists(), path
        assert path.split("/")[0] in let_in, path


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_everything_that_setup_py_installs_is_copied(file: Path, arguments: dict[str, Any]) -> None:
    sources = {path for _, paths in arguments["data_files"] for path in paths}
    sources |= {package.replace(".", "/") for package in arguments["packages"]}
    needed = {Path(path).parts[0] for path in sources} | {"setup.py", "setup.cfg", "pyproject.toml"}
    assert needed <= set(copied(parse(file)))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_extras_exist_and_bring_no_pytorch(file: Path, arguments: dict[str, Any]) -> None:
    instructions = parse(file)
    defaults = dict(rest.split("=", 1) for rest in all_of(instructions, "ARG") if "=" in rest)
    (installed,) = re.findall(r"\.\[([^\]]+)\]", " ".join(all_of(instructions, "RUN")))
    names = re.sub(r"\$\{(\w+)\}", lambda found: defaults[found[1]], installed).split(",")
    assert "node" in names
    wanted = list(arguments["install_requires"])
    for name in names:
        wanted += arguments["extras_require"][name]
    assert "torch" not in {canonicalize_name(Requirement(line).name) for line in wanted}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_runs_as_root_and_what_runs_is_a_program_of_ours(
    file: Path, arguments: dict[str, Any]
) -> None:
    instructions = parse(file)
    last = max(place for place, (name, _) in enumerate(instructions) if name == "FROM")
    image = instructions[last:]
    (user,) = all_of(image, "USER")
    assert user == "${USER_ID}"
    (number,) = (rest for rest in all_of(image, "ARG") if rest.startswith("USER_ID="))
    assert int(number.partition("=")[2]) > 0
    (command,) = all_of(image, "CMD")
    program = re.findall(r'"([^"]+)"', command)
    launched = program[:3] == ["ros2", "launch", arguments["name"]]
    assert (ROOT / "launch" / program[3] if launched else ROOT / "scripts" / program[0]).exists()
    place = f"/opt/smvae/share/{arguments['name']}/"
    for word in program:
        if word.startswith("/"):
            assert (ROOT / word.removeprefix(place)).is_file(), word


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_stages_are_copied_from_stages_that_exist(file: Path) -> None:
    instructions = parse(file)
    stages = {rest.split()[-1] for rest in all_of(instructions, "FROM") if " AS " in rest}
    taken = {
        found for rest in all_of(instructions, "COPY") for found in re.findall("from=(\\w+)", rest)
    }
    assert taken == stages


def test_the_entrypoint_is_a_program_that_bash_reads() -> None:
    entrypoint = FOLDER / "entrypoint.sh"
    assert os.access(entrypoint, os.X_OK)
    subprocess.run(["bash", "-n", str(entrypoint)], check=True)
    (named,) = all_of(parse(FOLDER / "ros.Dockerfile"), "ENTRYPOINT")
    assert named == '["/entrypoint.sh"]'


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_hadolint_finds_nothing(file: Path) -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
