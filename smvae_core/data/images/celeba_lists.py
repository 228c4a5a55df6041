# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""CelebA's text files: a name and integers in each line, separated by any number of spaces.

``list_attr_celeba.txt`` and ``list_landmarks_align_celeba.txt`` begin with a line that counts the
images and a line that names the columns; ``list_eval_partition.txt`` has neither.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smvae_core.data.images.data_files import DataSetError


@dataclass(frozen=True, eq=False)
class ImageList:
    """One file.

    Attributes:
        path: of the file.
        names: file names of N images, unique.
        columns: names of C columns.
        values: int64 (N, C).
        first_line: number of the line that holds the first image.
    """

    path: Path
    names: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    first_line: int

    def select(self, names: Sequence[str], columns: Sequence[str]) -> np.ndarray:
        """Values (len(names), len(columns)) int64 of these images and columns, in this order.

        Raises:
            DataSetError: where the file has no such image or column.
        """
        unknown = [column for column in columns if column not in self.columns]
        if unknown:
            raise DataSetError(
                f"{self.path}: expected the columns {', '.join(columns)}, but there is no "
                f"{', '.join(unknown)}; the file has {', '.join(self.columns)}"
            )
        row = {name: number for number, name in enumerate(self.names)}
        missing = [name for name in names if name not in row]
        if missing:
            raise DataSetError(
                f"{self.path}: {len(missing)} images of the partition have no line here, the first "
                f"is {missing[0]}; get the file that belongs to the others"
            )
        picked = [self.columns.index(column) for column in columns]
        return self.values[np.ix_([row[name] for name in names], picked)]

    def require(self, allowed: Sequence[int]) -> None:
        """Raises DataSetError, which names line and column, where a value is none of these."""
        wrong = np.argwhere(~np.isin(self.values, allowed))
        if len(wrong):
            row, column = wrong[0]
            raise DataSetError(
                f"{self.path}, line {self.first_line + row}, {self.columns[column]}: expected one "
                f"of {', '.join(map(str, allowed))}, found {self.values[row, column]}"
            )


def read_list(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> ImageList:
    """One of CelebA's text files; blank lines at its end are ignored.

    Args:
        path: of the file.
        columns: names of the columns of a file without count and header; ``None``: it has both.

    Raises:
        DataSetError: where the file is missing, its count or columns do not fit its lines, a value
            is no integer or an image has two lines.
    """
    path = Path(path)
    try:
        lines = path.read_text().rstrip().splitlines()
    except FileNotFoundError:
        raise DataSetError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataSetError(f"{path}: cannot be read ({error})") from error
    announced = None
    if columns is None:
        if len(lines) < 2 or not lines[0].strip().isdecimal():
            raise DataSetError(
                f"{path}: expected the number of images in line 1 and the names of the columns in "
                f"line 2, found {lines[0] if lines else 'an empty file'!r}"
            )
        announced, columns = int(lines[0]), lines[1].split()
        lines = lines[2:]
    first_line = 1 if announced is None else 3
    names, rows = [], []
    for number, line in enumerate(lines, first_line):
        name, *fields = line.split() or [""]
        if len(fields) != len(columns):
            raise DataSetError(
                f"{path}, line {number}: expected a name and {len(columns)} values "
                f"({', '.join(columns)}), found {line!r}; the file is truncated or its header "
                "belongs to another one"
            )
        try:
            rows.append([int(value) for value in fields])
        except ValueError as error:
            raise DataSetError(f"{path}, line {number}: expected integers ({error})") from None
        names.append(name)
    if announced not in (None, len(lines)):
        raise DataSetError(
            f"{path}: line 1 announces {announced} images, but {len(lines)} follow; the file is "
            "truncated or its first line wrong"
        )
    if not lines:
        raise DataSetError(f"{path}: expected a line for each image, found none")
    if len(set(names)) < len(names):
        name, count = Counter(names).most_common(1)[0]
        raise DataSetError(f"{path}: {name} has {count} lines; remove all but one")
    return ImageList(path, tuple(names), tuple(columns), np.array(rows, np.int64), first_line)
