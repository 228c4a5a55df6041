# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The folder of a cache: its files, when it is complete, who may write to it, what it came from."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from filelock import FileLock, Timeout

from smvae_core.files import OutputError, check_output
from smvae_core.modalities import Modality

FORMAT_VERSION = 1
MANIFEST_NAME = "cache.yaml"
PLAN_NAME = "plan.json"  # only there while a conversion is unfinished
JOURNAL_NAME = "journal.jsonl"
UNSAID_RATE = 20.0  # Hz, of caches from before they said how many steps a second they have
_LOCK_NAME = "convert.lock"
Mode = Literal["r", "c"]
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# libyaml's loader where PyYAML was built with it: ten times faster on thousands of file names.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CacheError(RuntimeError):
    """A cache that cannot be used or written; the message says why and what to do."""


def read_manifest(path: Path) -> dict[str, Any]:
    """The content of cache.yaml. Raises CacheError when it is missing, damaged or too new."""
    manifest_path = path / MANIFEST_NAME
    try:
        manifest = yaml.load(manifest_path.read_text(), _Loader)
    except (FileNotFoundError, NotADirectoryError):
        if (path / PLAN_NAME).exists():
            reason = "its conversion has not finished: run the same training.convert again, it"
            raise CacheError(f"{path}: {reason} continues where it stopped") from None
        raise CacheError(
            f"{path}: no cache of converted logs (no {MANIFEST_NAME}); make one with "
            "python -m training.convert LOGS_DIR CACHE_DIR"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CacheError(
            f"{manifest_path}: cannot be read ({error}); convert the logs again, into another "
            "folder"
        ) from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise CacheError(
            f"{manifest_path}: expected format version {FORMAT_VERSION}, found {version}; "
            "convert the logs again, into another folder"
        )
    return manifest


def changed_sources(manifest: dict[str, Any]) -> list[str]:
    """Names of the files whose size or time differ from when they were converted.

    Empty also when the folder of the logs is not to be read (any more, or on this machine).
    """
    folder, before = Path(manifest["source_folder"]), manifest["sources"]
    try:
        now = list_sources(folder)
    except OSError:
        return []
    listed = {name for name, *_ in now}
    now += [source(folder, name) for name, *_ in before if name not in listed]
    return compare_sources(before, now)


def list_sources(folder: Path) -> list[list[Any]]:
    """[name, size in bytes, modification time in ns] of each *.h5 in a folder, by name."""
    with os.scandir(folder) as entries:
        logs = sorted(entry.name for entry in entries if entry.name.endswith(".h5"))
    return [source(folder, name) for name in logs]


def source(folder: Path, name: str) -> list[Any]:
    """[name, size in bytes, modification time in ns] of a file."""
    try:
        status = os.stat(folder / name)
    except OSError:  # gone, or a dangling link; reading it says so
        return [name, -1, -1]
    return [name, status.st_size, status.st_mtime_ns]


def compare_sources(before: list[list[Any]], now: list[list[Any]]) -> list[str]:
    """Names that were added, removed or changed between two results of `list_sources`."""
    old = {name: tuple(rest) for name, *rest in before}
    new = {name: tuple(rest) for name, *rest in now}
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def describe_modality(modality: Modality) -> dict[str, Any]:
    """A modality in plans and manifests: what its conversion depends on, as plain values."""
    return {"name": modality.name, **modality.preparation}


def open_array(path: Path, entry: dict[str, Any], advice: str, mode: Mode = "r") -> np.memmap:
    """A memory-mapped array of a cache.

    Args:
        path: of the file.
        entry: ``dtype`` and ``shape`` that it must have.
        advice: on what to do where it does not.
        mode: "c" lets values be changed in memory, but never on the disk.

    Raises:
        CacheError: where it is missing, damaged or another one.
    """
    try:
        array = np.load(path, mmap_mode=mode, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CacheError(f"{path}: missing or damaged ({error}); {advice}") from error
    expected = f"{entry['dtype']} {tuple(entry['shape'])}"
    if f"{array.dtype} {array.shape}" != expected:
        raise CacheError(
            f"{path}: expected {expected}, found {array.dtype} {array.shape}; {advice}"
        )
    return array


def read_journal(path: Path, advice: str) -> list[Any]:
    """The complete lines of a journal; an unfinished last one (killed while writing) is cut off.

    Raises:
        CacheError: with the advice, where they cannot be read.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    complete = content[: content.rfind(b"\n") + 1]
    if len(complete) < len(content):
        os.truncate(path, len(complete))
    try:
        return [json.loads(line) for line in complete.splitlines()]
    except ValueError as error:
        raise CacheError(f"{path}: damaged ({error}); {advice}") from error


def read_ahead(path: Path) -> None:
    """Ask the system to read a file into memory in the background, where it can."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:  # whoever reads it says so
        return
    try:
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_WILLNEED)
    finally:
        os.close(file)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Exclusive use of a folder that is empty or was used by a conversion before."""
    ours = any((folder / name).exists() for name in (_LOCK_NAME, MANIFEST_NAME, PLAN_NAME))
    if folder.exists() and not ours:
        other = next(folder.iterdir(), None)
        if other is not None:
            raise CacheError(
                f"{folder}: holds other things ({other.name}); give an empty or new folder"
            )
    check_output(folder, folder=True)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / _LOCK_NAME, timeout=0):
            yield
    except Timeout:
        raise CacheError(
            f"{folder}: another conversion is writing to it; wait for it or use another folder"
        ) from None


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn the system's errors while writing to a cache folder into CacheError with advice."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
            free = shutil.disk_usage(existing).free
            raise CacheError(
                f"{folder}: no space for the cache ({os.strerror(error.errno)}, "
                f"{free / 1e9:.2f} GB free); make room or choose another folder, then run the same "
                "conversion again: what is already converted is kept"
            ) from error
        if isinstance(error, OutputError):
            raise CacheError(str(error)) from error
        raise CacheError(f"{folder}: the conversion cannot go on: {error}") from error


def remove(folder: Path, *names: str) -> None:
    """Remove those of the files that are there."""
    for name in names:
        (folder / name).unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Remove a cache, finished or not; the folder itself and its lock stay."""
    # The manifest and the plan go first: what is left never looks like more than it is.
    remove(folder, MANIFEST_NAME, PLAN_NAME, JOURNAL_NAME)
    remove(folder, *(path.name for path in folder.glob("*.npy")))
