# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A simulated insertion robot in MuJoCo, after the Vision&Touch task (Lee et al., IEEE T-RO 2020).

A triangular peg on a Cartesian arm with yaw searches a box for its hole and inserts. The package
imports neither ROS nor PyTorch: :class:`~smvae_ros.simulation.insertion.InsertionRobot` steps on
its own, ``training/simulate.py`` writes its steps as logs, and a node can publish them.

Needs the optional extra ``[sim]`` (MuJoCo) and, for pictures, EGL or OSMesa.
"""
