# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The likelihood study, stopped in every way: nothing is lost, nothing is ever half-written."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from places import HELPERS, ROOT
from small_study import BUDGET, PROTOCOL, study_arguments, write_data
from smvae_core.fit.module import SetFitting
from training.studies.labelled_images import study, training_run
from training.studies.labelled_images.__main__ import main
from training.studies.labelled_images.data_sets import Folders
from training.studies.labelled_images.protocol import Run
from training.studies.study import complete

pytestmark = pytest.mark.training

RUN = Run("smvae-masked", 0, PROTOCOL)
RUN_FILE = f"{RUN.key}.json"
# A study that is killed at some call of a function.
DIES = """
import importlib, os, signal, sys
sys.path[:0] = sys.argv.pop(1).split(os.pathsep)
from pathlib import Path
import pytest
from small_study import write_data
write_data(Path(sys.argv.pop(1)), pytest.MonkeyPatch())
module, owner, name, number = sys.argv.pop(1).split(":")
place = importlib.import_module(module)
place = getattr(place, owner) if owner else place
original, calls = getattr(place, name), []
def dying(*arguments):
    calls.append(None)
    if len(calls) == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments)
setattr(place, name, dying)
from training.studies.labelled_images.__main__ import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        yield write_data(tmp_path_factory.mktemp("images") / "data", patch)


@pytest.fixture(scope="module")
def whole(data: Path) -> dict[str, object]:
    """The likelihoods of a run that was not interrupted."""
    return completed(data, data.parent)


def begin(data: Path, folder: Path) -> bool:
    own = study.LabelledImages(PROTOCOL, Folders(data, folder / "work" / "derived"))
    return complete(own, RUN, folder / "runs", folder / "work", ["likelihoods"])


def completed(data: Path, folder: Path) -> dict[str, object]:
    """What is measured of the run in a folder, whether it was begun or not."""
    assert begin(data, folder)
    assert not (folder / "work" / RUN.key / "last.ckpt").exists()
    return json.loads((folder / "runs" / RUN_FILE).read_text())["likelihoods"]


def test_ctrl_c_in_training(data: Path, whole: dict[str, object], tmp_path: Path) -> None:
    """The second call comes to the parameters of an uninterrupted run."""
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(module: SetFitting, batch: object, number: int) -> None:
        if number == 1:
            signal.raise_signal(signal.SIGINT)

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SetFitting, "on_train_batch_start", interrupt)
            with pytest.raises((KeyboardInterrupt, SystemExit)):
                begin(data, tmp_path)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert not (tmp_path / "runs").exists()
    assert (tmp_path / "work" / RUN.key / "last.ckpt").exists()
    assert completed(data, tmp_path) == whole


def test_end_between_last_epoch_and_saving(
    data: Path, whole: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.delattr(training_run, "save_checkpoint")
        with pytest.raises(NameError):
            begin(data, tmp_path)
    assert completed(data, tmp_path) == whole


def test_truncated_state(data: Path, whole: dict[str, object], tmp_path: Path) -> None:
    """Where temporary files lie on another disk, a kill can leave one."""
    folder = tmp_path / "work" / RUN.key
    folder.mkdir(parents=True)
    (folder / "last.ckpt").write_bytes(b"PK\x03\x04 and no end")
    assert completed(data, tmp_path) == whole


@pytest.mark.parametrize(
    ("place", "left"),
    [
        # An epoch has three steps.
        pytest.param(
            "smvae_core.fit.module:SetFitting:training_step:5", "last.ckpt", id="training"
        ),
        # Files are replaced for each of two epochs' states, the model's description, and the run's.
        pytest.param("os::replace:4", "model", id="writing"),
    ],
)
def test_kill(data: Path, whole: object, tmp_path: Path, place: str, left: str) -> None:
    (tmp_path / "data").symlink_to(data)
    arguments = [*study_arguments(tmp_path), "--methods", RUN.method, "--stages", "likelihoods"]
    paths = f"{ROOT}:{HELPERS}"
    died = subprocess.run([sys.executable, "-c", DIES, paths, str(data), place, *arguments])
    assert died.returncode == -signal.SIGKILL
    assert (tmp_path / "work" / RUN.key / left).exists()
    results = tmp_path / "results"
    assert not list(results.rglob("*.json"))
    assert main(arguments) == 0
    assert json.loads((results / "runs" / RUN_FILE).read_text())["likelihoods"] == whole
    assert list(json.loads((results / "mnist.json").read_text())["methods"]) == [RUN.method]


def test_kill_in_a_later_stage(data: Path, whole: object, tmp_path: Path) -> None:
    """The file keeps the stages before, whole, and the next call measures only what is missing."""
    (tmp_path / "data").symlink_to(data)
    arguments = [*study_arguments(tmp_path), "--methods", RUN.method]
    paths, place = f"{ROOT}:{HELPERS}", "training.studies.labelled_images.probe::_accuracy:2"
    died = subprocess.run([sys.executable, "-c", DIES, paths, str(data), place, *arguments])
    assert died.returncode == -signal.SIGKILL
    path = tmp_path / "results" / "runs" / RUN_FILE
    before = json.loads(path.read_text())
    assert list(before["measured"]) == ["likelihoods", "coherence"]
    assert before["likelihoods"] == whole
    assert list(path.parent.iterdir()) == [path]
    assert main(arguments) == 0
    after = json.loads(path.read_text())
    assert set(after.pop("probe")["accuracy"]) == {"image", "label", "image+label"}
    assert after["measured"].pop("probe")
    assert after == before


def test_table_is_written_after_every_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").symlink_to(data)
    measure = study.STAGES["likelihoods"]

    def interrupted(model: object, run: Run, data: object) -> dict[str, object]:
        if run.method == "cvae":
            raise KeyboardInterrupt
        return measure(model, run, data)

    monkeypatch.setitem(study.STAGES, "likelihoods", interrupted)
    arguments = [*study_arguments(tmp_path), "--stages", "likelihoods"]
    assert main([*arguments, "--methods", RUN.method, "cvae"]) == 130
    table = json.loads((tmp_path / "results" / "mnist.json").read_text())
    assert list(table["methods"]) == [RUN.method]
    assert main([*arguments, "--only-table"]) == 0


def test_two_processes_do_not_work_on_one_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").symlink_to(data)
    lock = tmp_path / "work" / RUN.key / "lock"
    lock.parent.mkdir(parents=True)
    with open(lock, "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert main([*study_arguments(tmp_path), "--methods", RUN.method]) == 1
    assert "another process" in capsys.readouterr().err
    assert not (tmp_path / "results" / "runs").exists()


def test_a_pipe_that_closes_early(data: Path, whole: object) -> None:
    """`... | head -1`: no traceback, and the table stands."""
    results = data.parent
    command = [
        sys.executable,
        "-m",
        "training.studies.labelled_images",
        "--only-table",
        "--results",
        results,
    ]
    with subprocess.Popen(
        [*command, *BUDGET], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors
    assert (results / "mnist.md").exists()
