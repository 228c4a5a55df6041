#!/usr/bin/env bash
# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
# Everything that runs in the image finds ROS 2, the messages and this package.
set -e
# shellcheck disable=SC1090
for setup in "/opt/ros/$ROS_DISTRO/setup.bash" /opt/smvae_interfaces/local_setup.bash; do
    . "$setup"
done
export PATH="/opt/smvae/bin:$PATH" AMENT_PREFIX_PATH="/opt/smvae:$AMENT_PREFIX_PATH"
exec "$@"
