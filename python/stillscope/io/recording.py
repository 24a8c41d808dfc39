# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording: one movie joined from all its files, read as it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import _check
from .parts import MissingFrame, Part

__all__ = ["Recording"]


class Recording:
    """A movie in files. ``stillscope.open_movie`` makes it.

    It is used like an array ``(frame, height, width)``: ``recording[10]``, ``recording[100:200]``,
    ``recording[::10, 40:440]``, ``recording[[3, 1, 4]]`` give NumPy arrays of their own. Nothing is
    kept in memory. It can be pickled, and used from several threads.
    """

    ndim = 3

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        name: str,
        frame_rate: float | None = None,
        pixel_size: tuple[float, float] | None = None,
        process: Any = None,
        dataset: str | None = None,
    ) -> None:
        #: The array of each file that was asked for.
        self.dataset = dataset
        self._parts = list(parts)
        self._process = process
        self._name = name
        self._frame_rate = frame_rate
        self._pixel_size = pixel_size

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(frame, height, width)``."""
        return (len(self), *self._parts[0].shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels, in native byte order."""
        return self._parts[0].dtype

    @property
    def nbytes(self) -> int:
        """Bytes that the whole movie takes in memory."""
        frames, height, width = self.shape
        return frames * height * width * self.dtype.itemsize

    @property
    def frame_rate(self) -> float | None:
        """Frames per second [Hz]; None where it is not known."""
        return self._frame_rate

    @property
    def pixel_size(self) -> tuple[float, float] | None:
        """``(height, width)`` of a pixel in micrometres; None where it is not known."""
        return self._pixel_size

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, in the order of their frames."""
        return tuple(part.file for part in self._parts)

    @property
    def frames_of_files(self) -> tuple[int, ...]:
        """How many frames each file has."""
        return tuple(len(part) for part in self._parts)

    @property
    def missing(self) -> tuple[MissingFrame, ...]:
        """What could not be decoded, and is not among the frames."""
        return tuple(frame for part in self._parts for frame in part.missing)

    @property
    def name(self) -> str:
        """What the recording is called, for titles."""
        return self._name

    @property
    def is_costly(self) -> bool:
        """Whether reading a frame means decoding it."""
        return any(part.is_costly for part in self._parts)

    @property
    def is_exact(self) -> bool:
        """Whether ``shape`` and ``missing`` are certain; see ``check`` of ``open_movie``."""
        return all(part.is_exact for part in self._parts)

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def __repr__(self) -> str:
        frames, height, width = self.shape
        text = [f"{'' if self.is_exact else 'about '}{frames} frames {height}x{width} {self.dtype}"]
        if self.frame_rate is not None:
            text.append(f"{self.frame_rate:g} Hz")
        if self.pixel_size is not None:
            text.append("{:g}x{:g} um".format(*self.pixel_size))
        count = len(self._parts)
        text.append(self.files[0].name if count == 1 else f"{count} files")
        if self.missing:
            text.append(f"{len(self.missing)} missing")
        return f"<Recording {self.name!r}: {', '.join(text)}>"

    def __getitem__(self, key: Any) -> np.ndarray:
        key = key if isinstance(key, tuple) else (key,)
        if not key or key[0] is Ellipsis:
            key = (slice(None), *key)
        frames, rest = key[0], key[1:]
        count = len(self)
        if isinstance(frames, slice):
            wanted = np.arange(*frames.indices(count))
            local: Any = slice(None)
        else:
            wanted = _indices(frames, count)
            wanted, local = np.unique(wanted, return_inverse=True)
            local = local.reshape(np.shape(frames)) if np.ndim(frames) != 1 else local
            if local.ndim == 0:
                local = int(local)
        picked = self._gather(wanted)[(local, *rest)]
        # A copy, so that one pixel of each frame does not keep all of them in memory.
        is_small = picked.base is not None and 2 * picked.nbytes <= picked.base.nbytes
        return picked.copy() if is_small else picked

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self.blocks(16):
            yield from block

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("copy: expected None or True, a recording is in files")
        frames = self[:]
        return frames if dtype is None else frames.astype(dtype, copy=False)

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """All frames once, in order, ``size`` at a time, each block an array of its own.

        Videos and compressed files are decoded ahead meanwhile. Of files that were opened with
        ``check=False``, this gives what can be decoded, and once it has come to the end, ``shape``
        and ``missing`` are right.

        Parameters
        ----------
        size : int
            Frames of a block, at least 1; the last block may have fewer. Blocks go across files.

        Yields
        ------
        ndarray, shape (frame, height, width)

        Raises
        ------
        TypeError, ValueError
            If ``size`` is no integer, or below 1.
        OSError
            If a file can't be read any more.
        """
        return self._blocks(_check.integer(size, "size", 1))

    def _blocks(self, size):
        pieces, held = [], 0
        for part in self._parts:
            for run in part.runs(size - held, size):
                pieces.append(run)
                held += len(run)
                if held == size:
                    yield pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
                    pieces, held = [], 0
            part.close()
        if held:
            yield pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def close(self) -> None:
        """Close files and end the decoder process. Reading opens them again."""
        for part in self._parts:
            part.close()
        if self._process is not None:
            self._process.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _gather(self, wanted):
        """The frames of these indices, which run up or down."""
        frames = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        is_down = len(wanted) > 1 and wanted[0] > wanted[-1]
        target = frames[::-1] if is_down else frames
        rising = wanted[::-1] if is_down else wanted
        begin = 0
        for part in self._parts:
            first, last = np.searchsorted(rising, [begin, begin + len(part)])
            inside = rising[first:last] - begin
            breaks = np.flatnonzero(np.diff(inside) != 1) + 1
            for a, b in zip([0, *breaks], [*breaks, len(inside)]):
                if a < b:
                    read = part.read(int(inside[a]), int(inside[b - 1]) + 1)
                    if b - a == len(wanted) and not is_down:
                        return read
                    target[first + a : first + b] = read
            begin += len(part)
        return frames


def _indices(key, count):
    """An index or an array of them as numbers from 0 to below ``count``."""
    array = np.asarray(key)
    if array.dtype == bool:
        if array.shape != (count,):
            raise IndexError(f"index: expected {count} booleans, one a frame, got {array.shape}")
        return np.flatnonzero(array)
    if array.size == 0:
        return np.zeros(array.shape, np.int64)
    if array.dtype.kind not in "iu":
        raise IndexError(f"index: expected whole numbers, slices or booleans, got {key!r}")
    low, high = int(array.min()), int(array.max())
    if low < -count or high >= count:
        given = low if low < -count else high
        raise IndexError(f"index: expected {-count} to {count - 1}, got {given}")
    array = array.astype(np.int64)
    return np.where(array < 0, array + count, array)
