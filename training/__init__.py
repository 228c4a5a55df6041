# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Offline work from a checkout: simulate, convert, train, evaluate (`python -m training.train`)."""

import sys
from importlib.util import find_spec

from smvae_ros.cli.loading import listen_while_loading

listen_while_loading()

if sys.argv[0] == "-m" and find_spec("torch") is None:  # while Python looks for the program
    sys.exit("training needs PyTorch, which is not installed: pip install 'smvae_ros[train]'")
