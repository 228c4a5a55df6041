# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What installs the package: setup.py, package.xml and constraints.txt say the same."""

from __future__ import annotations

import itertools
import runpy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
ADVICE = "{}: `make constraints` pins it anew"


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Those of setup.py."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
    monkeypatch.chdir(REPOSITORY)
    runpy.run_path("setup.py")
    return given


def test_everything_is_pinned_to_a_version_that_is_allowed(arguments: dict[str, Any]) -> None:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins: dict[str, list[str]] = {}
    for pin in map(Requirement, lines):
        (version,) = pin.specifier
        assert version.operator == "==", pin
        pins.setdefault(canonicalize_name(pin.name), []).append(version.version)
    wanted = [arguments["install_requires"], *arguments["extras_require"].values()]
    for requirement in map(Requirement, itertools.chain(*wanted)):
        name = canonicalize_name(requirement.name)
        if name != "torch":  # of which there are many builds
            assert name in pins, ADVICE.format(name)
            assert all(map(requirement.specifier.contains, pins[name])), ADVICE.format(requirement)


def test_both_descriptions_of_the_package_agree(arguments: dict[str, Any]) -> None:
    package = ElementTree.parse(REPOSITORY / "package.xml").getroot()
    maintainer = package.find("maintainer")
    assert maintainer is not None
    assert maintainer.get("email") == arguments["maintainer_email"]
    for tag, argument in (("name", "name"), ("version", "version"), ("license", "license")):
        assert package.findtext(tag) == arguments[argument]
