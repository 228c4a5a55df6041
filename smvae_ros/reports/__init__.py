# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Pages and figures of what was recorded or evaluated."""
