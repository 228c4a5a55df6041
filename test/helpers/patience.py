# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""How long tests wait for what must happen."""

# Seconds within which everything has happened also on a machine with much else to do. Waiting ends
# when it has, so that this costs time only where a test fails.
PATIENCE = 120.0
