# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Fast DDS' transport for large messages, and why it may not be used although it was asked for."""

from __future__ import annotations

from collections.abc import Mapping

VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"
# Fast DDS' default shared memory is smaller than a 640x480 image, and loses such images.
LARGE_DATA = "LARGE_DATA?max_msg_size=2MB&sockets_size=2MB&non_blocking=true"
_RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"


def transport_problem(environment: Mapping[str, str], middleware: str) -> str:
    """Why the transport that the environment asks for is not used, and what to set; or empty.

    For the discovery range LOCALHOST rmw_fastrtps replaces all built-in transports by shared memory
    of the default size and UDP (rmw_fastrtps_shared_cpp/src/participant.cpp), and says nothing.

    Args:
        environment: of the process.
        middleware: the identifier of its ROS middleware, such as ``rmw_fastrtps_cpp``.
    """
    wanted = environment.get(VARIABLE, "")
    if not wanted or not middleware.startswith("rmw_fastrtps"):
        return ""
    if environment.get(_RANGE, "") != "LOCALHOST":
        return ""
    return (
        f"{VARIABLE} ({wanted.partition('?')[0]}) has no effect, since {_RANGE} is LOCALHOST: "
        f"images larger than 0.5 MB will be lost. Set {_RANGE}=SUBNET for the camera's process and "
        "for this one, and a ROS_DOMAIN_ID of your own to stay apart from others on the network"
    )
