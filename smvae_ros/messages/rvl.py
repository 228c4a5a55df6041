# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""RVL, the code of compressedDepth (Wilson, Fast Lossless Depth Image Compression, 2017).

Little-endian 32-bit words hold nibbles, the first in the highest bits. A number is a row of nibbles
of three bits each, the lowest first, of which all but the last have bit 3 set. An image is a number
of empty pixels, a number of others, and for each of these its difference to the one before, zigzag
coded; and so on. image_transport puts width and height before it.
"""

from __future__ import annotations

import struct

import numpy as np

from smvae_ros.messages.fields import MessageError
from smvae_ros.messages.images import check_size

# Decoding takes up to 60 bytes a pixel for a while; a 4K image still fits.
MAXIMUM_PIXELS = 2**23
_SIZE = struct.Struct("<II")
_LONGEST = 10  # nibbles, 30 bits
_BYTES_PER_PIXEL = 3  # a difference has at most 17 bits, six nibbles


def decode_rvl(data: memoryview) -> np.ndarray:
    """The image uint16 (H, W).

    Args:
        data: width, height and code.

    Raises:
        MessageError: where the code is malformed.
    """
    if data.nbytes < _SIZE.size:
        raise MessageError(f"only {data.nbytes} bytes of RVL; check its publisher")
    width, height = _SIZE.unpack_from(data)
    check_size(width, height)
    pixels = width * height
    if pixels > MAXIMUM_PIXELS:
        raise MessageError(
            f"the RVL image claims {width}x{height} pixels, more than {MAXIMUM_PIXELS}; set the "
            "publisher to png"
        )
    numbers = _read_numbers(data[_SIZE.size :][: _BYTES_PER_PIXEL * pixels + 4])
    runs = _read_runs(numbers, pixels)
    # Which numbers are differences, and which pixels they belong to.
    headers = np.full_like(runs, 2)
    headers[:, 1] = runs[:, 1]
    kinds = np.tile([False, True], len(runs))
    zigzag = numbers[: headers.sum()][np.repeat(kinds, headers.ravel())]
    values = np.cumsum((zigzag >> 1) ^ -(zigzag & 1), dtype=np.int64)
    image = np.zeros(pixels, np.uint16)
    image[np.repeat(kinds, runs.ravel())] = values.astype(np.uint16)
    return image.reshape(height, width)


def _read_numbers(code: memoryview) -> np.ndarray:
    """All numbers of the code, int32; one that is not complete is left out."""
    words = np.frombuffer(code, "<u4", code.nbytes // 4)
    pairs = words.astype(">u4").view(np.uint8)
    nibbles = np.stack([pairs >> 4, pairs & 15], axis=-1).reshape(-1)
    last = np.flatnonzero(nibbles < 8)
    first = np.concatenate([[0], last[:-1] + 1])[: len(last)]
    lengths = last - first + 1
    longest = lengths.max(initial=0)
    if longest > _LONGEST:
        raise MessageError(
            f"the RVL code is damaged: a number of {longest} nibbles; check its publisher"
        )
    numbers = (nibbles[first] & 7).astype(np.int32)
    for place in range(1, longest):
        longer = np.flatnonzero(lengths > place)
        more = (nibbles[first[longer] + place] & 7).astype(np.int32)
        numbers[longer] |= more << (3 * place)
    return numbers


def _read_runs(numbers: np.ndarray, pixels: int) -> np.ndarray:
    """Lengths of the runs of empty and of other pixels, int64 (runs, 2)."""
    runs, place, found = [], 0, 0
    while found < pixels:
        if place + 2 > len(numbers):
            raise MessageError(
                f"the RVL code is truncated: it ends after {found} of {pixels} pixels; check the "
                "network and its publisher"
            )
        empty, others = int(numbers[place]), int(numbers[place + 1])
        found += empty + others
        place += 2 + others
        if found > pixels or place > len(numbers) or empty + others == 0:
            raise MessageError(
                f"the RVL code is damaged: a run of {empty} empty and {others} other pixels up to "
                f"pixel {found} of {pixels}; check the network and its publisher"
            )
        runs.append((empty, others))
    return np.array(runs, np.int64)
