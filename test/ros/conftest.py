# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What tests over DDS share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ros_processes import ros_environment, unique_domain_id


@pytest.fixture(scope="module")
def domain() -> Iterator[int]:
    """A ROS_DOMAIN_ID of the module's own, which this process is in, too."""
    domain = unique_domain_id()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ros_environment(domain).items():
            patch.setenv(name, value)
        yield domain
