# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Numbers and lists in sentences."""

from __future__ import annotations

import pytest

from smvae_core.words import counted, listed


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ((), ""),
        (("rgb",), "rgb"),
        (("rgb", "depth"), "rgb and depth"),
        (("rgb", "depth", "force"), "rgb, depth and force"),
    ],
)
def test_names_in_a_sentence(names: tuple[str, ...], text: str) -> None:
    assert listed(names) == text


def test_a_noun_has_the_number_of_what_is_counted() -> None:
    assert [counted(count, "time") for count in (0, 1, 2)] == ["0 times", "1 time", "2 times"]
    assert counted(2, "bag of matrices", "bags of matrices") == "2 bags of matrices"
