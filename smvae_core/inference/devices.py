# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Devices by name. Importing a library takes time, so they are asked only where there is a GPU."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable
from importlib.util import find_spec


class DeviceError(ValueError):
    """The device, precision or runtime asked for is not available; the message names what is."""


def find_device(name: str) -> str:
    """``cpu``, ``cuda`` or ``cuda:N``, for a model at work.

    Args:
        name: one of these, or ``auto``: CUDA where there is a GPU that can be computed on.

    Raises:
        DeviceError: for a name that is none, or a GPU that is not there; says what is available.
    """
    return _find(name, count_gpus)


def find_torch_device(name: str) -> str:
    """The same for networks of PyTorch, which may have no part in a GPU that another library can
    compute on."""
    return _find(name, count_torch_gpus)


def _find(name: str, count_devices: Callable[[], int]) -> str:
    if name == "cpu":
        return name
    count = count_devices()
    if name == "auto":
        return "cuda" if count else "cpu"
    available = ", ".join(["auto", "cpu", *(f"cuda:{i}" for i in range(count))])
    found = re.fullmatch(r"cuda(?::(\d{1,3}))?", name)
    if found is None:
        raise DeviceError(f"unknown device {name!r}; available here: {available}")
    if int(found[1] or 0) >= count:
        raise DeviceError(
            f"device {name!r} is not available ({count} CUDA devices can be used here); available "
            f"here: {available}. For a GPU, install its driver, and a CUDA build of torch or "
            "onnxruntime-gpu, or use device cpu or auto"
        )
    return name


def count_gpus() -> int:
    """CUDA devices that a library which is installed here can compute on."""
    return max(count_torch_gpus(), count_onnx_gpus())


def count_torch_gpus() -> int:
    """CUDA devices that PyTorch can compute on; 0 without PyTorch."""
    imported = sys.modules.get("torch") is not None  # so that to ask it takes no time
    if not imported and not (_count_driver_devices() and find_spec("torch")):
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def count_onnx_gpus() -> int:
    """CUDA devices that ONNX Runtime can compute on; 0 without ONNX Runtime."""
    count = _count_driver_devices()
    if not count or find_spec("onnxruntime") is None:
        return 0
    import onnxruntime

    return count if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else 0


def _count_driver_devices() -> int:
    """CUDA devices that NVIDIA's driver knows (CUDA Driver API, cuInit and cuDeviceGetCount)."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    works = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if works else 0
