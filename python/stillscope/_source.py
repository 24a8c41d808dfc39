# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies as the native estimate reads them: a run of frames at a time, whatever holds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check


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
        self._movie = movie
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
        block = np.asarray(self._movie[begin:end])
        if block.shape != (end - begin, *self.shape[1:]):
            raise ValueError(
                f"{self._name}: expected frames {begin} to {end} of shape {self.shape[1:]}, "
                f"got {block.shape}"
            )
        return _check.kernel_array(block)
