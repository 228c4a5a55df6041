# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What a GPU does, measured in eight minutes without ROS: `python -m benchmarks.gpu`.

File by file:

    __main__:   the command: parts in turn within its time, what is measured, the page
    parts:      one part in a process of its own, case by case
    settings:   on which device, and how large
    inputs:     random readings, models and logs
    cuda_tests: the tests that need a GPU
    agreement:  runtimes and precisions beside the CPU's numbers
    latency:    one frame
    encoding:   logs in batches
    training:   recipes
    page:       docs/results/gpu.md
"""
