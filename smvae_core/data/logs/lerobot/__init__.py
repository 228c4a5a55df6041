# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""LeRobot data sets: v2.1 and v3.0 read, v3.0 written. Needs the extra ``lerobot``.

File by file:

    metadata:   features, and which files hold which episode
    tables:     rows of parquet files
    pictures:   cells of rows that are pictures
    video:      frames of videos
    readings:   a sensor's readings, whatever they are stored as
    recording:  a data set as something to convert
    encoding:   arrays as columns and as videos
    statistics: of a feature, as LeRobot keeps them
    writer:     a data set, episode by episode
"""
