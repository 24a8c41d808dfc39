# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a recording, one a file: frames that are read as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["MissingFrame", "Part", "RawPart"]


class MissingFrame(NamedTuple):
    """A frame that could not be had.

    Attributes
    ----------
    file : Path
        The file that should hold it.
    frame : int or None
        Which one of that file, from 0, counted with those that are missing; None where it is not
        known which, or how many.
    reason : str
        Why.
    """

    file: Path
    frame: int | None
    reason: str


class Part:
    """One file's frames.

    Attributes
    ----------
    file : Path
    shape : tuple of int
        ``(frame, height, width)``.
    dtype : dtype
        In native byte order.
    frame_rate : float or None
        Hz, where the file states it.
    pixel_size : tuple of float or None
        ``(height, width)`` in micrometres, where the file states it.
    missing : list of MissingFrame
        What is not among the frames.
    is_costly : bool
        Whether reading a frame means decoding it.
    """

    is_costly = False
    is_exact = True  # whether the shape is known for certain

    def __init__(self, file, shape, dtype, frame_rate=None, pixel_size=None, missing=()):
        self.file = Path(file)
        self.shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.frame_rate = frame_rate
        self.pixel_size = pixel_size
        self.missing = list(missing)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, begin: int, end: int) -> np.ndarray:
        """Frames ``begin`` to ``end`` (excluded), an array of their own."""
        raise NotImplementedError

    def runs(self, first: int, size: int) -> Iterator[np.ndarray]:
        """All frames in order: ``first`` of them, then ``size`` at a time, the last ones fewer."""
        begin, end = 0, first
        while begin < len(self):
            yield self.read(begin, min(end, len(self)))
            begin, end = end, end + size

    def close(self) -> None:
        """Let go of what is open; it is opened again where it is needed."""


class RawPart(Part):
    """Frames that lie in a file as they are, at known places.

    They are read, not mapped: a mapped file that is cut off meanwhile, or a network drive that
    fails, would end the process; and pages of a mapped file count as memory in use.

    Parameters
    ----------
    file : path
    offsets : array of int, shape (frame,)
        Where each frame begins in the file [bytes]. All of them must end within the file.
    shape : tuple of int
        ``(height, width)``.
    dtype : dtype
        As stored, in any byte order.
    """

    def __init__(self, file, offsets, shape, dtype, **about):
        self._offsets = np.asarray(offsets, np.int64)
        self._stored = np.dtype(dtype)
        super().__init__(file, (len(self._offsets), *shape), dtype, **about)

    def read(self, begin: int, end: int) -> np.ndarray:
        frames = np.empty((end - begin, *self.shape[1:]), self._stored)
        if frames.size:
            flat = memoryview(frames.reshape(-1).view(np.uint8))
            frame_bytes = len(flat) // len(frames)
            # Frames that follow each other in the file are read at once.
            places = self._offsets[begin:end]
            breaks = np.flatnonzero(np.diff(places) != frame_bytes) + 1
            with open(self.file, "rb", buffering=0) as stream:
                for first, last in zip([0, *breaks], [*breaks, len(places)]):
                    stream.seek(int(places[first]))
                    self._fill(stream, flat[first * frame_bytes : last * frame_bytes])
        return frames.astype(self.dtype, copy=False)

    def _fill(self, stream, memory):
        done = 0
        while done < len(memory):
            count = stream.readinto(memory[done:])
            if not count:
                raise OSError(
                    f"{self.file}: expected {len(memory) - done} more bytes, the file ends here; "
                    "it was cut off after it was opened"
                )
            done += count
