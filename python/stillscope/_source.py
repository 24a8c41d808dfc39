# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies as the native estimate reads them: a run of frames at a time, whatever holds them."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np

from . import _check

# A dask chunk of frames up to this size is kept while its frames are read. Larger ones, as of a
# file that was opened as a single chunk, are sliced instead: dask then reads only what is asked for
# where it can.
_MOST_KEPT = 1 << 30  # bytes


class FrameSource:
    """A movie in memory, or one that is read as it is needed.

    Parameters
    ----------
    movie : array_like
        ``(frame, height, width)``. NumPy arrays and what has their `shape`, `dtype` and slices
        (dask, zarr, h5py; xarray, whose dims may be in any order where two of them are ``height``
        and ``width``) is read a run of frames at a time; anything else becomes a NumPy array.
    name : str
        The argument's name, for errors.
    """

    def __init__(self, movie: Any, name: str = "movie") -> None:
        dims = getattr(movie, "dims", None)
        if dims is not None and {"height", "width"} <= set(dims) and hasattr(movie, "transpose"):
            movie = movie.transpose(..., "height", "width")
            movie = movie.data
        if not self._is_array(movie):
            movie = _check.frames(movie, name)
        # Of dask, whose chunks are tuples of lengths; zarr's and h5py's are lengths.
        chunks = getattr(movie, "chunks", None)
        is_dask = hasattr(movie, "__dask_graph__") and chunks and len(movie.shape) == 3
        self._movie = _DaskFrames(movie) if is_dask else movie
        self._name = name
        self.shape = tuple(int(n) for n in movie.shape)
        self.dtype = np.dtype(movie.dtype)
        _check.real_dtype(self.dtype, name)
        if len(self.shape) != 3:
            raise ValueError(f"{name}: expected 3 dimensions, got shape {self.shape}")
        if 0 in self.shape:
            raise ValueError(f"{name}: expected at least one frame with pixels, got {self.shape}")
        # What the kernels see; a single pixel tells, and costs nothing to convert.
        self.kernel_dtype = _check.kernel_array(np.zeros(1, self.dtype)).dtype

    @staticmethod
    def _is_array(movie: Any) -> bool:
        """Whether runs of its frames can be had as NumPy arrays of a dtype that is known."""
        if not all(hasattr(movie, name) for name in ("shape", "dtype", "__getitem__")):
            return False
        try:
            np.dtype(movie.dtype)
        except TypeError:  # another library's, as a tensor's
            return False
        return True

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, begin: int, end: int) -> np.ndarray:
        """Frames ``begin`` to ``end`` (excluded) as the kernels take them."""
        return _check.kernel_array(self.read_as_is(begin, end))

    def read_as_is(self, begin: int, end: int) -> np.ndarray:
        """The same in the movie's dtype."""
        block = np.asarray(self._movie[begin:end])
        if block.shape != (end - begin, *self.shape[1:]):
            raise ValueError(
                f"{self._name}: expected frames {begin} to {end} of shape {self.shape[1:]}, "
                f"got {block.shape}"
            )
        return block


class _DaskFrames:
    """Runs of frames of a dask array that compute each chunk once in a reading of the movie.

    Slices alone would compute a chunk again for every run of frames in it.
    """

    def __init__(self, array: Any) -> None:
        self.shape, self.dtype = array.shape, array.dtype
        self._array = array
        self._frame_bytes = array.dtype.itemsize * array.shape[1] * array.shape[2]
        self._ends = list(itertools.accumulate(array.chunks[0]))
        self._kept: tuple[int, np.ndarray] | None = None  # where it begins, its frames

    def __getitem__(self, run: slice) -> np.ndarray:
        begins = [0, *self._ends[:-1]]
        chunks = [
            (begin, end)
            for begin, end in zip(begins, self._ends)
            if max(begin, run.start) < min(end, run.stop)
        ]
        if len(chunks) == 1:
            return self._piece(*chunks[0], run)
        frames = np.empty((run.stop - run.start, *self.shape[1:]), self.dtype)
        for begin, end in chunks:
            at = slice(max(begin - run.start, 0), end - run.start)
            frames[at] = self._piece(begin, end, run)
        return frames

    def _piece(self, begin: int, end: int, run: slice) -> np.ndarray:
        """Those frames of the run that lie in the chunk from ``begin`` to ``end``."""
        first, last = max(begin, run.start), min(end, run.stop)
        if (end - begin) * self._frame_bytes > _MOST_KEPT:
            return _computed(self._array[first:last])
        if self._kept is None or self._kept[0] != begin:
            self._kept = None  # before there are two
            self._kept = (begin, _computed(self._array[begin:end]))
        return self._kept[1][first - begin : last - begin]


def _computed(array: Any) -> np.ndarray:
    """A dask array's values."""
    worker = sys.modules.get("distributed.worker")
    if worker is not None:
        from distributed.client import futures_of

        try:
            threads = worker.get_worker().state.nthreads
        except ValueError:  # not in a task of a cluster
            threads = None
        if threads is not None and not futures_of(array):
            # Here rather than as tasks of the cluster, for which this task would wait while it
            # holds what they may need: a thread of the worker, memory that is asked for by name.
            return np.asarray(array.compute(scheduler="threads", num_workers=threads))
    return np.asarray(array)
