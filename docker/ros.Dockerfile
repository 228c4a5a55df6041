# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
# The node on the official image of ROS 2, without PyTorch: docs/how_to/containers.md.
# Linted, but not built by us.
#
#     docker build --file docker/ros.Dockerfile --tag smvae_ros:jazzy .
#     docker run --rm --network host --ipc host smvae_ros:jazzy

# humble, jazzy, kilted or lyrical
ARG ROS_DISTRO=jazzy

FROM ros:${ROS_DISTRO}-ros-base AS build
SHELL ["/bin/bash", "-eo", "pipefail", "-c"]
# What belongs to the distribution of the image has its version.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY smvae_interfaces smvae_interfaces
RUN . "/opt/ros/$ROS_DISTRO/setup.bash" \
    && colcon build --merge-install --install-base /opt/smvae_interfaces
COPY package.xml setup.py setup.cfg pyproject.toml ./
COPY resource resource
COPY scripts scripts
COPY launch launch
COPY config config
COPY smvae_core smvae_core
COPY smvae_ros smvae_ros
# Messages of the distribution were compiled with NumPy of its major version.
RUN python3 -m venv --system-site-packages /opt/smvae \
    && python3 -c 'import numpy; print(f"numpy<{int(numpy.__version__[0]) + 1}")' > numpy.txt \
    && /opt/smvae/bin/pip install --no-cache-dir --constraint numpy.txt '.[node]'

FROM ros:${ROS_DISTRO}-ros-core
COPY --from=build /opt/smvae_interfaces /opt/smvae_interfaces
COPY --from=build /opt/smvae /opt/smvae
COPY docker/entrypoint.sh /entrypoint.sh
# That of the drivers: Fast DDS shares no memory between users. There may be one of that number.
ARG USER_ID=1000
RUN useradd --create-home --non-unique --uid "$USER_ID" smvae
USER ${USER_ID}
WORKDIR /home/smvae
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "smvae_ros", "perception.launch.py"]
