# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Recordings of robots, and the cache that training reads.

File by file:

    vision_touch:   names and layout of logs
    hdf5:           HDF5 files in whatever state they are
    log_file:       reading one log
    recorded_steps: how far a recorder came
    validation:     everything that is wrong with one
    plausibility:   what no sensor can have measured
    pictures:       compressed pictures
    hdf5_recording: HDF5 files of any other layout, with hdf5_episode and hdf5_readings
    cache_plan:     what a conversion will do
    conversion:     logs → cache, resumable
    cache_writer:   rows on the disk
    cache_folder:   the files of a cache
    dataset:        a cache opened, read and split
    statistics:     mean and spread of its modalities
    lerobot:        LeRobot data sets (a room of its own)
"""
