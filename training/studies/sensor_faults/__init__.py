# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""How soon and how surely sensor health finds injected faults."""
