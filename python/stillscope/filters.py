# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a movie an estimate looks at."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check, _core
from ._source import FrameSource

_PRESETS: dict[str | None, dict[str, Any]] = {
    None: {"smooth": 0.0, "background": 0.0, "fixed_pattern": False},
    "miniscope": {"smooth": 1.0, "background": 8.0, "fixed_pattern": True},
    "2p": {"smooth": 1.0, "background": 0.0, "fixed_pattern": False},
}


def filter_settings(
    preset: str | None,
    smooth: float | None,
    background: float | None,
    fixed_pattern: bool | None,
    region: tuple[slice, slice] | None,
    shape: tuple[int, int],
) -> dict[str, Any]:
    """The options of the filter, checked, as the kernels take them."""
    if preset is not None:
        _check.choice(preset, "preset", ("miniscope", "2p"))
    settings = dict(_PRESETS[preset])
    if smooth is not None:
        settings["smooth"] = _check.number(smooth, "smooth")
    if background is not None:
        settings["background"] = _check.number(background, "background")
    if fixed_pattern is not None:
        settings["fixed_pattern"] = _check.boolean(fixed_pattern, "fixed_pattern")
    settings["region"] = None if region is None else _bounds(region, shape)
    return settings


def is_active(settings: dict[str, Any]) -> bool:
    """Whether the filter changes frames."""
    return bool(settings["smooth"] or settings["background"] or settings["fixed_pattern"])


def _bounds(region: Any, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """``region`` as first row, end of the rows, first column, end of the columns."""
    if not (isinstance(region, tuple) and [type(part) for part in region] == [slice, slice]):
        raise TypeError(f"region: expected a slice of rows and a slice of columns, got {region!r}")
    if any(part.step not in (None, 1) for part in region):
        raise ValueError(f"region: expected slices without a step, got {region!r}")
    (top, bottom, _), (left, right, _) = (
        part.indices(size) for part, size in zip(region, shape)
    )
    if top >= bottom or left >= right:
        raise ValueError(f"region: expected some of the pixels of frames {shape}, got {region!r}")
    return top, bottom, left, right


def slices_of(
    bounds: tuple[int, int, int, int] | None, shape: tuple[int, int]
) -> tuple[slice, slice]:
    top, bottom, left, right = bounds or (0, shape[0], 0, shape[1])
    return slice(top, bottom), slice(left, right)


def filter_movie(
    movie: Any,
    *,
    preset: str | None = None,
    smooth: float | None = None,
    background: float | None = None,
    region: tuple[slice, slice] | None = None,
    pattern: Any = None,
    n_threads: int | None = None,
) -> np.ndarray:
    """Frames as an estimate looks at them.

    Parameters
    ----------
    movie : array_like
        ``(frame, height, width)``, or one frame ``(height, width)``; any real dtype. It is only
        read. Pixels that are not finite count as the frame's finite mean.
    preset, smooth, background, region
        As in `estimate_motion`.
    pattern : array_like or None
        What stays on the sensor and is taken away: ``fixed_pattern`` of an estimate with the same
        options.
    n_threads : int or None
        As in `estimate_motion`.

    Returns
    -------
    numpy.ndarray
        float32, of the movie's shape, or of the region's.

    Raises
    ------
    TypeError
        Where an argument has the wrong type.
    ValueError
        Where an option is out of range or shapes do not agree.

    Examples
    --------
    >>> motion = stillscope.estimate_motion(movie, preset="miniscope")
    >>> seen = stillscope.filter_movie(movie[:10], preset="miniscope", pattern=motion.fixed_pattern)
    """
    array = _check.frames(movie, "movie", (2, 3))
    stack = array if array.ndim == 3 else array[np.newaxis]
    settings = filter_settings(preset, smooth, background, False, region, stack.shape[1:])
    rows, columns = slices_of(settings["region"], stack.shape[1:])
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    if pattern is not None:
        pattern = _check.real_array(pattern, "pattern", (2,))
        if pattern.shape != shape:
            raise ValueError(f"pattern: expected shape {shape}, got {pattern.shape}")
        pattern = np.ascontiguousarray(pattern, np.float32)
    filtered = _core.filter_movie(
        _check.kernel_array(stack), settings, pattern, _check.threads(n_threads)
    )
    return filtered if array.ndim == 3 else filtered[0]


class FilteredFrames:
    """A movie as an estimate looked at it, a run of frames at a time."""

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        movie: Any,
        settings: dict[str, Any],
        pattern: np.ndarray | None,
        n_threads: int | None,
    ) -> None:
        self._source = FrameSource(movie)
        self._settings = settings
        self._n_threads = _check.threads(n_threads)
        self._pattern = pattern
        rows, columns = slices_of(settings["region"], self._source.shape[1:])
        self.shape = (len(self._source), rows.stop - rows.start, columns.stop - columns.start)

    def __getitem__(self, frames: slice) -> np.ndarray:
        block = self._source.read(frames.start, frames.stop)
        return _core.filter_movie(block, self._settings, self._pattern, self._n_threads)
