# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The node's parameters: declared once, read from a file, a node, or a command line."""
