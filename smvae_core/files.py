# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Output files: whole or not at all, and their place is tried before the work for them is done."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAGE = 4096  # bytes; an empty file can be made on a full disk, too
_ADVICE = {
    errno.EROFS: "the disk is read-only; choose another place",
    errno.EACCES: "no permission; choose another place, or give yourself the right to write there",
    errno.EPERM: "not permitted; choose another place, or give yourself the right to write there",
    errno.ENOSPC: "the disk is full; make room, or choose another place",
    errno.EDQUOT: "the disk quota is used up; make room, or choose another place",
    errno.EFBIG: "the file is too large for this disk or for the limit of this process",
}


class OutputError(OSError):
    """A place that cannot be written to; the message says which, why, and what to do."""


def check_output(path: str | os.PathLike[str], folder: bool = False) -> None:
    """Raises OutputError where a file could not be written; meant for before the work.

    It is tried: a page goes to the nearest folder that exists, under a temporary name. Nothing
    stays, no folder is created.

    Args:
        path: of the file.
        folder: whether it is a folder, for files of any name.
    """
    path, place = _place(path, folder)
    with _explained(path), tempfile.TemporaryFile(dir=place) as trial:
        trial.write(bytes(_PAGE))
        trial.flush()


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name beside ``path`` to write the file under.

    When the context ends, what was written is on the disk under its own name; where an exception
    ends it, the file before stays and the temporary one is removed. Of a link, what it points to is
    replaced. The folder is created if it is missing.

    Raises:
        OutputError: where something else stands there, and for any OSError, those from inside the
            context included.
    """
    path, _ = _place(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            _flush(partial)
            os.replace(partial, path)
            _flush(path.parent)  # so that the new name survives a power cut
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary folder beside ``path`` to write into; it gets its own name when the context ends.

    Where an exception ends it, the temporary folder is removed.

    Raises:
        OutputError: where something stands there already that is no empty folder, and for any
            OSError, those from inside the context included.
    """
    path, _ = _place(path, folder=True)
    if path.is_dir() and any(path.iterdir()):
        raise OutputError(f"{path} cannot be written: it is there already; choose another name")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with _explained(path):
        partial.mkdir(parents=True)
        try:
            yield partial
            for written in (*partial.rglob("*"), partial):
                _flush(written)
            os.replace(partial, path)
            _flush(path.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file (UTF-8), see :func:`whole_file`."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _place(path: str | os.PathLike[str], folder: bool = False) -> tuple[Path, Path]:
    """The path without links, and the nearest folder that exists.

    Raises OutputError where something stands in the way.
    """
    path = Path(os.path.realpath(path))
    if os.path.isdir(path) and not folder:
        raise OutputError(f"{path} cannot be written: it is a folder; give the name of a file")
    if os.path.lexists(path) and not (folder or os.path.isfile(path)):
        raise OutputError(f"{path} cannot be written: it is no regular file; choose another name")
    for place in (path, *path.parents) if folder else path.parents:
        if os.path.isdir(place):
            return path, place
        if os.path.lexists(place):
            raise OutputError(
                f"{path} cannot be written: {place} is a file, no folder; choose another name"
            )
    raise OutputError(f"{path} cannot be written: no folder above it exists")


def _flush(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = _ADVICE.get(error.errno or 0, error.strerror or str(error))
        explained = OutputError(f"{path} cannot be written: {reason}")
        explained.errno = error.errno
        raise explained from error
