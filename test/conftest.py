# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What all tests, and the processes that they start, have in common."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

with suppress(ModuleNotFoundError):  # the tests that need it are skipped without
    from hypothesis import HealthCheck, settings

    # How long one example takes says how busy the machine is.
    slow = HealthCheck.too_slow
    settings.register_profile("patient", deadline=None, suppress_health_check=[slow])
    settings.load_profile("patient")

# Before anything imports torch: the models of the tests are too small to gain from more threads,
# and machines that run tests are busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs begin with SIGINT ignored and hand that down; what tests interrupt must
# hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)

HELPERS = Path(__file__).parent / "helpers"
OUR_PACKAGES = ("smvae_core", "smvae_ros", "training", "benchmarks")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what is marked ``cuda`` where there is no GPU for it."""
    if item.get_closest_marker("cuda") and not pytest.importorskip("torch").cuda.is_available():
        pytest.skip("no CUDA GPU here")


@pytest.fixture(scope="session")
def require_simulation() -> None:
    """Skips with the robot's own words on what is missing here."""
    from smvae_ros.simulation.graphics import SimulationUnavailable
    from smvae_ros.simulation.insertion import InsertionRobot

    try:
        with InsertionRobot(0) as robot:
            robot.step()
    except SimulationUnavailable as error:
        pytest.skip(str(error))


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own; skips where this user cannot mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no file system can be mounted: {error}")
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    with _mounted(tmp_path / "disk", "size=3m") as folder:
        yield folder


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system without room for one more page."""
    with _mounted(tmp_path / "full", "size=64k") as folder:
        with suppress(OSError), open(folder / "everything", "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield folder


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that nothing can be written to, whoever runs the tests."""
    if os.geteuid() == 0:  # whom permissions do not keep away
        with _mounted(tmp_path / "read_only", "ro,size=64k") as folder:
            yield folder
    else:
        folder = tmp_path / "read_only"
        folder.mkdir(mode=0o500)
        yield folder


@pytest.fixture
def caplog(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.LogCaptureFixture]:
    """pytest's own, which listens at the root logger; also where launch has been imported, whose
    loggers, and all that are made after it, pass nothing on to the root."""
    kind = logging.getLoggerClass()
    logging.setLoggerClass(logging.Logger)  # of modules that the test is the first to import
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith(OUR_PACKAGES) and isinstance(logger, logging.Logger):
            monkeypatch.setattr(logger, "propagate", True)
    yield caplog
    logging.setLoggerClass(kind)


class _Module(pytest.Module):
    """Is skipped, with what is missing, where it imports a package that is not installed here."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        try:
            return super().collect()
        except self.CollectError as error:
            name = getattr(error.__cause__, "name", None) or ""
            package = name.partition(".")[0]
            ours = package in OUR_PACKAGES or (HELPERS / f"{package}.py").exists()
            if isinstance(error.__cause__, ModuleNotFoundError) and package and not ours:
                pytest.skip(f"{package} is not installed", allow_module_level=True)
            raise


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    """Also keeps launch_testing's plugin, where it is installed, from looking for launch tests: it
    imports every module while it lists the directory, and one that skips itself would skip them
    all."""
    return _Module.from_parent(parent, path=module_path)
