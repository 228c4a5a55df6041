# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A modality describes itself completely, refuses what does not fit, and survives YAML."""

from __future__ import annotations

import dataclasses

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from small_models import small_modalities
from smvae_core.modalities import Modality, ModalityOptions, Network, check_names

RGB, DEPTH, FORCE, ACTION, PROPRIO = small_modalities()
LABEL = Modality("label", "categorical", (10,), likelihood="categorical")
GREY = Modality("grey", "image", (1, 8, 6))
TOUCH = Modality("touch", "image", (1, 6, 4), minimum=-1.0, maximum=20.0)
SCAN = Modality("scan", "scan", (1, 32), angles=(-2.0, 2.0))


@pytest.mark.parametrize(
    ("modality", "raw_shape", "raw_dtype"),
    [
        (RGB, (16, 16, 3), "uint8"),
        (dataclasses.replace(RGB, shape=(3, 24, 32)), (24, 32, 3), "uint8"),
        (DEPTH, (16, 16), "float16"),
        (dataclasses.replace(DEPTH, shape=(1, 24, 32)), (24, 32), "float16"),
        (TOUCH, (6, 4, 1), "uint8"),
        (SCAN, (32,), "float32"),
        (FORCE, (32, 6), "float32"),
        (ACTION, (4,), "float32"),
        (LABEL, (10,), "float32"),
    ],
)
def test_prepared_array(modality: Modality, raw_shape: tuple[int, ...], raw_dtype: str) -> None:
    assert modality.raw_shape == raw_shape
    assert modality.raw_dtype == raw_dtype


def test_window_reaches_from_the_oldest_to_the_newest_reading() -> None:
    assert FORCE.window == pytest.approx(0.031)
    assert RGB.window == 0.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "two words"),
        ("name", ""),
        ("kind", "sound"),
        ("shape", (3, 16)),
        ("shape", (3, 0, 16)),
        ("shape", (3, -16, 16)),
        ("shape", (3, 16.0, 16)),
        ("shape", (3, True, 16)),
        ("shape", (3, "16", 16)),
        ("shape", 16),
        ("shape", "3,16,16"),
        ("kind", ["image"]),
        ("likelihood", "poisson"),
        ("scale", 0.0),
        ("scale", -1.0),
        ("weight", -0.1),
        ("weight", float("nan")),
        ("weight", "heavy"),
        ("rate", True),
        ("rate", 10**400),
        ("minimum", 2.0),
        ("minimum", -1.0),
        ("mean", (0.0, 0.0)),
        ("mean", (0.0, 0.0, float("nan"))),
        ("std", (1.0, 1.0, 0.0)),
        ("std", (float("inf"),)),
        ("std", ()),
    ],
)
def test_wrong_field_is_refused_by_modality_and_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{field} must be .* not ") as error:
        dataclasses.replace(RGB, **{field: value})
    assert repr(value if field == "name" else "rgb") in str(error.value)


@pytest.mark.parametrize("rate", [None, 0.0, -1000.0])
def test_series_needs_a_rate(rate: float | None) -> None:
    with pytest.raises(ValueError, match=r"'force': rate must be positive, in Hz"):
        dataclasses.replace(FORCE, rate=rate)


@pytest.mark.parametrize(
    ("modality", "change", "message"),
    [
        (SCAN, {"angles": None}, "'scan': angles must be two ascending numbers in rad"),
        (SCAN, {"angles": (1.0, -1.0)}, "angles must be two ascending"),
        (SCAN, {"angles": (-180, 180)}, "at most one turn apart, not"),
        (SCAN, {"angles": (-1.0, float("nan"))}, "angles must be two ascending"),
        (SCAN, {"angles": (-1.0, 0.0, 1.0)}, "angles must be two ascending"),
        (SCAN, {"shape": (2, 32)}, "shape must be of 1 channels"),
        (SCAN, {"minimum": -1.0}, "minimum must be below maximum"),
        (SCAN, {"maximum": float("inf")}, "maximum must be a finite number"),
        (ACTION, {"angles": (-1.0, 1.0)}, "angles must be left out: it is no scan"),
        (SCAN, {"angles": 3.0}, "angles must be two ascending"),
        (SCAN, {"angles": ("left", "right")}, "angles must be two ascending"),
        (SCAN, {"shape": (1, 1)}, r"shape must be \(1, angles\)"),
        (DEPTH, {"shape": (3, 6, 4)}, "shape must be of 1 channels"),
        (TOUCH, {"minimum": None}, "maximum must be left out, as minimum or"),
        (TOUCH, {"maximum": -1.0}, "minimum must be below maximum"),
        (TOUCH, {"shape": (3, 6, 4)}, "minimum must be left out: only depth, scans and images"),
    ],
)
def test_limits_and_angles_are_for_what_has_them(
    modality: Modality, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(modality, **change)


def test_limits_that_earlier_versions_gave_to_all_kinds_are_none() -> None:
    for modality in (RGB, FORCE, ACTION, GREY):
        assert dataclasses.replace(modality, minimum=1e-7, maximum=2.0) == modality
        assert modality.limits == (-float("inf"), float("inf"))
    assert DEPTH.limits == (1e-7, 2.0)
    assert SCAN.limits == (1e-7, 30.0)


@pytest.mark.parametrize(
    "modality", [*small_modalities(), LABEL, TOUCH, SCAN], ids=lambda m: m.name
)
def test_survives_yaml(modality: Modality) -> None:
    text = yaml.safe_dump(modality.to_dict())
    assert Modality.from_dict(yaml.safe_load(text)) == modality


@settings(max_examples=50)
@given(
    weight=st.floats(0, 1e6),
    scale=st.none() | st.floats(1e-6, 1e6),
    mean=st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
    std=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=1),
    widths=st.lists(st.integers(1, 512), max_size=4),
)
def test_any_values_survive_yaml_exactly(
    weight: float,
    scale: float | None,
    mean: list[float],
    std: list[float],
    widths: list[int],
) -> None:
    network = Network("convolution", tuple(widths))
    modality = dataclasses.replace(
        RGB, weight=weight, scale=scale, mean=mean, std=std, embedding=network
    )
    assert Modality.from_dict(yaml.safe_load(yaml.safe_dump(modality.to_dict()))) == modality


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "unknown field colour; known are .*decoder"),
        ({"kind": None}, "kind"),
        ({"shape": 3}, "rgb"),
        ({"shape": ["3", "16", "16"]}, "rgb"),
        ({"embedding": {"layers": 3}}, "layers"),
        ({"embedding": {"widths": ["wide"]}}, "wide"),
        ({"embedding": "convolution"}, "embedding"),
        ({"mean": ["zero"]}, "rgb"),
        ({"name": None}, "None"),
    ],
)
def test_bad_entry_is_a_value_error(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Modality.from_dict({**RGB.to_dict(), **change})


def test_missing_field_is_named() -> None:
    entry = RGB.to_dict()
    del entry["shape"]
    with pytest.raises(ValueError, match=r"'rgb'.*shape"):
        Modality.from_dict(entry)


def test_names_must_be_unique() -> None:
    check_names([RGB, DEPTH])
    with pytest.raises(ValueError, match="rgb occurs more than once"):
        check_names([RGB, DEPTH, RGB])
    with pytest.raises(ValueError, match="at least one modality"):
        check_names([])


def test_only_images_have_an_aspect_and_of_two_kinds() -> None:
    with pytest.raises(ValueError, match="'rgb': aspect must be stretch or crop, not 'letterbox'"):
        Modality("rgb", "image", (3, 8, 8), aspect="letterbox")
    with pytest.raises(ValueError, match="'action': aspect must be left out"):
        Modality("action", "vector", (4,), aspect="crop")


sides = st.integers(1, 300)


@given(sides, sides, sides, sides)
def test_the_largest_centred_part_of_the_models_proportions_is_seen(
    height: int, width: int, model_height: int, model_width: int
) -> None:
    cropped = Modality("rgb", "image", (3, model_height, model_width), aspect="crop")
    rows, columns = cropped.visible_part((height, width))
    seen = (rows.stop - rows.start, columns.stop - columns.start)
    assert min(seen) >= 1
    assert seen[0] == height or seen[1] == width
    for part, whole in ((rows, height), (columns, width)):
        assert 0 <= part.start <= part.stop <= whole
        assert abs(part.start - (whole - part.stop)) <= 1
    # The proportions are right to half a pixel of the side that was cut.
    exact = (
        min(height, max(1.0, width * model_height / model_width)),
        min(width, max(1.0, height * model_width / model_height)),
    )
    assert abs(seen[0] - exact[0]) <= 0.5
    assert abs(seen[1] - exact[1]) <= 0.5
    everything = dataclasses.replace(cropped, aspect="stretch").visible_part((height, width))
    assert everything == (slice(0, height), slice(0, width))


@pytest.mark.parametrize(
    ("modality", "fields"),
    [
        (RGB, {"kind": "image", "shape": [16, 16, 3]}),
        (
            dataclasses.replace(RGB, aspect="crop"),
            {"kind": "image", "shape": [16, 16, 3], "aspect": "crop"},
        ),
        (DEPTH, {"kind": "depth", "shape": [16, 16], "minimum": 1e-7, "maximum": 2.0}),
        (GREY, {"kind": "image", "shape": [8, 6, 1]}),
        (TOUCH, {"kind": "image", "shape": [6, 4, 1], "minimum": -1.0, "maximum": 20.0}),
        (
            SCAN,
            {
                "kind": "scan",
                "shape": [32],
                "minimum": 1e-7,
                "maximum": 30.0,
                "angles": [-2.0, 2.0],
            },
        ),
        (FORCE, {"kind": "series", "shape": [32, 6], "rate": 1000.0}),
        (ACTION, {"kind": "vector", "shape": [4]}),
        (LABEL, {"kind": "categorical", "shape": [10]}),
    ],
)
def test_preparation_is_what_caches_hold(modality: Modality, fields: dict[str, object]) -> None:
    """In this order, with nothing that caches from before there was a choice do not have."""
    assert list(modality.preparation.items()) == list(fields.items())


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"likelihood": "laplace", "scale": 0.1},
        {"embedding": Network("mlp", (8,)), "decoder": Network("mlp", (8,))},
        {"weight": 3.0},
        {"mean": (0.1,), "std": (2.0,)},
    ],
)
def test_preparation_is_not_what_a_network_makes_of_readings(change: dict[str, object]) -> None:
    for modality in small_modalities():
        assert dataclasses.replace(modality, **change).preparation == modality.preparation


def test_options_are_all_that_is_configured_of_a_modality() -> None:
    fields = [field.name for field in dataclasses.fields(Modality)]
    options = [field.name for field in dataclasses.fields(ModalityOptions)]
    assert fields == ["name", *options, "mean", "std"]
    made = Modality("rgb", **vars(ModalityOptions("image", (3, 8, 8), aspect="crop")))
    assert made == Modality("rgb", "image", (3, 8, 8), aspect="crop")


@pytest.mark.parametrize(
    ("name", "channels", "expected"),
    [("force", 6, True), ("wrist_wrench", 6, True), ("imu", 6, False), ("force", 3, False)],
)
def test_an_inertial_sensor_is_no_wrench(name: str, channels: int, expected: bool) -> None:
    assert Modality(name, "series", (channels, 8), rate=100.0).is_wrench is expected
