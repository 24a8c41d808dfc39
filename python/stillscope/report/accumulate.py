# SPDX-License-Identifier: GPL-3.0-or-later
"""Mean and maximum of a movie that is seen once, a frame at a time."""

from __future__ import annotations

import numpy as np

_WHOLE = (slice(None), slice(None))
_MOST_IN_32_BITS = 1 << 15  # frames of at most 16 bits whose sum fits, with a sign or without


def covered(
    shift: np.ndarray,
    shape: tuple[int, int],
    reach: float = 0.0,
    interpolation: str = "linear",
) -> tuple[slice, slice] | None:
    """Rows and columns of a moved frame that show the frame alone; None where there are none.

    The others are what lies outside, or blend with it. ``reach``: px by which parts of the frame
    may lie off its shift. ``interpolation``: that of `apply_motion`.
    """
    if not np.isfinite(shift).all():
        return None
    parts = []
    # Frames are moved in single precision.
    for by, size in zip(np.float32(shift).astype(np.float64), shape):
        # Of four samples on an axis, one more lies beyond on each side; whole shifts take one.
        off = reach + (interpolation == "cubic" and (by % 1 != 0 or reach > 0))
        first = max(int(np.ceil(by + off)), 0)
        end = min(int(np.floor(size - 1 + by - off)) + 1, size)
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
        dtype = np.dtype(dtype)
        self._is_whole = dtype.kind in "bui"
        self._sum = np.zeros(shape, np.int64 if self._is_whole else np.float64)
        # Adding to 32 bits is twice as fast; it goes over to the sum before it is full.
        self._recent = np.zeros(shape, np.int32) if self._is_whole and dtype.itemsize < 4 else None
        self._in_recent = 0
        least = np.iinfo(dtype).min if dtype.kind in "ui" else 0 if self._is_whole else -np.inf
        self._max = np.full(shape, least, dtype if self._is_whole else np.float64)
        # Frames cover rectangles: their corners are counted, and summed up at the end.
        self._corners = np.zeros([n + 1 for n in shape], np.int64)
        self._lost: np.ndarray | None = None  # values that were not finite

    def add(self, frame: np.ndarray, part: tuple[slice, slice] = _WHOLE) -> None:
        """Takes these rows and columns of a frame in."""
        values, largest = frame[part], self._max[part]
        self._count(part)
        finite = None if self._is_whole else np.isfinite(values)
        if finite is not None and not finite.all():
            if self._lost is None:
                self._lost = np.zeros(self._sum.shape, np.int64)
            self._lost[part] += ~finite
            np.add(self._sum[part], values, out=self._sum[part], where=finite)
            np.maximum(largest, values, out=largest, where=finite)
            return
        total = self._sum if self._recent is None else self._recent
        np.add(total[part], values, out=total[part], casting="unsafe")
        np.maximum(largest, values, out=largest)
        self._in_recent += 1
        if self._in_recent == _MOST_IN_32_BITS:
            self._flush()

    def _count(self, part: tuple[slice, slice]) -> None:
        (top, bottom, _), (left, right, _) = (
            side.indices(size) for side, size in zip(part, self._sum.shape)
        )
        self._corners[[top, bottom], [left, right]] += 1
        self._corners[[top, bottom], [right, left]] -= 1

    def _flush(self) -> None:
        if self._recent is not None:
            self._sum += self._recent
            self._recent[:] = 0
        self._in_recent = 0

    @property
    def count(self) -> np.ndarray:
        """int64: number of finite values of every pixel."""
        count = self._corners.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
        return count if self._lost is None else count - self._lost

    @property
    def mean(self) -> np.ndarray:
        """float64; NaN where nothing was seen."""
        self._flush()
        count = self.count
        mean = np.full(self._sum.shape, np.nan)
        return np.divide(self._sum, count, out=mean, where=count > 0)

    @property
    def max(self) -> np.ndarray:
        """float64; NaN where nothing was seen."""
        return np.where(self.count > 0, self._max, np.nan)
