# SPDX-License-Identifier: GPL-3.0-or-later
"""The motion that is left in a movie, measured by optical flow."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from . import _check, _core
from ._source import FrameSource
from .filters import FilteredFrames, is_active


class ResidualMotion(NamedTuple):
    """How far a movie's frames lie from the template, before and after correction.

    Attributes
    ----------
    before, after : numpy.ndarray
        float64, one a frame, px: `residual_motion` of the frames as they are, and moved.
    """

    before: np.ndarray
    after: np.ndarray


def residual_motion(
    movie: Any,
    shifts: Any = None,
    *,
    template: Any = None,
    binning: int | None = None,
    n_threads: int | None = None,
) -> np.ndarray:
    """How far the content of each frame lies from the template, by optical flow.

    Each frame is moved by its shift, binned, cropped to the rectangle on which frame and template
    both lie, and brought to the template's mean and standard deviation there. The flow from the
    template to it is that of G. Farneback (SCIA 2003; OpenCV), with a window of 61 binned px, at
    three scales at most. The figure is the flow's root mean square length over that rectangle:
    where a frame is the template moved by d, the length of d. Flow sees deformation and rotation,
    too, and shares nothing with the estimate but the frames. ``docs/quality.md`` says how small it
    can get. (`stillscope.simulate.residual_motion` is another figure: the error of shifts against a
    known motion.)

    The movie is read once, a few frames at a time, and once more before where there is no template.

    Parameters
    ----------
    movie : array_like
        ``(frame, height, width)``, as in `estimate_motion`. It is only read.
    shifts : array_like, MotionEstimate or None
        ``(frame, 2)``, px, ``(height, width)``, as in `apply_motion`; None: the frames as they are.
    template : array_like or None
        ``(height, width)``, where the content should lie; pixels that are not finite do not count.
        None: that of the MotionEstimate, within its ``valid``, and frames are filtered as they were
        for it; else the mean of the moved frames, where half of them lie.
    binning : int or None
        Side of the squares of pixels whose means are compared; None: the largest that leaves 112 of
        them on the shorter side, or 1.
    n_threads : int or None
        As in `estimate_motion`. The result does not depend on it.

    Returns
    -------
    numpy.ndarray
        float64, one a frame, px of the movie. NaN for a frame that has no finite shift or no
        contrast, or that shares less than 16 binned px on an axis with the template.

    Raises
    ------
    TypeError
        Where an argument has the wrong type or the movie no real dtype.
    ValueError
        Where the movie is empty, shapes do not agree, or ``binning`` leaves less than 16 binned px
        on an axis.

    Examples
    --------
    >>> motion = stillscope.estimate_motion(movie)
    >>> left = stillscope.residual_motion(movie, motion)
    """
    if hasattr(shifts, "template"):
        template = template_of(shifts) if template is None else template
        movie = seen_by(shifts, movie, n_threads)
    if getattr(shifts, "deformation", None) is not None:
        # Now that what stays on the sensor has been taken away.
        movie = MovedFrames(movie, shifts, n_threads)
        shifts = None
    source = FrameSource(movie)
    frames, height, width = source.shape
    if shifts is not None:
        shifts = _check.shift_rows(getattr(shifts, "shifts", shifts), "shifts", frames)
    if template is not None:
        template = _check.real_array(template, "template", (2,))
        if template.shape != (height, width):
            raise ValueError(f"template: expected shape {(height, width)}, got {template.shape}")
        template = template.astype(np.float32)
    binning = 0 if binning is None else _check.integer(binning, "binning", 1)
    return _core.residual_motion(
        source.read, source.kernel_dtype, frames, height, width, shifts, template, binning,
        _check.threads(n_threads),
    )  # fmt: skip


class MovedFrames:
    """A movie whose frames are moved as an estimate says, a run of frames at a time."""

    def __init__(self, movie: Any, motion: Any, n_threads: int | None) -> None:
        self._source = FrameSource(movie)
        self.shape, self.dtype = self._source.shape, self._source.dtype
        self._motion, self._n_threads = motion, n_threads

    def __getitem__(self, frames: slice) -> np.ndarray:
        from .movie import apply_motion  # which imports this module

        block = self._source.read_as_is(frames.start, frames.stop)
        part = self._motion.of_frames(frames)
        return apply_motion(block, part, border="nearest", n_threads=self._n_threads)


def template_of(motion: Any) -> np.ndarray:
    """The template of a MotionEstimate; NaN where few frames lie."""
    template = np.full(motion.template.shape, np.nan, np.float32)
    seen = motion.valid_template
    template[seen] = motion.template[seen]
    return template


def seen_by(motion: Any, movie: Any, n_threads: int | None) -> Any:
    """The movie as the estimate looked at it."""
    filtering = motion.filtering
    if filtering is not None and (is_active(filtering) or filtering["region"]):
        movie = FilteredFrames(movie, filtering, motion.fixed_pattern, n_threads)
    shape = FrameSource(movie).shape[1:]
    if shape != motion.template.shape:
        raise ValueError(
            f"movie: expected frames of {motion.template.shape}, as were estimated, got {shape}"
        )
    return movie
