# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Values that no sensor measured: named once with the likely cause, and harmless to the others."""

from __future__ import annotations

import logging
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from log_files import STAMP, log_arrays, log_modalities
from smvae_core.data.logs.conversion import ConversionReport
from smvae_core.data.logs.dataset import open_cache
from smvae_core.data.logs.plausibility import plausible_steps
from smvae_core.data.logs.statistics import statistics
from smvae_core.data.logs.vision_touch.layout import (
    DATASETS,
    LogError,
    log_file_name,
    write_log,
)
from smvae_core.data.logs.vision_touch.log_file import open_log
from smvae_core.data.logs.vision_touch.recording import convert_logs
from smvae_core.data.logs.vision_touch.validation import validate_log
from training.convert import main

STEPS = 12
Arrays = dict[str, np.ndarray]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / log_file_name(STAMP, 0, 0)


def convert(path: Path) -> ConversionReport:
    cache = path.parent.parent / "cache"
    return convert_logs(path.parent, cache, log_modalities(), restart=True, progress=False)


def strange(path: Path) -> str:
    """What validation and conversion say of a file that can be used all the same: one sentence."""
    (problem,) = validate_log(path)
    assert problem.usable
    report = convert(path)
    assert report.strange == {str(problem): 1}
    assert report.files == 1
    return str(problem)


def millimetres(arrays: Arrays) -> None:
    arrays["depth_data"] *= 1000


def far_away(arrays: Arrays) -> None:
    arrays["depth_data"] += 4


def no_depth(arrays: Arrays) -> None:
    arrays["depth_data"][:] = 0


def black(arrays: Arrays) -> None:
    arrays["image"][5:] = 0


def fractions(arrays: Arrays) -> None:
    arrays["image"] //= 128


def frozen_camera(arrays: Arrays) -> None:
    arrays["image"][:] = arrays["image"][0]


def frozen_depth(arrays: Arrays) -> None:
    arrays["depth_data"][:] = arrays["depth_data"][0]


def frozen_force(arrays: Arrays) -> None:
    arrays["ee_forces_continuous"][:] = arrays["ee_forces_continuous"][0]


def unconnected(arrays: Arrays) -> None:
    arrays["ee_forces_continuous"][:] = 0


@pytest.mark.parametrize(
    ("spoil", "key", "found", "cause"),
    [
        (millimetres, "depth_data", "none in 12 of 12 images, whose values are around", "by 1000"),
        (far_away, "depth_data", "none in 12 of 12 images, whose values are around 4", "farther"),
        (no_depth, "depth_data", "none in 12 of 12 images", "check the camera"),
        (black, "image", "7 of 12 that are of one colour", "off or covered"),
        (fractions, "image", "only 0 and 1", "multiply by 255"),
        (frozen_camera, "image", "the same in all 12 steps", "froze"),
        (frozen_depth, "depth_data", "the same in all 12 steps", "froze"),
        (frozen_force, "ee_forces_continuous", "the same in all 12 steps", "not connected"),
        (unconnected, "ee_forces_continuous", "the same in all 12 steps", "not connected"),
    ],
)
def test_what_is_strange_is_said_with_its_likely_cause(
    path: Path, spoil, key: str, found: str, cause: str
) -> None:
    arrays = log_arrays(STEPS)
    spoil(arrays)
    write_log(path, arrays)
    message = strange(path)
    assert f"key {key!r}" in message
    assert found in message
    assert cause in message


def test_good_logs_pass_without_a_word(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    arrays = log_arrays(120)
    arrays["depth_data"][:50] = 0  # the object was too near for a while
    arrays["action"][10:] = 0  # the robot waits
    arrays["proprio"][10:] = arrays["proprio"][10]
    arrays["ee_forces_continuous"][60, 20:25] = 800  # it hits something
    arrays["ee_forces_continuous"] += 3000  # an unknown bias
    write_log(path, arrays)
    assert validate_log(path) == []
    with caplog.at_level(logging.WARNING):
        report = convert(path)
    assert report.strange == {}
    assert report.absent == {"depth": 50}
    assert caplog.text == ""


@pytest.mark.parametrize("value", [1e30, -1e30, 3e38, 1e6])
@pytest.mark.parametrize(
    ("key", "name"),
    [("ee_forces_continuous", "force"), ("action", "action"), ("proprio", "proprio")],
)
def test_one_impossible_reading_leaves_the_statistics_sane(
    path: Path, key: str, name: str, value: float
) -> None:
    arrays = log_arrays(60)
    write_log(path, arrays)
    convert(path)
    sane = statistics(open_cache(path.parent.parent / "cache"), np.arange(60), [name])[name]

    arrays[key][55, ..., 2].flat[-1] = value
    write_log(path, arrays)
    message = strange(path)
    assert f"beyond all reason in 1 of 60 steps, the largest {value:.3g} in step 55" in message
    report = convert(path)
    assert report.absent == {name: 1}
    cache = open_cache(path.parent.parent / "cache")
    assert np.flatnonzero(~cache.present.all(axis=1)).tolist() == [55]
    assert (cache.arrays[name][55] == 0).all()
    measured = statistics(cache, np.arange(60), [name])[name]
    np.testing.assert_allclose(measured.std, sane.std, rtol=0.3)
    np.testing.assert_allclose(measured.mean, sane.mean, atol=0.2 * sane.std.max())


@pytest.mark.parametrize("extreme", [-5000.0, 1e30])
def test_one_reading_that_makes_all_of_the_spread_is_named(
    path: Path, caplog: pytest.LogCaptureFixture, extreme: float
) -> None:
    """As in caches of before it was left out, and where a file is too short to tell."""
    arrays = log_arrays(120)
    write_log(path, arrays)
    convert(path)
    cache = open_cache(path.parent.parent / "cache")
    with caplog.at_level(logging.WARNING):
        statistics(cache, np.arange(120))
    assert caplog.text == ""
    force, action = cache.arrays["force"].copy(), cache.arrays["action"].copy()
    force[7, 3, 2] = action[5, 1] = extreme
    force[:, :, 4] = 7.0  # one value is no extreme
    cache.arrays.update(force=force, action=action)
    with caplog.at_level(logging.WARNING):
        statistics(cache, np.arange(120))
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in lines] == ["force, channel 2", "action, channel 1"]
    assert f"a single reading of {extreme:g} among 120 makes" in lines[1]


@given(st.integers(0, 1000), st.floats(1e-6, 1e6), st.integers(1, 50))
@settings(max_examples=50)
def test_readings_are_plausible_in_any_unit_and_number(seed: int, unit: float, steps: int) -> None:
    random = np.random.default_rng(seed)
    force = random.normal(0, unit, (steps, 50, 6))
    assert plausible_steps(force, usual=10.0).all()
    action = random.normal(0, unit, (steps, 4))
    assert plausible_steps(action, usual=1.0)[: max(1, steps)].all()


def test_nan_is_no_matter_of_plausibility() -> None:
    force = np.random.default_rng(0).normal(0, 10, (20, 50, 6))
    force[3] = np.nan
    force[:, :, 5] = np.nan
    force[7, 2, 0] = np.inf
    force[9, 4, 1] = 1e20
    assert np.flatnonzero(~plausible_steps(force, usual=10.0)).tolist() == [9]
    assert plausible_steps(np.full((4, 4), np.nan), usual=1.0).all()


def reserve(path: Path, steps: int, compression: str | None, chunks: bool) -> None:
    """What a recorder leaves that reserved a file of `steps` and was killed after the 7th image
    and the 6th force."""
    arrays = log_arrays(7)
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            shape = (steps, *array.shape[1:])
            options = {"chunks": (5, *array.shape[1:])} if chunks else {}
            dataset = file.create_dataset(
                key, shape, DATASETS[key].dtype, compression=compression, **options
            )
            written = 6 if key == "ee_forces_continuous" else 7
            dataset[:written] = array[:written]


@pytest.mark.parametrize(("compression", "chunks"), [(None, False), (None, True), ("gzip", True)])
@pytest.mark.parametrize("steps", [8, 50, 230])
def test_what_a_killed_recorder_reserved_is_no_reading(
    path: Path, steps: int, compression: str | None, chunks: bool
) -> None:
    reserve(path, steps, compression, chunks)
    message = strange(path)
    assert f"expected {steps} recorded steps, found 6; the others hold nothing but zeros" in message
    assert "was killed" in message
    with open_log(path) as file:
        assert (file.steps, file.reserved) == (6, steps)
        assert len(file.read("image")) == len(file.read("depth_data", 0, 50)) == 6
    report = convert(path)
    assert report.steps == 6
    assert report.absent == {}


def test_a_file_of_which_nothing_was_written(path: Path) -> None:
    arrays = {key: np.zeros_like(array) for key, array in log_arrays(60).items()}
    write_log(path, arrays)
    (problem,) = validate_log(path)
    assert not problem.usable
    assert "expected 60 recorded steps, found 0" in str(problem)
    assert "there is nothing to use" in str(problem)
    with pytest.raises(LogError, match="nothing to use"), open_log(path):
        pass


def test_the_same_trouble_of_many_files_is_said_once_and_counted(
    path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(30):
        arrays = log_arrays(2, seed=number)
        arrays["depth_data"] *= 1000 + number
        write_log(path.with_name(log_file_name(STAMP, number, 0)), arrays)
    with caplog.at_level(logging.WARNING):
        report = convert(path)
    assert caplog.text.count("millimetres") == 1
    ((text, count),) = report.strange.items()
    assert count == 30
    assert "divide it by 1000" in text

    capsys.readouterr()
    assert main([str(path.parent), "--validate-only"]) == 1
    output = capsys.readouterr()
    assert (output.out + output.err).count("divide it by 1000") == 4
    assert "in 27 more files the same of 'depth_data': it is probably in millimetres" in output.out
    cache = path.parent.parent / "command"
    assert main([str(path.parent), str(cache), "--image-size", "16"]) == 0
    assert "(and the like in 29 more)" in capsys.readouterr().out
