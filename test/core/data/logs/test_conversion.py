# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Conversion of logs into a cache: content, robustness, interruption."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from log_files import STAMP, compress, log_arrays, log_modalities, write_logs, write_many_logs
from patience import PATIENCE
from places import ROOT
from recorder import damage_first_chunk
from smvae_core.data.logs.cache_folder import CacheError
from smvae_core.data.logs.dataset import open_cache
from smvae_core.data.logs.vision_touch.layout import log_file_name, write_log
from smvae_core.data.logs.vision_touch.recording import convert_logs
from smvae_core.modalities import Modality
from smvae_core.preprocessing import prepare
from training.convert import main


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    write_logs(tmp_path / "logs")
    return tmp_path / "logs"


def convert(logs: Path, cache: Path, image_size: int = 16, **options):
    return convert_logs(logs, cache, log_modalities(image_size), progress=False, **options)


def contents(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(cache.glob("*.npy"))}


def test_rows_are_the_prepared_readings(logs: Path, tmp_path: Path):
    report = convert(logs, tmp_path / "cache")
    assert (report.steps, report.trajectories, report.files) == (18, 3, 6)
    assert report.left_out == {}
    assert report.absent == {}
    cache = open_cache(tmp_path / "cache", log_modalities())
    assert cache.names == ("rgb", "depth", "force", "action", "proprio")
    assert cache.trajectories == ((STAMP, 0), (STAMP, 1), (STAMP, 2))
    assert cache.present.all()
    np.testing.assert_array_equal(cache.arrays["trajectory"], np.repeat([0, 1, 2], 6))
    np.testing.assert_array_equal(cache.arrays["step"], np.tile([0, 1, 2, 50, 51, 52], 3))
    modalities = {modality.name: modality for modality in log_modalities()}
    for row in (0, 4, 17):
        trajectory, part, step = row // 6, row // 3 % 2, row % 3
        arrays = log_arrays(3, seed=100 * trajectory + part)
        raw = {
            "rgb": arrays["image"][step],
            "depth": arrays["depth_data"][step, ..., 0],
            "force": arrays["ee_forces_continuous"][step, -32:],
            "action": arrays["action"][step],
            "proprio": arrays["proprio"][step],
        }
        for name, array in raw.items():
            stored = cache.arrays[name][row]
            np.testing.assert_array_equal(stored, prepare(modalities[name], array))
            assert stored.dtype == modalities[name].raw_dtype
        assert cache.arrays["contact"][row] == arrays["contact"][step].any()
        np.testing.assert_allclose(cache.arrays["ee_pos"][row], arrays["ee_pos"][step], rtol=1e-6)
    assert np.isnan(cache.arrays["depth"][0, 0]).all()


def test_parts_are_sorted_by_number_and_trajectories_by_stamp_and_number(tmp_path: Path):
    logs = tmp_path / "logs"
    logs.mkdir()
    for stamp, trajectory, part in [("b", 0, 10), ("b", 0, 9), ("a", 10, 0), ("a", 9, 0)]:
        write_log(logs / log_file_name(stamp, trajectory, part), log_arrays(1))
    convert(logs, tmp_path / "cache")
    cache = open_cache(tmp_path / "cache")
    assert cache.trajectories == (("a", 9), ("a", 10), ("b", 0))
    assert cache.arrays["trajectory"].tolist() == [0, 1, 2, 2]
    assert cache.arrays["step"].tolist() == [0, 0, 450, 500]


def test_long_files_are_converted_in_parts(tmp_path: Path):
    logs = tmp_path / "logs"
    logs.mkdir()
    arrays = log_arrays(60)
    for part in (0, 1):
        write_log(logs / log_file_name(STAMP, 0, part), arrays)
    convert(logs, tmp_path / "cache", image_size=128)
    cache = open_cache(tmp_path / "cache")
    assert cache.arrays["step"].tolist() == list(range(120))
    np.testing.assert_array_equal(cache.arrays["rgb"][:60], arrays["image"])


def test_broken_readings_mark_the_modality_absent(tmp_path: Path):
    logs = tmp_path / "logs"
    logs.mkdir()
    arrays = log_arrays(4)
    arrays["ee_forces_continuous"][0, 3] = np.nan  # older than the 32 readings that are used
    arrays["ee_forces_continuous"][1, 40] = np.nan
    arrays["action"][2, 0] = np.inf
    arrays["proprio"][2, 1] = 1e300  # infinite as float32
    arrays["depth_data"][3] = 0.0  # not one valid pixel
    arrays["ee_pos"][0, 1] = -1e300
    write_log(logs / log_file_name(STAMP, 0, 0), arrays)
    without = {key: array for key, array in log_arrays(4).items() if key != "proprio"}
    write_log(logs / log_file_name(STAMP, 0, 1), without)
    report = convert(logs, tmp_path / "cache")
    assert report.absent == {"force": 1, "action": 1, "proprio": 5, "depth": 1}
    cache = open_cache(tmp_path / "cache")
    expected = np.ones((8, 5), bool)
    expected[3, 1] = expected[1, 2] = expected[2, 3] = expected[2, 4] = False
    expected[4:, 4] = False
    np.testing.assert_array_equal(cache.present, expected)
    for name in ("force", "action", "proprio"):
        assert np.isfinite(cache.arrays[name]).all()
    assert (cache.arrays["action"][2] == 0).all()
    assert np.isnan(cache.arrays["ee_pos"]).all(axis=1).tolist() == [True] + 7 * [False]


def test_logs_without_optional_keys(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    logs = tmp_path / "logs"
    logs.mkdir()
    for part in range(2):
        arrays = log_arrays(2)
        del arrays["proprio"], arrays["ee_pos"]
        if part:
            del arrays["contact"]
        write_log(logs / log_file_name(STAMP, 0, part), arrays)
    with caplog.at_level(logging.WARNING):
        report = convert(logs, tmp_path / "cache")
    assert "no modality 'proprio'" in caplog.text
    assert "only 1 of 2 logs hold 'contact'" in caplog.text
    assert report.modalities == ("rgb", "depth", "force", "action")
    cache = open_cache(tmp_path / "cache")
    assert set(cache.arrays) == {*report.modalities, "trajectory", "step"}
    with pytest.raises(CacheError, match=r"no modality 'proprio'.*leave it out of the model"):
        open_cache(tmp_path / "cache", log_modalities())


def test_unusable_files_are_named_and_left_out(
    logs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    good = tmp_path / "good"
    convert(logs, good)
    names = [log_file_name(STAMP, trajectory, 7) for trajectory in range(5)]
    whole = next(logs.iterdir()).read_bytes()
    (logs / names[0]).write_bytes(whole[: len(whole) // 2])
    (logs / names[1]).write_text("text")
    with h5py.File(logs / names[2], "w") as file:
        file["image"] = np.zeros((2, 128, 128, 3), np.uint8)
    # An intact layout: that the data is damaged shows only when it is read.
    write_log(logs / names[3], log_arrays())
    compress(logs / names[3])
    damage_first_chunk(logs / names[3], "depth_data")
    os.symlink(tmp_path / "nowhere", logs / names[4])
    (logs / "notes.h5").write_bytes(whole)
    (logs / ".unfinished.h5.123.partial").write_bytes(b"")

    with caplog.at_level(logging.WARNING):
        report = convert(logs, tmp_path / "cache")
    assert set(report.left_out) == {*names, "notes.h5"}
    for name, reason in report.left_out.items():
        assert name in reason
        assert name in caplog.text
    assert (report.files, report.steps) == (6, 18)
    one, other = open_cache(good), open_cache(tmp_path / "cache")
    assert len(other) == 18
    for name, array in one.arrays.items():
        if name != "trajectory":
            np.testing.assert_array_equal(other.arrays[name], array)


def test_only_unusable_files(tmp_path: Path):
    logs, cache = tmp_path / "logs", tmp_path / "cache"
    with pytest.raises(CacheError, match="no such folder"):
        convert(logs, cache)
    logs.mkdir()
    with pytest.raises(CacheError, match=r"no \*\.h5 files in this folder"):
        convert(logs, cache)
    write_logs(logs / "triangle_real_data", 1, 1)
    with pytest.raises(CacheError, match=r"did you mean .*triangle_real_data"):
        convert(logs, cache)
    (logs / log_file_name(STAMP, 0, 0)).write_text("text")
    with pytest.raises(CacheError, match=r"none of the 1 .*the first: .*journal_0_0_1000"):
        convert(logs, cache)
    (logs / log_file_name(STAMP, 0, 0)).unlink()
    write_log(logs / log_file_name(STAMP, 0, 1), log_arrays())
    compress(logs / log_file_name(STAMP, 0, 1))
    damage_first_chunk(logs / log_file_name(STAMP, 0, 1), "image")
    with pytest.raises(CacheError, match=r"none of the 1 .*damaged"):
        convert(logs, cache)
    with pytest.raises(CacheError, match="no cache"):
        open_cache(cache)


@pytest.mark.parametrize(
    ("modality", "message"),
    [
        (Modality("audio", "vector", (4,)), "logs hold only rgb, depth, force, action, proprio"),
        (Modality("force", "series", (6, 51), rate=1000.0), r"\(50, 6\) a step at 1000 Hz"),
        (Modality("force", "series", (6, 32), rate=500.0), "at 1000 Hz"),
        (Modality("action", "vector", (3,)), r"as vector, \(4,\) a step"),
        (Modality("rgb", "depth", (1, 16, 16)), "as image"),
    ],
)
def test_modalities_that_logs_do_not_have(logs: Path, modality: Modality, message: str):
    with pytest.raises(ValueError, match=message):
        convert_logs(logs, logs.parent / "cache", [modality], progress=False)


def test_converting_again_does_nothing_or_says_what_changed(
    logs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    cache = tmp_path / "cache"
    convert(logs, cache)
    times = {path: path.stat().st_mtime_ns for path in cache.glob("*.npy")}
    assert convert(logs, cache).already_complete
    assert times == {path: path.stat().st_mtime_ns for path in cache.glob("*.npy")}

    with pytest.raises(
        CacheError, match=r"rgb.shape \[16, 16, 3\] instead of \[32, 32, 3\].*--restart"
    ):
        convert(logs, cache, image_size=32)
    with pytest.raises(CacheError, match=r"'rgb'.*\[32, 32, 3\].*--image-size"):
        open_cache(cache, log_modalities(32))

    new = log_file_name(STAMP, 9, 0)
    write_log(logs / new, log_arrays())
    with pytest.raises(CacheError, match=rf"1 were added.*first is {new}.*--restart"):
        convert(logs, cache)
    with caplog.at_level(logging.WARNING):
        assert len(open_cache(cache)) == 18
    assert "1 of the files it was made from have changed" in caplog.text
    assert convert(logs, cache, restart=True).steps == 21
    assert len(open_cache(cache)) == 21


def test_other_peoples_folders_are_left_alone(logs: Path, tmp_path: Path):
    for folder in (logs, tmp_path):
        before = sorted(folder.rglob("*"))
        with pytest.raises(CacheError, match="holds other things"):
            convert(logs, folder, restart=True)
        assert sorted(folder.rglob("*")) == before


def test_two_conversions_at_once(logs: Path, tmp_path: Path):
    cache = tmp_path / "cache"
    convert(logs, cache)
    before = contents(cache)
    with open(cache / "convert.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CacheError, match="another conversion"):
            convert(logs, cache, restart=True)
    assert contents(cache) == before
    convert(logs, cache, restart=True)
    assert contents(cache) == before


def interrupt(logs: Path, cache: Path, how: signal.Signals) -> tuple[int, str]:
    """Convert in another process and interrupt it when its journal shows progress."""
    journal = cache / "journal.jsonl"

    def size() -> int:
        return journal.stat().st_size if journal.exists() else 0

    before = size()
    command = [sys.executable, "-m", "training.convert", logs, cache, "--image-size", "16"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while size() <= before:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.001)
            pytest.fail(f"ended before it could be interrupted: {process.communicate()}")
    process.send_signal(how)
    _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors


def test_killed_conversion_continues_to_the_same_bytes(tmp_path: Path):
    logs, cache = tmp_path / "logs", tmp_path / "cache"
    write_many_logs(logs, 150)
    status, _ = interrupt(logs, cache, signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert not (cache / "cache.yaml").exists()
    with pytest.raises(CacheError, match=r"not finished: run the same training.convert again"):
        open_cache(cache)

    done = (cache / "journal.jsonl").read_text().count("\n")
    assert 0 < done < 150
    # As if it had been killed in the middle of a line, with half a file behind the last one.
    with open(cache / "journal.jsonl", "a") as journal:
        journal.write('{"name": "2019')
    first = np.lib.format.open_memmap(cache / "step.npy", mode="r+")
    first[2 * done : 2 * done + 3] = -1
    del first

    status, message = interrupt(logs, cache, signal.SIGINT)
    assert status == 130, message
    assert "run the same command again to continue" in message
    again = (cache / "journal.jsonl").read_text().count("\n")
    assert done <= again < 150

    report = convert(logs, cache)
    assert report.steps == 300
    whole = tmp_path / "whole"
    convert(logs, whole)
    assert contents(cache) == contents(whole)
    assert (cache / "cache.yaml").read_bytes() == (whole / "cache.yaml").read_bytes()
    assert {path.name for path in cache.iterdir()} == {path.name for path in whole.iterdir()}


def test_continuing_refuses_other_files_and_sizes(tmp_path: Path):
    logs, cache = tmp_path / "logs", tmp_path / "cache"
    write_many_logs(logs, 150)
    interrupt(logs, cache, signal.SIGKILL)
    with pytest.raises(CacheError, match="instead of"):
        convert(logs, cache, image_size=32)
    name = log_file_name(STAMP, 0, 3)
    (logs / name).unlink()
    with pytest.raises(CacheError, match=rf"removed.*{name}"):
        convert(logs, cache)
    assert convert(logs, cache, restart=True).steps == 298


def test_full_disk_is_said_and_can_be_continued(tmp_path: Path):
    """A limit on the size of files stands in for the disk: both refuse the same writes."""
    logs, cache = tmp_path / "logs", tmp_path / "cache"
    write_logs(logs, 1, 2)
    limited = (
        "import resource, sys; from training.convert import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY));"
        "sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.run(
        [sys.executable, "-c", limited, str(logs), str(cache)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2, process.stderr
    assert "no space for the cache" in process.stderr
    assert "Traceback" not in process.stderr
    assert list(cache.glob("*.npy")) == []
    assert convert(logs, cache).steps == 6


def test_a_place_that_cannot_be_written_to_is_said_before_the_work(
    tmp_path: Path, read_only_folder: Path, full_disk: Path, capsys: pytest.CaptureFixture[str]
):
    write_logs(tmp_path / "logs", 1, 1)
    for folder in (read_only_folder, full_disk):
        assert main([str(tmp_path / "logs"), str(folder / "cache")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert str(folder / "cache") in line
        assert "read-only" in line or "no permission" in line or "no space" in line
        assert not (folder / "cache").exists()


def test_of_a_complete_cache_nothing_is_written(logs: Path, tmp_path: Path):
    # So that one on a read-only disk is "already complete".
    cache = tmp_path / "cache"
    convert(logs, cache)
    (cache / "convert.lock").unlink()
    before = {path: path.stat().st_mtime_ns for path in (cache, *cache.iterdir())}
    assert convert(logs, cache).already_complete
    assert {path: path.stat().st_mtime_ns for path in (cache, *cache.iterdir())} == before


@pytest.mark.parametrize("name", ["rgb.npy", "step.npy", "cache.yaml"])
@pytest.mark.parametrize("fraction", [None, 0.0, 0.6])
def test_damaged_caches_do_not_open(logs: Path, tmp_path: Path, name: str, fraction: float | None):
    convert(logs, tmp_path / "cache")
    path = tmp_path / "cache" / name
    content = path.read_bytes()
    path.unlink()
    if fraction is not None:
        path.write_bytes(content[: int(len(content) * fraction)])
    with pytest.raises(CacheError, match="convert"):
        open_cache(tmp_path / "cache")


def test_caches_of_another_version_do_not_open(logs: Path, tmp_path: Path):
    convert(logs, tmp_path / "cache")
    path = tmp_path / "cache" / "cache.yaml"
    manifest = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**manifest, "format_version": 99}))
    with pytest.raises(CacheError, match=r"expected format version 1, found 99"):
        open_cache(tmp_path / "cache")


def test_arrays_of_objects_are_never_unpickled(logs: Path, tmp_path: Path):
    convert(logs, tmp_path / "cache")
    np.save(tmp_path / "cache" / "rgb.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(CacheError, match=r"rgb\.npy"):
        open_cache(tmp_path / "cache")


def test_command(logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    cache = tmp_path / "cache"
    assert main([str(logs), str(cache), "--image-size", "16"]) == 0
    assert "18 at 20 Hz" in capsys.readouterr().out
    assert len(open_cache(cache, log_modalities())) == 18
    assert main([str(logs), str(cache), "--image-size", "16"]) == 0
    assert "already complete" in capsys.readouterr().out
    assert main([str(logs), "--validate-only"]) == 0

    bad = logs / log_file_name(STAMP, 5, 0)
    bad.write_text("text")
    assert main([str(logs), str(tmp_path / "other")]) == 1
    assert f"left out: {bad}" in capsys.readouterr().out
    assert main([str(logs), "--validate-only"]) == 1
    assert str(bad) in capsys.readouterr().out


def test_command_with_nothing_usable(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(tmp_path), str(tmp_path / "cache")]) == 2
    assert main([str(tmp_path), "--validate-only"]) == 2
    errors = capsys.readouterr().err
    assert "neither HDF5 files" in errors
    assert "no *.h5 files" in errors
    for arguments in ([str(tmp_path)], [str(tmp_path), "cache", "--image-size", "0"]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, np.inf, "fast"])
def test_an_impossible_rate_is_named(logs: Path, tmp_path: Path, rate: object):
    bad = logs / log_file_name(STAMP, 5, 0)
    write_log(bad, log_arrays(), {"rate": rate})
    report = convert(logs, tmp_path / "cache")
    assert (report.files, report.rate) == (6, 20.0)
    assert "'rate', a number above 0" in report.left_out[bad.name]


def test_caches_of_before_the_rate_was_kept_have_20_hz(logs: Path, tmp_path: Path):
    convert(logs, tmp_path / "cache")
    path = tmp_path / "cache" / "cache.yaml"
    manifest = yaml.safe_load(path.read_text())
    del manifest["rate"], manifest["strange"]
    path.write_text(yaml.safe_dump(manifest))
    assert open_cache(tmp_path / "cache").rate == 20.0
    report = convert(logs, tmp_path / "cache")
    assert report.already_complete
    assert report.rate == 20.0
    path.write_text(yaml.safe_dump({**manifest, "rate": -5}))
    with pytest.raises(CacheError, match="a rate of -5"):
        open_cache(tmp_path / "cache")
