# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Speed, measured: `python -m benchmarks.NAME` prints a table and, as its last line, one JSON
object that also goes to out/benchmarks/NAME.json."""

import sys
from importlib.util import find_spec

from smvae_ros.cli.loading import listen_while_loading

listen_while_loading()

if sys.argv[0] == "-m" and None in map(find_spec, ("torch", "jsonargparse")):
    sys.exit(  # while Python looks for the program
        "benchmarks need PyTorch and jsonargparse: pip install 'smvae_ros[train]'"
    )

if find_spec("multivae") is not None:
    # multivae needs torchvision, which torchmetrics (Lightning needs it) imports where it finds it,
    # and whose compiled operators a CPU torch lacks: they must be declared before any of these.
    import torch

    _operators = torch.library.Library("torchvision", "DEF")
    _operators.define("nms(Tensor dets, Tensor scores, float threshold) -> Tensor")
    _operators.define("qnms(Tensor dets, Tensor scores, float threshold) -> Tensor")
