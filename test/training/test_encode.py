# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""`python -m training.encode`: the latents of logs and bags are those of the live model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from small_bags import write_beginning
from small_caches import make_cache
from small_models import save_small_checkpoint
from smvae_core.data.logs.dataset import open_cache
from smvae_core.inference.inference import Inference
from smvae_ros.bundled import model_path, parameters_path
from smvae_ros.offline.bag_posteriors import encode_bag
from smvae_ros.parameters.configuration import read_values
from training.encode import main


def encoded(*arguments: str | Path) -> dict[str, np.ndarray]:
    assert main(list(map(str, arguments))) == 0
    with np.load(arguments[arguments.index("--output") + 1], allow_pickle=False) as file:
        return dict(file)


def test_latents_of_logs_are_those_of_inference(tmp_path: Path) -> None:
    model = save_small_checkpoint(tmp_path / "model")
    cache_path = make_cache(tmp_path)
    found = encoded(model, cache_path, "--output", tmp_path / "latents.npz")
    inference, cache = Inference.load(model), open_cache(cache_path)
    names = list(inference.modalities)
    assert found["modalities"].tolist() == names
    assert str(found["model_hash"]) == inference.model_hash
    columns = [cache.names.index(name) for name in names]
    rows = np.flatnonzero(cache.present[:, columns].any(1))
    np.testing.assert_array_equal(found["present"], cache.present[np.ix_(rows, columns)])
    assert not found["present"].all()  # sensors fail in some
    np.testing.assert_array_equal(found["trajectory"], cache.arrays["trajectory"][rows])
    np.testing.assert_array_equal(found["step"], cache.arrays["step"][rows])
    assert not found["stamp"].any()
    assert len(found["trajectories"]) == len(cache.trajectories)
    for place, row in enumerate(rows):
        there = [n for n, is_there in zip(names, found["present"][place], strict=True) if is_there]
        expected = inference.encode({name: np.asarray(cache.arrays[name][row]) for name in there})
        for key in ("mean", "log_variance"):
            np.testing.assert_allclose(
                found[key][place], getattr(expected, key), rtol=1e-3, atol=1e-4
            )


@pytest.mark.parametrize("options", [(), ("--robot", "insertion")])
def test_latents_of_the_bundled_bag_are_those_of_the_nodes_frames(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    bag = write_beginning(tmp_path / "bag", seconds=3.0)
    found = encoded(model_path(), bag, "--output", tmp_path / "latents.npz", *options)
    inference = Inference.load(model_path())
    values = read_values(parameters_path(), inference.modalities.values())
    frames = encode_bag(bag, inference, values)
    np.testing.assert_array_equal(found["stamp"], frames.stamps)
    assert (np.diff(found["stamp"]) > 0).all()
    np.testing.assert_allclose(found["mean"], frames.means, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["log_variance"], frames.log_variances, rtol=1e-4, atol=1e-5)
    assert found["mean"].dtype == np.float32
    names = np.array(list(inference.modalities))
    subsets = ["+".join(names[row]) for row in found["present"]]
    assert subsets == list(frames.subsets)


def test_mistakes_are_one_line(
    tmp_path: Path, read_only_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(save_small_checkpoint(tmp_path / "model"))
    output = tmp_path / "latents.npz"
    (tmp_path / "empty").mkdir()
    for data, file, part in (
        ("nowhere", output, "there is no bag nowhere; check the path. Or give a folder that train"),
        (str(tmp_path / "empty"), output, "empty is no bag, which has a metadata.yaml and .mcap"),
        (str(tmp_path / "empty"), output, "it holds nothing; check the path. Or give a folder tha"),
        (model, output, "it holds model.safetensors, model.yaml; check the path. Or give a folder"),
        (model, tmp_path / "latents.csv", "must end in .npz"),
        (model, read_only_folder / "latents.npz", "cannot be written"),
    ):
        assert main([model, data, "--output", str(file)]) == 2
        message = capsys.readouterr().err
        assert part in message
        assert message.startswith("training.encode: ")
        assert message.count("\n") == 1
    assert not output.exists()
    assert main([str(tmp_path), str(tmp_path), "--output", str(output)]) == 2
