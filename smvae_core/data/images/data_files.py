# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Files of a published data set: downloaded where they are missing, byte for byte the originals.

A likelihood only compares with another where both were measured on the same bytes, so a file of
another checksum is an error, never a warning.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

log = logging.getLogger(__name__)


class DataSetError(ValueError):
    """A data set that cannot be used; the message says why and what to do."""


def published_files(
    folder: str | os.PathLike[str], files: Mapping[str, str], mirrors: Sequence[str]
) -> dict[str, Path]:
    """Paths of the files in a folder, verified; those that are missing are downloaded.

    Args:
        folder: where the files lie or shall lie.
        files: name → published MD5.
        mirrors: addresses that end in ``/`` and to which a name is appended, tried in this order.

    Raises:
        DataSetError: where a file has another checksum, or is missing and cannot be downloaded.
    """
    folder = Path(folder)
    paths = {name: folder / name for name in files}
    for name, path in paths.items():
        if path.exists():
            _verify(path, files[name])
        else:
            _download(path, files[name], mirrors)
    return paths


def _verify(path: Path, md5: str) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataSetError(f"{path}: cannot be read ({error})") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataSetError(
            f"{path}: expected the published file with MD5 {md5}, found MD5 {found} "
            f"({len(content)} bytes): it is truncated, damaged or another file; remove it and the "
            "original is downloaded"
        )


def _download(path: Path, md5: str, mirrors: Sequence[str]) -> None:
    urls = [mirror + path.name for mirror in mirrors]
    by_hand = f"or put the file from {' or '.join(urls)} there"
    try:
        import pooch
    except ImportError:
        raise DataSetError(
            f"{path}: no such file, and downloading it needs pooch: "
            f"pip install 'smvae_ros[benchmarks]', {by_hand}"
        ) from None
    failures = []
    for url in urls:
        try:
            # It appears under its name only when it is complete and its checksum is right.
            pooch.retrieve(
                url,
                known_hash=f"md5:{md5}",
                fname=path.name,
                path=path.parent,
                downloader=pooch.HTTPDownloader(progressbar=sys.stderr.isatty()),
            )
        except (OSError, ValueError) as error:  # network, disk, HTTP status; another checksum
            log.info("%s: %s", url, error)
            failures.append(f"{url}: {error}")
        else:
            return
    raise DataSetError(
        f"{path}: no such file, and it could not be downloaded; check folder and network, "
        f"{by_hand}:\n  " + "\n  ".join(failures)
    )
