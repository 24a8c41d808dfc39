# SPDX-License-Identifier: GPL-3.0-or-later
"""Mean and maximum of a movie that is seen once, a run of frames at a time."""

from __future__ import annotations

import numpy as np


def covered(shift: np.ndarray, shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """Rows and columns of a moved frame that show the frame alone; None where there are none.

    The others are what lies outside, or blend with it.
    """
    if not np.isfinite(shift).all():
        return None
    parts = []
    # Frames are moved in single precision.
    for by, size in zip(np.float32(shift).astype(np.float64), shape):
        first, end = max(int(np.ceil(by)), 0), min(int(np.floor(size - 1 + by)) + 1, size)
        if first >= end:
            return None
        parts.append(slice(first, end))
    return tuple(parts)


class PixelStatistics:
    """Sum, number and maximum of the finite values of every pixel.

    Parameters
    ----------
    shape : (int, int)
        Height and width.
    dtype : numpy.dtype
        Of the frames. Sums of integers are exact, others are in float64.
    """

    def __init__(self, shape: tuple[int, int], dtype: np.dtype) -> None:
        self._is_whole = dtype.kind in "bui"
        self._sum = np.zeros(shape, np.int64 if self._is_whole else np.float64)
        self._count = np.zeros(shape, np.int64)
        self._max = np.full(shape, -np.inf)
        if self._is_whole:
            self._max = np.full(shape, np.iinfo(dtype).min if dtype.kind != "b" else 0, dtype)

    def add(self, frame: np.ndarray, part: tuple[slice, slice] = (slice(None), slice(None))) -> None:
        """Takes these rows and columns of a frame in."""
        values, total = frame[part], self._sum[part]
        largest, count = self._max[part], self._count[part]
        finite = None if self._is_whole else np.isfinite(values)
        if finite is None or finite.all():
            np.add(total, values, out=total)
            np.maximum(largest, values, out=largest)
            count += 1
            return
        np.add(total, values, out=total, where=finite)
        np.maximum(largest, values, out=largest, where=finite)
        count += finite

    @property
    def mean(self) -> np.ndarray:
        """float64; NaN where nothing was seen."""
        mean = np.full(self._sum.shape, np.nan)
        return np.divide(self._sum, self._count, out=mean, where=self._count > 0)

    @property
    def max(self) -> np.ndarray:
        """float64; NaN where nothing was seen."""
        return np.where(self._count > 0, self._max, np.nan)
