# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""HDF5 files in whatever state: what is wrong is told apart, and what is there is read."""

from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from log_files import STAMP, log_arrays, log_modalities
from places import PYTHONPATH, ROOT
from recorder import writing
from smvae_core.data.logs.cache_folder import CacheError
from smvae_core.data.logs.hdf5.files import Hdf5Error, explained, open_hdf5
from smvae_core.data.logs.vision_touch.layout import (
    LogError,
    log_file_name,
    write_log,
)
from smvae_core.data.logs.vision_touch.log_file import open_log
from smvae_core.data.logs.vision_touch.recording import convert_logs
from smvae_core.data.logs.vision_touch.validation import validate_log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / log_file_name(STAMP, 0, 0)


def only_problem(path: Path) -> str:
    """What validation says of a file, which no program advises to remove, and conversion, too."""
    (problem,) = validate_log(path)
    assert not problem.usable
    assert "remove" not in str(problem)
    assert "delete" not in str(problem)
    with pytest.raises(LogError) as raised, open_log(path) as file:
        file.read(problem.key or "image")
    assert str(raised.value) == str(problem)
    return str(problem)


@pytest.mark.parametrize("how", ["earliest", "latest"])
def test_a_file_that_is_being_recorded(path: Path, how: str) -> None:
    with writing(path, how):
        message = only_problem(path)
    assert "another process has open for writing" in message
    assert "still being recorded: wait until it is closed" in message


def test_a_killed_recorder_leaves_its_mark(path: Path) -> None:
    with writing(path, "latest"):
        pass
    message = only_problem(path)
    assert "its writer has not closed" in message
    assert "`h5clear --status` on a copy" in message


def test_what_a_swmr_recorder_has_written_is_read(path: Path, tmp_path: Path) -> None:
    with writing(path, "swmr"):
        (problem,) = validate_log(path)
        assert problem.usable
        assert "open for SWMR writing, with 3 steps so far" in str(problem)
        with open_log(path) as file:
            assert file.steps == 3
            np.testing.assert_array_equal(file.read("image"), log_arrays(4)["image"][:3])
        report = convert_logs(tmp_path, tmp_path / "cache", log_modalities(), progress=False)
        assert report.steps == 3
        assert list(report.strange) == [str(problem)]
    # It stays readable when the recorder was killed.
    with open_log(path) as file:
        assert file.steps == 3


def test_a_filter_that_is_not_loaded_is_named(path: Path) -> None:
    write_log(path, log_arrays())
    compress(path, "depth_data", 32999)
    message = only_problem(path)
    assert "key 'depth_data'" in message
    assert "the filter 'unknown' (number 32999), which is not loaded" in message
    assert "pip install hdf5plugin" in message
    # One cause in several keys is one sentence.
    compress(path, "proprio", 32999)
    assert "which is not loaded (and so are proprio); pip" in only_problem(path)
    if importlib.util.find_spec("hdf5plugin") is None:
        write_log(path, log_arrays())
        compress(path, "depth_data", 32004)
        assert "the filter 'lz4' (number 32004)" in only_problem(path)


def compress(path: Path, key: str, identity: int) -> None:
    """Replaces a dataset by one that says it is compressed so."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    with h5py.File(path, "r+") as file:
        shape = file[key].shape
        del file[key]
        properties.set_chunk((1, *shape[1:]))
        properties.set_filter(identity, h5py.h5z.FLAG_OPTIONAL, (1,))
        space = h5py.h5s.create_simple(shape)
        h5py.h5d.create(file.id, key.encode(), h5py.h5t.NATIVE_FLOAT, space, properties)


def test_a_filter_of_hdf5plugin_is_used_where_it_is_installed(path: Path) -> None:
    pytest.importorskip("hdf5plugin")
    program = (
        "import sys, h5py, hdf5plugin\n"
        "from log_files import log_arrays\n"
        "with h5py.File(sys.argv[1], 'w') as file:\n"
        "    for key, array in log_arrays().items():\n"
        "        file.create_dataset(key, data=array, **hdf5plugin.LZ4())\n"
    )
    paths = [PYTHONPATH, os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    folder = ROOT
    subprocess.run([sys.executable, "-c", program, path], check=True, cwd=folder, env=environment)
    # In a process that has not imported it.
    program = (
        "import sys\n"
        "from smvae_core.data.logs.vision_touch.validation import validate_log\n"
        "assert 'hdf5plugin' not in sys.modules\n"
        "print(validate_log(sys.argv[1]))\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, path],
        check=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert finished.stdout == "[]\n"


def test_without_permission(path: Path) -> None:
    write_log(path, log_arrays())
    path.chmod(0)
    if os.geteuid() == 0:  # whom permissions do not keep away
        error = explained(path, PermissionError(errno.EACCES, "Permission denied"))
    else:
        with pytest.raises(Hdf5Error) as raised:
            open_hdf5(path)
        error = raised.value
    assert "no permission to read" in str(error)
    assert "chmod" in error.advice
    assert not error.damaged


def test_other_things_in_its_place(path: Path) -> None:
    assert "found no file" in only_problem(path)
    path.symlink_to("/nowhere/at/all")
    assert "a link to /nowhere/at/all, where there is nothing" in only_problem(path)
    path.unlink()
    path.mkdir()
    assert "a folder, not a file" in only_problem(path)
    path.rmdir()
    os.mkfifo(path)  # for whose writer opening it would wait
    assert "something that is not a file" in only_problem(path)
    path.unlink()
    path.write_bytes(b"")
    assert "an empty file" in only_problem(path)
    path.write_text("version https://git-lfs.github.com/spec/v1\n" + "oid\n" * 500)
    message = only_problem(path)
    assert "another format, which begins with b'version https://git-lfs" in message
    assert "get the original" in message


def test_links_inside_that_lead_nowhere(path: Path) -> None:
    write_log(path, log_arrays())
    other = path.with_name("forces.h5")
    with h5py.File(other, "w") as file:
        file["force"] = log_arrays()["ee_forces_continuous"]
    with h5py.File(path, "r+") as file:
        del file["ee_forces_continuous"]
        file["ee_forces_continuous"] = h5py.ExternalLink("forces.h5", "force")
    assert validate_log(path) == []
    other.rename(other.with_name("elsewhere.h5"))
    message = only_problem(path)
    assert "a link to 'force' in forces.h5, there is no such file" in message
    assert "put forces.h5 beside this file" in message
    # An optional key is no exception: somebody meant it to be there.
    write_log(path, log_arrays())
    with h5py.File(path, "r+") as file:
        del file["proprio"]
        file["proprio"] = h5py.SoftLink("/robot/state")
    assert "a link to '/robot/state', which is not in this file" in only_problem(path)


def virtual(path: Path, sources: dict[str, slice], shape: tuple[int, ...]) -> None:
    """A log whose images lie in other files: name → which of its steps."""
    write_log(path, log_arrays(4))
    layout = h5py.VirtualLayout((4, *shape), np.uint8)
    for name, steps in sources.items():
        images = log_arrays(4)["image"][steps]
        with h5py.File(path.with_name(name), "w") as file:
            file["frames"] = images
        layout[steps] = h5py.VirtualSource(name, "frames", images.shape)
    with h5py.File(path, "r+") as file:
        del file["image"]
        file.create_virtual_dataset("image", layout)


def test_virtual_data_whose_source_moved_is_no_black_picture(path: Path, tmp_path: Path) -> None:
    virtual(path, {"a.hdf5": slice(0, 2), "b.hdf5": slice(2, 4)}, (128, 128, 3))
    assert validate_log(path) == []
    source = path.with_name("b.hdf5")
    moved = source.rename(path.with_name("moved.hdf5"))
    message = only_problem(path)
    assert "key 'image'" in message
    assert "whose source 'frames' in b.hdf5 is not all there: there is no such file" in message
    assert "put the source files beside this one again" in message
    with pytest.raises(CacheError, match=r"source 'frames' in b\.hdf5"):
        convert_logs(tmp_path, tmp_path / "cache", log_modalities(), progress=False)

    # A source that is there but shorter, damaged, or without the dataset gives fill values, too.
    with h5py.File(source, "w") as file:
        file["frames"] = log_arrays(1)["image"]
    assert f"has {128 * 128 * 3} of {2 * 128 * 128 * 3} values" in only_problem(path)
    with h5py.File(source, "w") as file:
        file["other"] = 1
    assert "has no 'frames'" in only_problem(path)
    source.write_bytes(moved.read_bytes()[:5000])
    assert "truncated or damaged" in only_problem(path)
    moved.rename(source)
    assert validate_log(path) == []


def test_virtual_data_whose_source_has_no_values_itself(path: Path) -> None:
    source, last = (path.with_name(name) for name in ("a.hdf5", "b.hdf5"))
    virtual(path, {"a.hdf5": slice(0, 4)}, (128, 128, 3))
    source.rename(last)
    layout = h5py.VirtualLayout((4, 128, 128, 3), np.uint8)
    layout[:] = h5py.VirtualSource("b.hdf5", "frames", layout.shape)
    with h5py.File(source, "w") as file:
        file.create_virtual_dataset("frames", layout)
    assert validate_log(path) == []
    last.unlink()
    message = only_problem(path)
    assert "whose source 'frames' in a.hdf5 is not all there: there it is a virtual" in message
    assert "whose source 'frames' in b.hdf5 is not all there: there is no such file" in message
    with h5py.File(source, "w") as file:
        file["frames"] = log_arrays(4)["image"]
    compress(source, "frames", 32999)
    assert "the filter 'unknown' (number 32999), which is not loaded" in only_problem(path)
    layout = h5py.VirtualLayout((4, 128, 128, 3), np.uint8)
    layout[:] = h5py.VirtualSource(".", "frames", layout.shape)
    with h5py.File(source, "w") as file:
        file.create_virtual_dataset("frames", layout)
    assert "virtual datasets in a circle" in only_problem(path)


def test_virtual_data_from_part_of_a_source_that_is_cut(path: Path) -> None:
    write_log(path, log_arrays(4))
    layout = h5py.VirtualLayout((4, 128, 128, 3), np.uint8)
    layout[:] = h5py.VirtualSource("run.hdf5", "frames", (9, 128, 128, 3))[3:7]
    with h5py.File(path, "r+") as file:
        del file["image"]
        file.create_virtual_dataset("image", layout)
    for steps in (9, 5):
        with h5py.File(path.with_name("run.hdf5"), "w") as file:
            file["frames"] = log_arrays(steps)["image"]
        if steps == 9:
            assert validate_log(path) == []
    assert "has shape (5, 128, 128, 3) instead of (" in only_problem(path)


def test_virtual_data_with_a_hole(path: Path) -> None:
    virtual(path, {"a.hdf5": slice(0, 3)}, (128, 128, 3))
    size = 128 * 128 * 3
    assert f"sources give {3 * size} of {4 * size} values" in only_problem(path)


def test_values_in_a_file_that_is_missing_or_cut(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    write_log(path, log_arrays())
    action = log_arrays()["action"]
    with h5py.File(path, "r+") as file:
        del file["action"]
        dataset = file.create_dataset(
            "action", action.shape, "f8", external=[("raw.bin", 0, action.nbytes)]
        )
        dataset[:] = action
    assert validate_log(path) == []
    raw = path.with_name("raw.bin")
    os.truncate(raw, 40)
    assert "raw.bin, of 40 bytes instead of 96" in only_problem(path)
    raw.unlink()
    assert "values in another file, raw.bin, which is missing" in only_problem(path)
