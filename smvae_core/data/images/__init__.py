# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The image data sets of the paper. Nothing here is imported where robot logs are trained on."""
