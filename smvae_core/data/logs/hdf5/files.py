# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""HDF5 files of others: opened in whatever state they are, and what is wrong with one told apart.

HDF5 itself says "can't open" or, worse, gives fill values where data is missing. Here each state
has its own words and its own advice, and none of them is to remove anything.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py

from smvae_core.data.logs.recording import Problem

#: h5py reports damage inside a file through all of these.
READ_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError)

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SHOWN = 24  # bytes of a file of another format
# A chunk of up to so many bytes, which may hold hundreds of steps, is decompressed only once,
# though steps are read in blocks; slots are a prime number, many times that of chunks.
_CACHE = {"rdcc_nbytes": 2**26, "rdcc_nslots": 10_007}
_DEEPEST = 8  # virtual datasets, one in another
# A superblock of version 3 holds its writer's marks (HDF5 File Format Specification, II.A).
_OPEN_FOR_WRITING, _OPEN_FOR_SWMR = 1, 4
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
# Of The HDF Group's register: files name their filter at length, or not at all.
_FILTERS = {
    4: "szip",
    307: "bzip2",
    32000: "lzf",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32017: "sz",
    32026: "blosc2",
}


class Hdf5Error(ValueError):
    """A file that cannot be read.

    Attributes:
        found: what it is.
        advice: what helps.
        damaged: whether its content is broken, so that nothing is lost where it is made anew; not
            so for a file that somebody is writing, or that cannot be reached.
    """

    def __init__(
        self, path: str | os.PathLike[str], found: str, advice: str, damaged: bool = False
    ) -> None:
        super().__init__(f"{os.fspath(path)}: {found}; {advice}")
        self.found, self.advice, self.damaged = found, advice, damaged


def open_hdf5(path: str | os.PathLike[str]) -> h5py.File:
    """Opens a file for reading; one that is open for SWMR writing, too (`File.swmr_mode` tells).

    Raises Hdf5Error.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # HDF5 would wait for a pipe's writer
        raise explained(path, OSError())
    try:
        return h5py.File(path, "r", **_CACHE)
    except READ_ERRORS as error:
        if _marks(path) & _OPEN_FOR_SWMR:
            with contextlib.suppress(*READ_ERRORS):
                return h5py.File(path, "r", swmr=True, **_CACHE)
        raise explained(path, error) from error


def explained(path: str | os.PathLike[str], error: BaseException) -> Hdf5Error:
    """The meaning of h5py's error while it opened or read a file."""
    of = partial(Hdf5Error, path)
    reason = " ".join(str(error).split()) or type(error).__name__
    code = getattr(error, "errno", None)
    if code in (errno.EACCES, errno.EPERM):
        return of(
            "a file that you have no permission to read",
            "give yourself the right to read it (chmod), or ask its owner",
        )
    if os.path.islink(path) and not os.path.exists(path):
        return of(
            f"a link to {os.readlink(path)}, where there is nothing",
            "correct the link, or mount the disk that it leads to",
        )
    if not os.path.exists(path):
        return of("no file", "check the path")
    if os.path.isdir(path):
        return of("a folder, not a file", "give the HDF5 file itself")
    if not os.path.isfile(path):
        return of("something that is not a file", "give the HDF5 file itself")
    if code == errno.EAGAIN:
        return of(
            "a file that another process has open for writing (HDF5 has locked it)",
            "it is probably still being recorded: wait until it is closed, or end its recorder; "
            "`fuser -v FILE` names the process",
        )
    if code in _NO_LOCKS:
        return of(
            "a file on a disk that knows no locks",
            "set HDF5_USE_FILE_LOCKING=FALSE in the environment, or copy it to another disk",
        )
    if code is not None:
        return of(
            f"a file that the system does not give ({os.strerror(code)})",
            "check the disk or network that it lies on",
        )
    if os.path.getsize(path) == 0:
        return of(
            "an empty file",
            "it was truncated or never written: copy it again from where it was recorded",
            damaged=True,
        )
    if _superblock(path) is None:
        with open(path, "rb") as file:
            begin = file.read(_SHOWN)
        return of(
            f"a file of another format, which begins with {begin!r}",
            "it is not HDF5, or not whole (truncated from the front, or a place holder for a "
            "download): get the original",
            damaged=True,
        )
    if _marks(path) & _OPEN_FOR_WRITING:
        return of(
            "a file that its writer has not closed",
            "wait until the recorder closes it. If it was killed: `h5clear --status` on a copy "
            "makes the copy readable up to what had reached the disk",
        )
    return of(
        f"a file that cannot be read ({reason})",
        "it is truncated or damaged: copy it again from where it was recorded, and keep this one "
        "where there is no other: h5dump shows what can still be read of it",
        damaged=True,
    )


def unreadable(
    path: str | os.PathLike[str], error: BaseException, key: str | None = None
) -> Problem:
    """The problem that an error of opening or reading stands for."""
    if not isinstance(error, Hdf5Error):
        error = explained(path, error)
    return Problem(Path(path), key, "a readable HDF5 file", error.found, error.advice)


def broken_link(group: h5py.Group, key: str) -> tuple[str, str] | None:
    """The finding in place of an object, and advice, where ``key`` is a link to nothing."""
    link = group.get(key, getlink=True)
    if isinstance(link, h5py.SoftLink):
        return f"a link to {link.path!r}, which is not in this file", "correct the link"
    if isinstance(link, h5py.ExternalLink):
        problem = _source_problem(group.file, link.filename, link.path, "HDF5_EXT_PREFIX")
        if problem is not None:
            return (
                f"a link to {link.path!r} in {link.filename}, {problem}",
                f"put {link.filename} beside this file, or its folder into HDF5_EXT_PREFIX",
            )
    return None


def missing_data(dataset: h5py.Dataset, depth: int = 0) -> tuple[str, str] | None:
    """The finding, and advice, where a dataset's values are not there to be read.

    For a missing filter HDF5 fails when it reads; for missing sources of a virtual dataset and for
    external files that are too short it gives fill values without a word.

    Args:
        depth: of how many virtual datasets, one in another, this one is a source.
    """
    properties = dataset.id.get_create_plist()
    for number in range(properties.get_nfilters()):
        identity, _, _, name = properties.get_filter(number)
        if not _filter_available(identity):
            label = _FILTERS.get(identity) or name.decode(errors="replace") or "unknown"
            return (
                f"compressed by the filter {label!r} (number {identity}), which is not loaded",
                "pip install hdf5plugin, which has the usual ones and is used where it is "
                "installed; others by HDF5_PLUGIN_PATH",
            )
    for name, offset, size in dataset.external or ():
        problem = _external_problem(dataset, os.fsdecode(name), offset, size)
        if problem is not None:
            return problem
    return _virtual_problem(dataset, depth) if dataset.is_virtual else None


def _filter_available(identity: int) -> bool:
    if not h5py.h5z.filter_avail(identity):
        with contextlib.suppress(ImportError):
            import hdf5plugin  # noqa: F401  # registers its filters

    return bool(h5py.h5z.filter_avail(identity))


def _external_problem(
    dataset: h5py.Dataset, name: str, offset: int, size: int
) -> tuple[str, str] | None:
    for path in _places(dataset.file.filename, name, "HDF5_EXTFILE_PREFIX", beside=False):
        if os.path.isfile(path):
            break
    else:
        return (
            f"values in another file, {name}, which is missing",
            "put it there (HDF5 looks from the working directory), or set HDF5_EXTFILE_PREFIX to "
            "its folder",
        )
    if size == h5py.h5f.UNLIMITED:
        size = max(0, dataset.nbytes - offset) if len(dataset.external) == 1 else 0
    if os.path.getsize(path) < offset + size:
        return (
            f"values in another file, {path}, of {os.path.getsize(path)} bytes instead of "
            f"{offset + size}",
            "it is truncated: copy it again from where it was recorded",
        )
    return None


def _virtual_problem(dataset: h5py.Dataset, depth: int) -> tuple[str, str] | None:
    if depth == _DEEPEST:
        return "virtual datasets in a circle", "write it again with sources that hold values"
    mapped, known = 0, True
    for source in dataset.virtual_sources():
        # "%b" in a name counts blocks from 0.
        name = source.file_name.replace("%b", "0").replace("%%", "%")
        try:
            values = source.vspace.get_select_npoints()
        except RuntimeError:  # unlimited
            values, known = 0, False
        mapped += values
        problem = _source_problem(
            dataset.file,
            name,
            source.dset_name,
            "HDF5_VDS_PREFIX",
            source.src_space.shape,
            values,
            depth + 1,
        )
        if problem is not None:
            return (
                f"a virtual dataset, whose source {source.dset_name!r} in {source.file_name} is "
                f"not all there: {problem}",
                "put the source files beside this one again, or their folder into "
                "HDF5_VDS_PREFIX; what is missing would be read as fill values",
            )
    if known and mapped < dataset.size:
        return (
            f"a virtual dataset, of which sources give {mapped} of {dataset.size} values",
            "the others would be read as fill values: write it again with all its sources",
        )
    return None


def _source_problem(
    file: h5py.File,
    name: str,
    key: str,
    prefix: str,
    shape: tuple[int, ...] = (),
    values: int = 0,
    depth: int = 0,
) -> str | None:
    """The reason why the dataset ``key`` of the file ``name`` is not all there; None where it is.

    Args:
        shape, values: that it must have at least; an empty shape is any.
        depth: as in `missing_data`; where it is 0, what the dataset's values rest on is not looked
            at.
    """
    reason = "there is no such file"
    for path in [file.filename] if name == "." else _places(file.filename, name, prefix):
        if not os.path.lexists(path):
            continue
        try:
            # The same file is open already.
            with contextlib.nullcontext(file) if name == "." else open_hdf5(path) as source:
                if key not in source:
                    reason = f"{path} has no {key!r}"
                    continue
                found: Any = source[key]
                if shape and not _covers(found.shape, shape):
                    reason = f"{path} has shape {found.shape} instead of {shape}"
                elif values and found.size < values:
                    reason = f"{path} has {found.size} of {values} values"
                elif depth and (missing := missing_data(found, depth)) is not None:
                    reason = f"there it is {missing[0]}"
                else:
                    return None
        except Hdf5Error as error:
            reason = str(error)
        except READ_ERRORS as error:
            reason = str(explained(path, error))
    return reason


def _covers(shape: tuple[int, ...], needed: tuple[int, ...]) -> bool:
    return len(shape) == len(needed) and all(
        have >= need for have, need in zip(shape, needed, strict=True)
    )


def _places(file: str, name: str, prefix: str, beside: bool = True) -> Iterator[Path]:
    """Places where HDF5 looks for another file that a file names, in its order."""
    folder = Path(os.path.abspath(file)).parent
    if os.path.isabs(name):
        yield Path(name)
        name = os.path.basename(name)
    for place in os.environ.get(prefix, "").split(os.pathsep):
        if place:
            yield Path(place.replace("${ORIGIN}", str(folder))) / name
    if beside:
        yield folder / name
        yield Path(os.path.realpath(file)).parent / name
    yield Path(name)


def _superblock(path: str | os.PathLike[str]) -> int | None:
    """The place of the signature: at 0, or behind a user's block of 512, 1024, 2048, ... bytes."""
    place = 0
    with contextlib.suppress(OSError), open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        while place < size:
            file.seek(place)
            if file.read(len(_SIGNATURE)) == _SIGNATURE:
                return place
            place = max(512, 2 * place)
    return None


def _marks(path: str | os.PathLike[str]) -> int:
    """The bits that a writer sets as long as it has the file open; 0 for old versions."""
    place = _superblock(path)
    if place is None:
        return 0
    with open(path, "rb") as file:
        file.seek(place + len(_SIGNATURE))
        head = file.read(4)
    return head[3] if len(head) == 4 and head[0] == 3 else 0
