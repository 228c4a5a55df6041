# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The posterior as a tensor, as smvae_interfaces/Latent and for plots, without these packages: by
their definitions, which rosbags reads, and rosidl where it is installed.
"""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from places import ROOT
from smvae_ros.bags import BagReader, BagWriter
from smvae_ros.messages import bag_types, stamp_ns
from smvae_ros.messages.latent_forms import (
    LATENT_TYPE,
    TENSOR_TYPE,
    latent_plot,
    latent_tensor,
    latent_with_sources,
)

PACKAGE = ROOT / "smvae_interfaces"
DEFINITION = PACKAGE / "msg" / "Latent.msg"
# The fields of ROS 2 Lyrical's tensor_msgs 1.0, without its comments.
TENSOR = """
uint8 dtype_code
uint8 dtype_bits
uint16 dtype_lanes
int64[] shape
int64[] strides
uint64 byte_offset
uint8[] data
"""
MEAN, LOG_VARIANCE = np.float32([[0.5, -1.25, 3e-8], [-2.0, 0.125, 1.0]])
STAMP = 1_700_000_000_123_456_789


def sent(message: Any, definition: str, type_name: str) -> Any:
    """What arrives at the other end: through CDR, by the definition."""
    store = get_typestore(Stores.LATEST)
    store.register(get_types_from_msg(definition, type_name))
    return store.deserialize_cdr(store.serialize_cdr(message, type_name), type_name)


def types_with(definition: str, type_name: str) -> Any:
    store = get_typestore(Stores.LATEST)
    store.register(get_types_from_msg(definition, type_name))
    return lambda name: store.types[name]


def with_sources(types: Any) -> Any:
    return latent_with_sources(
        MEAN,
        LOG_VARIANCE,
        ("rgb", "depth", "force"),
        {"rgb": 0.25, "force": 0.0},
        "0123abcd",
        types,
        stamp_ns=STAMP,
        frame_id="arm",
    )


def test_a_tensor_is_what_dlpack_takes_it_for() -> None:
    made = latent_tensor(MEAN, LOG_VARIANCE, types_with(TENSOR, TENSOR_TYPE))
    tensor = sent(made, TENSOR, TENSOR_TYPE)
    codes = {0: "i", 1: "u", 2: "f", 5: "c"}  # DLDataTypeCode, as the definition's comments have it
    assert (tensor.dtype_lanes, tensor.byte_offset, len(tensor.strides)) == (1, 0, 0)
    dtype = np.dtype(f"<{codes[tensor.dtype_code]}{tensor.dtype_bits // 8}")
    mean, log_variance = np.frombuffer(tensor.data, dtype).reshape(tensor.shape)
    np.testing.assert_array_equal(mean, MEAN)
    np.testing.assert_array_equal(log_variance, LOG_VARIANCE)


def test_the_latent_says_what_it_was_made_of() -> None:
    text = DEFINITION.read_text()
    latent = sent(with_sources(types_with(text, LATENT_TYPE)), text, LATENT_TYPE)
    assert (stamp_ns(latent), latent.header.frame_id) == (STAMP, "arm")
    np.testing.assert_array_equal(latent.mean, MEAN)
    np.testing.assert_array_equal(latent.log_variance, LOG_VARIANCE)
    assert latent.modalities == ["rgb", "depth", "force"]
    assert list(latent.present) == [True, False, True]
    np.testing.assert_array_equal(latent.ages, np.float32([0.25, np.nan, 0.0]))
    assert latent.model_hash == "0123abcd"


def test_it_goes_into_a_bag_where_the_package_is_sourced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "prefix" / "share" / "smvae_interfaces" / "msg"
    shared.mkdir(parents=True)
    shutil.copy(DEFINITION, shared)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))
    with BagWriter(tmp_path / "bag") as writer:
        writer.write("/latent", with_sources(bag_types), STAMP)
    with BagReader(tmp_path / "bag") as reader:
        ((_, _, latent),) = reader.read(["/latent"])
    np.testing.assert_array_equal(latent.mean, MEAN)


def test_rosidl_reads_the_definition(tmp_path: Path) -> None:
    adapter = pytest.importorskip("rosidl_adapter.msg", reason="rosidl is not installed")
    parser = pytest.importorskip("rosidl_parser.parser", reason="rosidl is not installed")
    definition = pytest.importorskip("rosidl_parser.definition")
    idl = adapter.convert_msg_to_idl(
        PACKAGE, "smvae_interfaces", Path("msg", "Latent.msg"), tmp_path
    )
    file = parser.parse_idl_file(definition.IdlLocator(tmp_path, idl.relative_to(tmp_path)))
    (message,) = file.content.get_elements_of_type(definition.Message)
    fields = get_types_from_msg(DEFINITION.read_text(), LATENT_TYPE)[LATENT_TYPE][1]
    assert [member.name for member in message.structure.members] == [name for name, _ in fields]


def test_the_package_is_of_the_same_version_and_depends_on_what_its_message_is_made_of() -> None:
    ours, theirs = (
        ElementTree.parse(folder / "package.xml").getroot() for folder in (PACKAGE, ROOT)
    )
    assert ours.findtext("version") == theirs.findtext("version")
    assert ours.findtext("depend") == "std_msgs"
    build = (PACKAGE / "CMakeLists.txt").read_text()
    assert f'"msg/{DEFINITION.name}" DEPENDENCIES std_msgs' in build


def test_plots_have_a_name_and_a_stamp_for_each_number() -> None:
    plot = latent_plot(MEAN, bag_types, stamp_ns=STAMP, frame_id="arm")
    assert plot.name == ["z0", "z1", "z2"]
    np.testing.assert_array_equal(plot.position, MEAN.astype(np.float64))
    assert (stamp_ns(plot), plot.header.frame_id) == (STAMP, "arm")
