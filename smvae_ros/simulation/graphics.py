# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Finding MuJoCo and a way to render without a screen (EGL, else OSMesa)."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from contextlib import suppress
from types import ModuleType
from typing import Any

log = logging.getLogger(__name__)

BACKENDS = ("egl", "osmesa")
_PROBE = "import mujoco; context = mujoco.GLContext(8, 8); context.make_current(); context.free()"


class SimulationUnavailable(RuntimeError):
    """MuJoCo or a graphics library is missing; the message says what to install."""


def find_mujoco() -> ModuleType:
    """MuJoCo, imported so that it renders without a screen where that is possible.

    MuJoCo reads the environment variable ``MUJOCO_GL`` once, when it is imported. Where it is
    unset and MuJoCo not imported yet, the first of :data:`BACKENDS` that works is set. Without any
    that works MuJoCo is still returned, since the robot can run without pictures.

    Raises:
        SimulationUnavailable: MuJoCo is not installed.
    """
    # Mesa and triton, which PyPI's default torch brings, have an LLVM each. Mesa's loaded first and
    # triton's after it, as by loading a model later, is a segmentation fault; the other way round
    # both work. Importing mujoco already opens EGL.
    with suppress(ImportError):
        import triton  # noqa: F401

    if "mujoco" not in sys.modules and not os.environ.get("MUJOCO_GL"):
        # Child processes inherit the choice and do not probe again.
        os.environ["MUJOCO_GL"] = next(filter(_works, BACKENDS), "disable")
    try:
        import mujoco
    except ImportError as error:
        raise SimulationUnavailable(
            f"The simulated robot needs MuJoCo ({error}). "
            "Install it with: pip install 'smvae_ros[sim]'"
        ) from error
    return mujoco


def open_renderer(model: Any, height: int, width: int) -> Any:
    """A ``mujoco.Renderer`` of the given size in pixels.

    Raises:
        SimulationUnavailable: no graphics library works; the message names the Debian packages.
    """
    mujoco = find_mujoco()
    try:
        return mujoco.Renderer(model, height=height, width=width)
    except Exception as error:  # PyOpenGL and MuJoCo raise what they like when a library is absent
        raise SimulationUnavailable(
            "MuJoCo cannot render without a screen here "
            f"(MUJOCO_GL={os.environ.get('MUJOCO_GL', '')!r}: {type(error).__name__}: {error}). "
            "Install EGL with: apt install libegl1 libegl-mesa0 libgl1-mesa-dri, "
            "or OSMesa with: apt install libosmesa6; "
            "then leave MUJOCO_GL unset, or set it to egl or osmesa before MuJoCo is imported."
        ) from error


def _works(backend: str) -> bool:
    """Whether MuJoCo can open a context with this backend.

    Tried in another process: a failed import of one OpenGL platform cannot be undone in this one.
    """
    environment = {**os.environ, "MUJOCO_GL": backend}
    environment.pop("PYOPENGL_PLATFORM", None)
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.debug("MUJOCO_GL=%s cannot be tried: %s", backend, error)
        return False
    if probe.returncode:
        log.debug("MUJOCO_GL=%s does not work: %s", backend, probe.stderr.strip()[-300:])
    return probe.returncode == 0
