# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Studies: the paper's benchmarks, the robot study, and the study of sensor faults."""
