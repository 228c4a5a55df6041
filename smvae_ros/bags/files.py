# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Where a bag's messages lie on the disk: its files by their content, compressed or not."""

from __future__ import annotations

import glob
import re
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import yaml

from smvae_ros.bags import compression, mcap, sqlite
from smvae_ros.bags.errors import RECOVER, BagError, BagFileError, DamagedBagError
from smvae_ros.bags.storage import Storage, is_latched

PARTIAL = ".partial"  # appended to the name of a bag until it is closed
STORAGE_SUFFIXES = (".mcap", ".db3")
COMPRESSED = ".zstd"  # appended to the name of a file that is compressed as a whole
METADATA = "metadata.yaml"


class Metadata(NamedTuple):
    """What a bag's metadata.yaml says.

    Attributes:
        files: of the bag, in order.
        counts: topic → number of its messages.
        latched: topics whose last message late subscribers got.
    """

    files: list[Path]
    counts: dict[str, int]
    latched: frozenset[str]


def find_bag(path: Path) -> Metadata:
    """The files of a bag: those that its metadata.yaml names, or the path itself if it is one.

    Raises:
        BagError: where there is no bag.
    """
    if not path.exists():
        raise BagError(missing(path))
    if path.is_file():
        if not is_storage_file(path):
            raise BagError(
                f"{path} is no rosbag2 bag; "
                + (
                    "bags of ROS 1 are converted by `rosbags-convert`"
                    if path.suffix == ".bag"
                    else "give the folder of a rosbag2 bag, or its .mcap or .db3 file"
                )
            )
        return Metadata([path], {}, frozenset())
    if not (path / METADATA).exists():
        raise BagError(
            f"{path} has no {METADATA}, so it was not closed after recording; "
            + RECOVER.format(path)
            if storage_files(path)
            else f"{path} is no bag, which has a {METADATA} and .mcap or .db3 files: it holds "
            f"{_listed(path)}; check the path"
        )
    try:
        return _read_metadata(path)
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise BagError(
            f"{path} cannot be read: its {METADATA} is damaged ({type(error).__name__}: {reason}); "
            + RECOVER.format(path)
        ) from error


def _listed(folder: Path) -> str:
    """What stands in a folder, the first few of it."""
    names = sorted(entry.name for entry in folder.iterdir())
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (", ".join(names[:3]) or "nothing") + more


def _read_metadata(path: Path) -> Metadata:
    content = yaml.safe_load((path / METADATA).read_text(encoding="utf-8"))
    description = content["rosbag2_bagfile_information"]
    # Old versions name the folder, too.
    names = [Path(name).name for name in description["relative_file_paths"]]
    files, lost = [], []
    for name in names:
        # A recorder that was killed while it compressed names what is not there yet.
        plain = name.removesuffix(COMPRESSED)
        for candidate in (name, plain, plain + COMPRESSED):
            if (path / candidate).is_file():
                files.append(path / candidate)
                break
        else:
            lost.append(name)
    if lost:
        raise BagError(
            f"{path} cannot be read: files are missing: {', '.join(lost)}; put them back"
            + (f", or {RECOVER.format(path)}" if files else "")
        )
    counts: dict[str, int] = {}
    latched = set()
    for entry in description["topics_with_message_count"]:
        topic: dict[str, Any] = entry["topic_metadata"]
        counts[topic["name"]] = counts.get(topic["name"], 0) + int(entry["message_count"])
        if is_latched(topic.get("offered_qos_profiles")):
            latched.add(topic["name"])
    return Metadata(files, counts, frozenset(latched))


def missing(path: Path) -> str:
    """What is wrong with a path where nothing is, and what of a similar name stands beside it."""
    partial = path.with_name(path.name + PARTIAL)
    if partial.exists():
        return (
            f"there is no bag {path}, only {partial}: it is still being recorded, or was not "
            f"closed; {RECOVER.format(partial)}"
        )
    beside = [
        str(found)
        for found in sorted(path.parent.glob(glob.escape(path.name) + "*"))
        if is_storage_file(found) or (found / METADATA).exists() or found.suffix == PARTIAL
    ]
    if beside:
        more = "" if len(beside) <= 3 else f" and {len(beside) - 3} more"
        return f"there is no bag {path}, but {', '.join(beside[:3])}{more}; give one of them"
    return f"there is no bag {path}; check the path"


def is_storage_file(path: Path) -> bool:
    """Whether a file's name is that of a bag's file."""
    return path.name.removesuffix(COMPRESSED).endswith(STORAGE_SUFFIXES) and path.is_file()


def storage_files(path: Path) -> list[Path]:
    """All files of a bag: those anywhere in its folder, or the path itself if it is one.

    Split bags number theirs, after the bag's name (``run_10.mcap``) or, since Lyrical, before it
    (``10_run_2026_06_01-09_30_00.mcap``): 2 comes before 10.
    """
    if path.is_file():
        return [path] if is_storage_file(path) else []
    return sorted(filter(is_storage_file, path.glob("**/*")), key=_with_numbers)


def _with_numbers(path: Path) -> list[str | int]:
    """Text and numbers of a path by turns, to sort by."""
    parts = re.split(r"([0-9]+)", str(path))
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def open_storage(path: Path, stack: ExitStack, closed: bool = True) -> Storage:
    """Opens a file by its content, whatever its name says.

    Args:
        path: of the file.
        stack: closes the file, and removes what was made for reading it.
        closed: whether the file has to be whole; see :class:`smvae_ros.bags.mcap.McapFile`.

    Raises:
        BagFileError: where it is no bag's file; DamagedBagError: where it is damaged.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(16)
        if magic.startswith(compression.MAGIC):
            path = _decompressed(path, stack, closed)
            with path.open("rb") as file:
                magic = file.read(16)
        storage: Storage
        if not magic:
            raise DamagedBagError(path, "it is empty")
        if magic.startswith(mcap.MAGIC):
            storage = mcap.McapFile(path, closed)
        elif magic == sqlite.MAGIC:
            storage = sqlite.SqliteFile(path)
        else:
            raise BagFileError(path, "it is no MCAP and no SQLite file")
    except OSError as error:
        raise BagFileError(path, error.strerror or error) from error
    stack.callback(storage.close)
    return storage


def _decompressed(path: Path, stack: ExitStack, closed: bool) -> Path:
    folder = stack.enter_context(TemporaryDirectory(prefix="smvae_bag_"))
    plain = Path(folder, path.name.removesuffix(COMPRESSED))
    try:
        compression.decompress_file(path, plain, damaged=not closed)
    except ValueError as error:
        raise DamagedBagError(path, error) from error
    except OSError as error:
        raise BagError(
            f"{path} cannot be decompressed into {folder}: {error.strerror}; set TMPDIR to a "
            "folder with more room"
        ) from error
    return plain
