# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Frames of a video by their time, decoded in a thread of its own, a few ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, cast

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from smvae_core.data.logs.pictures import Format

T = TypeVar("T")
_PIXELS = {"rgb": "rgb24", "grey": "gray", "depth": "gray12le"}
_CHUNK = 2**20  # bytes of frames that the thread decodes at a time, about
_AHEAD = 8  # chunks


class Video:
    """The frames of one episode, in the order of time.

    Attributes:
        frames: how many of them were decoded.
        damage: why not more, once that is known.
    """

    def __init__(
        self, path: Path, begin: float, end: float, tolerance: float, wanted: Format
    ) -> None:
        """Nothing is opened before the first frame is asked for.

        Args:
            path: of the file.
            begin: time in the file at which the episode begins, in seconds.
            end: and at which it ends.
            tolerance: seconds by which the time of a frame may be off.
            wanted: form of the frames.
        """
        self.frames = 0
        self.damage: str | None = None
        self._path, self._begin, self._end = path, begin, end
        self._tolerance, self._pixels = tolerance, _PIXELS[wanted]
        self._decoded = _ahead(self._chunks(), _AHEAD)
        self._waiting: deque[tuple[float, np.ndarray]] = deque()

    def at(self, times: np.ndarray) -> Iterator[np.ndarray | None]:
        """The frame of each time, None where there is none within the tolerance: uint8 (H, W, 3) or
        (H, W, 1), for depth uint16 (H, W).

        Args:
            times: (t,), seconds since the episode began; ascending from call to call.
        """
        for time in times:
            yield self._frame(self._begin + float(time))

    def close(self) -> None:
        """Ends the thread."""
        self._decoded.close()

    def _frame(self, time: float) -> np.ndarray | None:
        while True:
            if not self._waiting:
                self._waiting.extend(next(self._decoded, ()))
                if not self._waiting:
                    return None
            shown, frame = self._waiting[0]
            if shown > time + self._tolerance:
                return None
            self._waiting.popleft()
            if shown > time - self._tolerance:
                return frame

    def _chunks(self) -> Iterator[list[tuple[float, np.ndarray]]]:
        chunk: list[tuple[float, np.ndarray]] = []
        try:
            with av.open(str(self._path)) as container:
                for shown, frame in self._decode(container):
                    self.frames += 1
                    chunk.append((shown, frame))
                    if len(chunk) * frame.nbytes >= _CHUNK:
                        yield chunk
                        chunk = []
        except FileNotFoundError:
            self.damage = "is not there"
        except (av.FFmpegError, ValueError) as error:
            self.damage = f"is damaged ({getattr(error, 'strerror', None) or error})"
        yield chunk

    def _decode(self, container: av.container.InputContainer) -> Iterator[tuple[float, np.ndarray]]:
        if not container.streams.video:
            raise ValueError("it holds no video")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        base = float(stream.time_base or 1)
        if self._begin > 0:  # to the last frame before it from which decoding can begin
            container.seek(int(self._begin / base), stream=stream)
        # One for all frames: a new one for each takes longer than decoding.
        reformatter = VideoReformatter()
        for frame in container.decode(stream):
            shown = (frame.pts or 0) * base
            if shown > self._end + self._tolerance:
                return
            if shown > self._begin - self._tolerance:
                array = reformatter.reformat(frame, format=self._pixels, threads=1).to_ndarray()
                yield shown, array[..., None] if self._pixels == "gray" else array


def _ahead(items: Iterator[T], count: int) -> Generator[T, None, None]:
    """The items, made in a thread of its own, ``count`` of them ahead."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[Future[T | object]] = deque()
        try:
            while True:
                while len(waiting) < count:
                    waiting.append(thread.submit(next, items, end))
                item = waiting.popleft().result()
                if item is end:
                    return
                yield cast(T, item)
        finally:
            for future in waiting:
                future.cancel()
