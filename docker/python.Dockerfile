# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
# The node on plain Python, with ROS 2 as wheels and without PyTorch: docs/how_to/containers.md.
# Linted, but not built by us. x86-64 only, as the wheels are.
#
#     docker build --file docker/python.Dockerfile --tag smvae_ros:python .
#     docker run --rm --network host --ipc host smvae_ros:python

# 3.11, 3.12 or 3.13
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
# jazzy or kilted
ARG ROS_DISTRO=jazzy
WORKDIR /source
COPY package.xml setup.py setup.cfg pyproject.toml constraints.txt ./
COPY resource resource
COPY scripts scripts
COPY launch launch
COPY config config
COPY smvae_core smvae_core
COPY smvae_ros smvae_ros
RUN python -m venv /opt/smvae \
    && /opt/smvae/bin/pip install --no-cache-dir --constraint constraints.txt ".[node,${ROS_DISTRO}]"

FROM python:${PYTHON}-slim
COPY --from=build /opt/smvae /opt/smvae
# That of the drivers: Fast DDS shares no memory between users. There may be one of that number.
ARG USER_ID=1000
RUN useradd --create-home --non-unique --uid "$USER_ID" smvae
USER ${USER_ID}
WORKDIR /home/smvae
ENV PATH="/opt/smvae/bin:$PATH"
CMD ["perception_node", "--ros-args", "--params-file", "/opt/smvae/share/smvae_ros/config/perception.yaml"]
