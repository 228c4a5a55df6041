# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What the node survives: malformed messages, hours of work."""
