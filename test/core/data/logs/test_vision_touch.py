# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The Vision&Touch log format: names, writing, validation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_files import STAMP, compress, log_arrays
from places import PYTHONPATH, ROOT
from recorder import damage_first_chunk
from smvae_core.data.logs.vision_touch.layout import (
    DATASETS,
    REQUIRED_KEYS,
    LogError,
    log_file_name,
    parse_log_name,
    write_log,
)
from smvae_core.data.logs.vision_touch.log_file import open_log
from smvae_core.data.logs.vision_touch.validation import validate_log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / log_file_name(STAMP, 0, 1)


def rewrite(path: Path, key: str, data: np.ndarray | None) -> None:
    """Replace one dataset behind write_log's back."""
    with h5py.File(path, "r+") as file:
        del file[key]
        if data is not None:
            file[key] = data


def test_name_of_the_published_files():
    name = "20190408_183047_triangle_0_journal_0_1_1000.h5"
    assert parse_log_name(f"/some/folder/{name}") == ("20190408_183047", 0, 1)
    assert log_file_name("20190408_183047", 0, 1) == name


@given(
    st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True),
    st.integers(0, 10**6),
    st.integers(0, 99),
)
def test_names_survive_the_round_trip(stamp: str, trajectory: int, part: int):
    parsed = parse_log_name(log_file_name(stamp, trajectory, part))
    assert parsed == (stamp, trajectory, part)


@pytest.mark.parametrize(
    "name", ["data.h5", "x_triangle_0_journal_0_1000.h5", "x_triangle_0_journal_a_1_1000.h5", ""]
)
def test_other_names_are_refused_with_the_expected_form(name: str):
    with pytest.raises(LogError, match=r"_triangle_0_journal_<trajectory>_<part>_1000\.h5"):
        parse_log_name(name)


def test_stamps_that_would_break_the_name_are_refused():
    with pytest.raises(LogError, match="stamp"):
        log_file_name("../elsewhere", 0, 0)
    with pytest.raises(LogError, match="0 or more"):
        log_file_name(STAMP, -1, 0)


def test_written_log_is_valid_and_holds_what_was_given(path: Path):
    arrays = log_arrays()
    write_log(path, arrays, {"simulated": True, "seed": 3})
    assert validate_log(path) == []
    assert list(path.parent.iterdir()) == [path]
    with h5py.File(path) as file:
        assert file.attrs["simulated"]
        assert file.attrs["seed"] == 3
        for key, array in arrays.items():
            assert file[key].dtype == DATASETS[key].dtype
            assert file[key].chunks is None  # contiguous
            np.testing.assert_array_equal(file[key][:], array)


def test_gzip_is_valid_too(path: Path):
    write_log(path, log_arrays())
    compress(path)
    assert validate_log(path) == []
    with open_log(path) as file:
        np.testing.assert_array_equal(file.read("image"), log_arrays()["image"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": None}, r"key 'image': expected a dataset of shape \(T, 128, 128, 3\)"),
        ({"action": np.zeros((3, 3))}, r"key 'action': expected shape \(T, 4\), found .*\(3, 3\)"),
        ({"action": np.zeros((2, 4))}, r"key 'action': expected 3 steps .*found shape \(2, 4\)"),
        ({"image": np.zeros((3, 128, 128, 3), np.float32)}, "'image': expected dtype like uint8"),
        ({"depth_data": np.zeros((3, 128, 128), np.uint16)}, "'depth_data': expected dtype like"),
        ({"force": np.zeros((3, 32, 6))}, "key 'force': expected one of image"),
    ],
)
def test_writing_refuses_what_is_not_the_format(path: Path, change: dict, message: str):
    arrays = {key: array for key, array in {**log_arrays(), **change}.items() if array is not None}
    with pytest.raises(LogError, match=message):
        write_log(path, arrays)
    assert list(path.parent.iterdir()) == []


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(path: Path):
    write_log(path, log_arrays())
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_log(path, log_arrays(seed=1), {"attribute": object()})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_one_error(small_disk: Path):
    """In a process of its own, which HDF5 would end by a segmentation fault."""
    program = (
        "import sys\n"
        "from log_files import STAMP, log_arrays\n"
        "from smvae_core.data.logs.vision_touch.layout import log_file_name, write_log\n"
        "folder = sys.argv[1]\n"
        "for part in range(9):\n"
        "    name = f'{folder}/{log_file_name(STAMP, 0, part)}'\n"
        "    try:\n"
        "        write_log(name, log_arrays(10))\n"
        "    except OSError as error:\n"
        "        print(part, error)\n"
        "        break\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, small_disk],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0
    assert finished.stderr == ""
    written, message = finished.stdout.split(" ", 1)
    assert "cannot be written: the disk is full; make room" in message
    files = sorted(small_disk.iterdir())
    assert len(files) == int(written) > 0
    assert not any(validate_log(path) for path in files)


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.5, 0.99])
def test_truncated_file(path: Path, fraction: float):
    write_log(path, log_arrays())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    (problem,) = validate_log(path)
    assert str(path) in str(problem)
    assert "truncated" in str(problem)
    with pytest.raises(LogError, match="truncated"), open_log(path):
        pass


def test_foreign_files(path: Path):
    path.write_text("not HDF5 at all\n" * 100)
    assert "readable HDF5 file" in str(validate_log(path)[0])

    with h5py.File(path, "w") as file:
        file["weights"] = np.zeros(3)
        file.create_group("image")
        file["action"] = "text"
        file["depth_data"] = h5py.SoftLink("/nowhere")
        file["ee_forces_continuous"] = h5py.Empty("f")
    problems = {problem.key: str(problem) for problem in validate_log(path)}
    assert set(problems) == set(REQUIRED_KEYS)
    assert "found a group" in problems["image"]


def test_missing_file_and_folder_in_its_place(path: Path):
    assert "found no file" in str(validate_log(path)[0])
    path.mkdir()
    assert "not a file" in str(validate_log(path)[0])


def test_missing_key(path: Path):
    write_log(path, log_arrays())
    rewrite(path, "ee_forces_continuous", None)
    (problem,) = validate_log(path)
    assert problem.key == "ee_forces_continuous"
    assert not problem.usable
    assert "(T, 50, 6)" in problem.expected
    assert "action" in problem.found  # what is there instead


def test_optional_keys_may_be_missing(path: Path):
    write_log(path, {key: log_arrays()[key] for key in REQUIRED_KEYS})
    assert validate_log(path) == []


@pytest.mark.parametrize(
    ("key", "data", "expected"),
    [
        ("image", np.zeros((3, 64, 64, 3), np.uint8), "(T, 128, 128, 3)"),
        ("image", np.zeros((3, 128, 128, 3), np.float64), "uint8"),
        ("depth_data", np.zeros((3, 128, 128), np.uint16), "float32"),
        ("depth_data", np.zeros((3, 128, 128, 2), np.float32), "(T, 128, 128, 1)"),
        ("ee_forces_continuous", np.zeros((3, 32, 6)), "(T, 50, 6)"),
        ("action", np.float64(1), "(T, 4)"),
        ("proprio", np.zeros((3, 7)), "(T, 8)"),
        ("contact", np.zeros((3, 1)), "(T, 50)"),
    ],
)
def test_wrong_shape_or_dtype(path: Path, key: str, data: np.ndarray, expected: str):
    write_log(path, log_arrays())
    rewrite(path, key, data)
    (problem,) = validate_log(path)
    assert problem.path == path
    assert problem.key == key
    assert expected in problem.expected
    assert str(np.shape(data)) in problem.found or str(data.dtype) in problem.found
    assert problem.advice
    assert ("by 255" in problem.advice) == (data.dtype == np.float64 and key == "image")
    assert ("by 1000" in problem.advice) == (data.dtype == np.uint16)


def test_lengths_that_differ_and_no_steps(path: Path):
    write_log(path, log_arrays())
    rewrite(path, "contact", np.zeros((2, 50)))
    (problem,) = validate_log(path)
    assert problem.key == "contact"
    assert "(3, 50)" in problem.expected
    assert "(2, 50)" in problem.found
    rewrite(path, "contact", np.zeros((0, 50)))
    (problem,) = validate_log(path)
    assert "T >= 1" in problem.expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite_are_counted(path: Path, value: float):
    arrays = log_arrays()
    arrays["ee_forces_continuous"][1:, 49, 2] = value
    arrays["depth_data"][0, 0, 0] = np.nan  # means no reading
    write_log(path, arrays)
    (problem,) = validate_log(path)
    assert problem.key == "ee_forces_continuous"
    assert problem.usable
    assert "2 of 3 steps, the first in step 1" in problem.found


def test_damaged_data_inside_an_intact_layout(path: Path):
    write_log(path, log_arrays())
    compress(path)
    damage_first_chunk(path, "image")
    (problem,) = validate_log(path)
    assert problem.key == "image"
    with pytest.raises(LogError, match="damaged"), open_log(path) as file:
        file.read("image")


def test_other_layouts_of_images_read_the_same(path: Path):
    arrays = log_arrays()
    write_log(path, arrays)
    with open_log(path) as file:
        image, depth = file.read("image"), file.read("depth_data", 1, 3)
    assert file.steps == 3
    assert depth.shape == (2, 128, 128)
    for layout in (arrays["depth_data"][..., 0], arrays["depth_data"].transpose(0, 3, 1, 2)):
        write_log(
            path,
            {**arrays, "image": arrays["image"].transpose(0, 3, 1, 2), "depth_data": layout},
        )
        assert validate_log(path) == []
        with open_log(path) as file:
            np.testing.assert_array_equal(file.read("image"), image)
            np.testing.assert_array_equal(file.read("depth_data", 1, 3), depth)


def test_only_the_keys_that_are_asked_for_matter(path: Path):
    write_log(path, log_arrays())
    rewrite(path, "proprio", np.zeros((3, 7)))
    with open_log(path, ["contact"]) as file:
        assert set(file.keys) == {*REQUIRED_KEYS, "contact"}
    with pytest.raises(LogError, match="proprio"), open_log(path, ["proprio"]):
        pass
