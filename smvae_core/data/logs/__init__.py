# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Recordings of robots, and the cache that training reads.

A recording is what can be converted:

    recording:      the interface
    vision_touch:   Vision&Touch logs (a room of its own, as the next two)
    hdf5:           HDF5 files of any other layout
    lerobot:        LeRobot data sets
    plausibility:   what no sensor can have measured
    pictures:       compressed pictures

A cache is what is made of it:

    conversion:     recording → cache, resumable
    cache_plan:     what a conversion will do
    cache_writer:   rows on the disk
    cache_folder:   the files of a cache
    dataset:        a cache opened, read and split
    statistics:     mean and spread of its modalities
"""
