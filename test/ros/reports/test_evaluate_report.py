# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The page of an evaluation, for sensors of any number and kind, some of which are missing."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from small_bags import TOPICS, write_small_bag
from small_models import small_modalities

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
import matplotlib.pyplot as plt

from smvae_core.checkpoint import save_checkpoint
from smvae_core.inference.inference import Inference
from smvae_core.models.smvae import SMVAE
from smvae_ros.bags import BagReader, BagWriter
from smvae_ros.bundled import parameters_path
from smvae_ros.cli.evaluate import main
from smvae_ros.offline.evaluation import Evaluation, evaluate
from smvae_ros.offline.prediction_records import PredictionRecords
from smvae_ros.parameters.configuration import read_values
from smvae_ros.reports.evaluate_figures import moments_figure, timeline_figure
from smvae_ros.reports.evaluate_report import write_page
from smvae_ros.reports.figures import depth_scale, depth_style

FIVE = tuple(TOPICS)
SECOND_ARM = {"wrist": "rgb", "force_2": "force", "proprio_2": "proprio"}  # sensor → one like it


def small_inference(path: Path, names: Sequence[str]) -> Inference:
    """A model of some of the five sensors and their doubles, untrained."""
    like = {modality.name: modality for modality in small_modalities()}
    modalities = [replace(like[SECOND_ARM.get(name, name)], name=name) for name in names]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SMVAE(modalities, latent_size=6, embedding_size=16, heads=4).eval()
    save_checkpoint(path, model, {"command": "test"})
    return Inference.load(path)


def evaluated(
    folder: Path, names: Sequence[str], absent: Sequence[str] = (), subsets: str = "all"
) -> Evaluation:
    """What became of a bag in which some sensors have no topic."""
    bag, parameters = write_bag(folder, names, absent)
    inference = small_inference(folder / "model", names)
    values = read_values(parameters, inference.modalities.values())
    return evaluate([bag], inference, values, [subsets], predictions=True)


def write_bag(folder: Path, names: Sequence[str], absent: Sequence[str]) -> tuple[Path, Path]:
    """A bag in which some sensors have no topic, and parameters that name those of all."""
    bag, whole = folder / "bag", folder / "whole"
    base = yaml.safe_load(parameters_path().read_text())["/**"]["ros__parameters"]
    settings = {name: dict(base[SECOND_ARM.get(name, name)]) for name in names}
    for name in names:
        second = "/second" * (name in SECOND_ARM)
        settings[name]["topic"] = second + TOPICS[SECOND_ARM.get(name, name)][0]
    topics = {settings[name]["topic"] for name in names if name not in absent}
    with BagReader(write_small_bag(whole, 3)) as reader, BagWriter(bag) as writer:
        for topic, type_name, received_ns, data in reader.messages():
            for written in {topic, f"/second{topic}"} & topics:
                writer.write_raw(written, type_name, data, received_ns)
    parameters = folder / "parameters.yaml"
    parameters.write_text(yaml.safe_dump({"/**": {"ros__parameters": settings}}))
    return bag, parameters


def predictions_of(evaluation: Evaluation) -> PredictionRecords:
    """Those of the only bag."""
    (bag,) = evaluation.bags.values()
    return bag.predictions


def tables(page: str) -> list[list[list[str]]]:
    """Cells of each row of each table."""
    return [
        [re.findall("<t[hd]>(.*?)</t[hd]>", row) for row in re.findall("<tr>(.*?)</tr>", table)]
        for table in re.findall("<table>(.*?)</table>", page, re.DOTALL)
    ]


@pytest.mark.parametrize(
    ("names", "absent", "cards", "figures", "rows"),
    [
        (FIVE, ("depth",), ["rgb skill, all sensors", "rgb skill, all but images"], 2, 15),
        (("rgb", "depth"), (), [f"{n} skill, {s}" for n in ("rgb", "depth")
         for s in ("all sensors", "the others")], 2, 3),
        (("depth",), (), ["depth skill, all sensors"], 2, 1),
        (("action", "proprio"), (), [f"{n} skill, {s}" for n in ("action", "proprio")
         for s in ("all sensors", "the others")], 1, 3),
        (("rgb", "depth", "force"), ("rgb", "depth"), ["force skill, all sensors"], 1, 1),
    ],
    ids=("one absent", "images alone", "depth alone", "vectors", "cameras absent"),
)  # fmt: skip
def test_a_page_of_any_sensors(
    tmp_path: Path,
    names: Sequence[str],
    absent: Sequence[str],
    cards: list[str],
    figures: int,
    rows: int,
) -> None:
    evaluation = evaluated(tmp_path, names, absent)
    write_page(tmp_path / "page.html", evaluation)
    page = (tmp_path / "page.html").read_text()
    assert re.findall('<div class="tile"><b>.*?</b>(.*?)</div>', page)[2:] == cards
    assert page.count("<img ") == figures
    used = [name for name in names if name not in absent]
    assert predictions_of(evaluation).used == tuple(used)
    (skills,) = tables(page)
    assert skills[0] == ["predicted from", *used]
    assert len(skills) == 1 + rows + 1  # the header, and the training mean
    assert all(cell for row in skills for cell in row), "no empty cells"
    assert ("In no snapshot: " + ", ".join(absent) in page) == bool(absent)


@pytest.mark.parametrize(
    ("names", "absent", "lines"),
    [
        (FIVE, ("proprio",), ["training mean", "from all but images", "from all that is live"]),
        (("rgb", "depth"), (), ["training mean", "from all that is live"]),
        (("force", "action"), (), ["training mean", "from all that is live"]),
    ],
)
def test_curves_are_neither_empty_nor_hidden(
    tmp_path: Path, names: Sequence[str], absent: Sequence[str], lines: list[str]
) -> None:
    evaluation = evaluated(tmp_path, names, absent)
    records = predictions_of(evaluation)
    figure = timeline_figure(evaluation.inference, records, None)
    figure.canvas.draw()
    legends = [axis.get_legend() for axis in figure.axes if axis.get_legend()]
    assert [text.get_text() for text in legends[0].get_texts()] == lines
    assert [text.get_text() for text in legends[1].get_texts()] == list(records.used)
    for legend in legends:
        box = legend.get_window_extent()
        for axis in figure.axes:
            assert not box.overlaps(axis.get_window_extent())
    for axis in figure.axes[: len(records.used)]:
        for line in axis.get_lines():
            assert np.isfinite(line.get_ydata()).any()
    plt.close(figure)


def test_depth_has_a_scale_in_metres(tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path, FIVE)
    records = predictions_of(evaluation)
    figure = moments_figure(evaluation.inference, records.pictures)
    (scale,) = [axis for axis in figure.axes if axis.get_ylabel() == "depth [m]"]
    recorded = np.stack([picture.truth["depth"] for picture in records.pictures])
    low, high = scale.get_ylim()
    assert np.nanmin(recorded) <= low < high <= np.nanmax(recorded)
    plt.close(figure)


def test_a_scale_of_depth_without_any_reading() -> None:
    figure, axes = plt.subplots(layout="constrained")
    depth_scale(figure, [axes], depth_style(np.full((2, 4, 4), np.nan, np.float16)))
    figure.canvas.draw()
    plt.close(figure)


def test_sensors_without_a_topic_take_no_subset_away(tmp_path: Path) -> None:
    """Of eight sensors, two of which are missing, too many subsets are left to measure all; what
    the page begins with is measured all the same."""
    write_bag(tmp_path, (*FIVE, *SECOND_ARM), ("depth", "force_2"))
    small_inference(tmp_path / "model", (*FIVE, *SECOND_ARM))
    page, output = tmp_path / "page.html", tmp_path / "evaluation.json"
    files = ["--params", str(tmp_path / "parameters.yaml"), "--checkpoint", str(tmp_path / "model")]
    words = [str(tmp_path / "bag"), *files, "--report", str(page), "--output", str(output)]
    assert main(words) == 0
    used = ["rgb", "force", "action", "proprio", "wrist", "proprio_2"]
    subsets = json.loads(output.read_text())["subsets"]
    assert all(subsets.values()), "every subset that was measured has measures"
    assert "+".join(used) in subsets
    text = page.read_text()
    cards = re.findall('<div class="tile"><b>.*?</b>(.*?)</div>', text)[2:]
    assert cards == [
        f"{name} skill, {title}"
        for name in ("rgb", "wrist")
        for title in ("all sensors", "all but images")
    ]
    assert "<p>no snapshot has depth: " in text
    assert "In no snapshot: depth, force_2" in text
    # The rest of the 63 subsets is there for whoever wants it.
    few, all_ = tables(text)
    assert few[0] == ["predicted from", *used]
    assert (len(few), len(all_)) == (1 + 13 + 1, 1 + 63 + 1)
    assert all(cell for row in (*few, *all_) for cell in row), "no empty cells"


def test_where_only_some_subsets_are_wanted_the_page_lives_with_these(tmp_path: Path) -> None:
    names = ("depth", "action", "proprio")
    evaluation = evaluated(tmp_path, names, subsets="single")
    assert set(evaluation.summary) == {*names, "training_mean"}
    (bag,) = evaluation.bags.values()
    bag = replace(bag, notes=["no snapshot has <rgb>: it was asleep"])
    write_page(tmp_path / "page.html", replace(evaluation, bags={"bag": bag}))
    page = (tmp_path / "page.html").read_text()
    assert "<h2>bag</h2>\n<p>no snapshot has &lt;rgb&gt;: it was asleep</p>" in page
