# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers what a report shows, in one reading of the movie."""

from __future__ import annotations

import datetime
import platform
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import __version__, _check
from .._source import FrameSource
from ..movie import apply_motion
from ..residual import MovedFrames, residual_motion, seen_by, template_of
from ..result import MotionEstimate, _crispness
from .about import mapping_of, outputs_of, recording_of, timings_of
from .accumulate import PixelStatistics, covered
from .applied import applying_options
from .facts import crispness_of, judge, used_frames
from .summary import ResidualSample, Summary
from .worst import WorstFrame, choose, look_at

_RUN_BYTES = 32 << 20  # of each movie in a run of frames
_LEAST_SIDE = 16  # px: flow is not measured on less


class SummaryBuilder:
    """Gathers a `Summary` from runs of frames, for those who read the movie for other reasons.

    Every frame is handed in once, in order; memory does not grow with their number.

    Parameters
    ----------
    motion : MotionEstimate
    shape : (int, int, int)
        Frames, height and width of the movie.
    dtype : numpy.dtype
        Of the movie.
    sample : int
        Motion that is left is measured on at most so many frames without flag, evenly spaced.
    applying : mapping or None
        As in `summarise`.
    n_threads : int or None
        As in `estimate_motion`.

    Raises
    ------
    TypeError, ValueError
        Where the motion is not that of frames of this number and size, or an option is out of
        range.
    """

    def __init__(
        self,
        motion: MotionEstimate,
        shape: tuple[int, int, int],
        dtype: Any,
        *,
        sample: int = 300,
        applying: Mapping[str, Any] | None = None,
        n_threads: int | None = None,
    ) -> None:
        _check.of_type(motion, "motion", MotionEstimate)
        if len(motion.shifts) != shape[0]:
            raise ValueError(
                f"motion: expected one of {shape[0]} frames, as in the movie, "
                f"got {len(motion.shifts)}"
            )
        self.shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype)
        _check.real_dtype(self.dtype, "dtype")
        size = self.shape[1:]
        sample = _check.integer(sample, "sample", 1)
        n_threads = _check.threads(n_threads)
        self._applying = applying_options(applying, self.dtype)
        # A movie of another size is refused before it is read; a slice of nothing costs nothing.
        seen_by(motion, np.broadcast_to(np.zeros((), self.dtype), (1, *size)), n_threads)
        self._motion, self._n_threads = motion, n_threads
        self._next = 0
        self._used = used_frames(motion)
        self._before: PixelStatistics | None = None
        self._after: PixelStatistics | None = None
        self._chosen = choose(motion)
        self._looked_at: dict[int, WorstFrame] = {}
        self._template = template_of(motion)
        local = motion.deformation
        # px by which the parts of a frame may lie off its shift.
        self._reach = np.zeros(shape[0]) if local is None else np.ceil(3 * local.frame_size)
        self._sample = _evenly(np.flatnonzero(self._used), sample)
        if min(motion.template.shape) < _LEAST_SIDE:
            self._sample = self._sample[:0]
        self._residual = np.full((2, len(self._sample)), np.nan)

    def add(self, before: np.ndarray, after: np.ndarray | None = None) -> None:
        """Takes the next frames in.

        Parameters
        ----------
        before : numpy.ndarray
            ``(frame, height, width)``: the frames as they are.
        after : numpy.ndarray or None
            The same, corrected; made here where it is None.

        Raises
        ------
        ValueError
            Where shapes do not agree, or there are more frames than were announced.
        """
        first, end = self._next, self._next + len(before)
        if before.shape[1:] != self.shape[1:] or end > self.shape[0]:
            raise ValueError(
                f"before: expected at most {self.shape[0] - first} frames of {self.shape[1:]}, "
                f"got shape {before.shape}"
            )
        if after is not None and after.shape != before.shape:
            raise ValueError(f"after: expected shape {before.shape}, got {after.shape}")
        for name, frames in (("before", before), ("after", after)):
            if frames is not None:
                _check.real_dtype(frames.dtype, name)
        shifts = self._motion.shifts[first:end]
        if after is None:
            part = self._motion.of_frames(slice(first, end))
            after = apply_motion(before, part, n_threads=self._n_threads, **self._applying)
        before, moved = _check.kernel_array(before), _check.kernel_array(after)
        interpolation = self._applying.get("interpolation", "linear")
        if self._before is None:
            self._before = PixelStatistics(self.shape[1:], before.dtype)
            self._after = PixelStatistics(self.shape[1:], moved.dtype)
        for k in range(len(before)):
            if self._used[first + k]:
                self._before.add(before[k])
                reach = self._reach[first + k]
                part = covered(shifts[k], self.shape[1:], reach, interpolation)
                if part is not None:
                    self._after.add(moved[k], part)
            if first + k in self._chosen:
                self._looked_at[first + k] = look_at(
                    self._motion, first + k, before[k], moved[k], interpolation,
                    self._chosen[first + k], self._n_threads,
                )  # fmt: skip
        self._measure(before, first, end)
        self._next = end

    def _measure(self, before: np.ndarray, first: int, end: int) -> None:
        """Motion that is left in those of these frames that are in the sample."""
        here = np.flatnonzero((self._sample >= first) & (self._sample < end))
        if not here.size:
            return
        frames = self._sample[here]
        movie, motion = before[frames - first], self._motion.of_frames(frames)
        how = {"template": self._template, "n_threads": self._n_threads}
        seen = seen_by(self._motion, movie, self._n_threads)
        self._residual[0, here] = residual_motion(seen, **how)
        if motion.deformation is not None:
            seen, motion = MovedFrames(seen, motion, self._n_threads), None
        self._residual[1, here] = residual_motion(seen, motion, **how)

    def finish(
        self,
        *,
        recording: dict[str, Any] | None = None,
        parameters: dict[str, Any] | None = None,
        timings: dict[str, float] | None = None,
        outputs: dict[str, Any] | None = None,
    ) -> Summary:
        """The summary; arguments as of `summarise`.

        Raises
        ------
        TypeError, ValueError
            Where frames are still to come, or an argument is not as stated there.
        """
        about = {
            "recording": recording_of(recording),
            "parameters": {**mapping_of(parameters, "parameters"), **self._applying},
            "timings": timings_of(timings),
            "outputs": outputs_of(outputs),
        }
        if self._next != self.shape[0]:
            raise ValueError(f"frames: expected {self.shape[0]} of them, got {self._next}")
        motion = self._motion
        mean_before, mean_after = self._before.mean, self._after.mean
        status, verdict = judge(motion)
        return Summary(
            motion=motion,
            shape=self.shape,
            dtype=self.dtype,
            status=status,
            verdict=verdict,
            mean_before=mean_before,
            mean_after=mean_after,
            max_before=self._before.max,
            max_after=self._after.max,
            used=self._used,
            residual=ResidualSample(self._sample, *self._residual) if self._sample.size else None,
            worst=tuple(self._looked_at[k] for k in self._chosen),
            crispness=_crispness_of(motion, mean_before, mean_after),
            **about,
            versions={
                "stillscope": __version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
                "system": f"{platform.system()} {platform.machine()}",
            },
            date=datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
        )


def summarise(
    source: Any,
    corrected: Any,
    motion: MotionEstimate,
    *,
    recording: dict[str, Any] | None = None,
    parameters: dict[str, Any] | None = None,
    timings: dict[str, float] | None = None,
    outputs: dict[str, Any] | None = None,
    applying: Mapping[str, Any] | None = None,
    n_threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    sample: int = 300,
) -> Summary:
    """Gather what a report shows.

    Each movie is read once, a few frames at a time: memory does not depend on the length.

    Parameters
    ----------
    source : array_like
        ``(frame, height, width)``, any real dtype: the movie as it was estimated. It is only read.
    corrected : array_like or None
        The same, corrected; None: made from ``source`` as it is read.
    motion : MotionEstimate
    recording : dict or None
        Of the source, all optional: ``name``, ``files`` (list), ``frame_rate`` (Hz), ``pixel_size``
        (um: a number, or height and width), ``missing`` (list of file, frame, reason); others are
        shown as they are.
    parameters : dict or None
        Options of the estimate and of applying it, by name.
    timings : dict or None
        Seconds that each stage took, by name.
    outputs : dict or None
        Paths of what was written, by role; shown, with code that opens the movie and the shifts.
    applying : mapping or None
        How frames are moved, or were for ``corrected``: ``interpolation``, ``border``, ``fill`` and
        ``grid`` of `apply_motion`; None: its defaults.
    n_threads : int or None
        As in `estimate_motion`. The result does not depend on it.
    progress : callable or None
        Called with the number of frames read and the number of all.
    sample : int
        Motion that is left is measured on at most so many frames without flag, evenly spaced.

    Returns
    -------
    Summary

    Raises
    ------
    TypeError
        Where an argument has the wrong type or a movie no real dtype.
    ValueError
        Where shapes do not agree, or an argument is not as stated above.

    Examples
    --------
    >>> motion = stillscope.estimate_motion(movie)
    >>> summary = stillscope.report.summarise(movie, None, motion)
    >>> stillscope.report.write_report("report.html", summary)
    """
    recording, timings, outputs = recording_of(recording), timings_of(timings), outputs_of(outputs)
    parameters = mapping_of(parameters, "parameters")
    before = FrameSource(source, "source")
    after = None if corrected is None else FrameSource(corrected, "corrected")
    if after is not None and after.shape != before.shape:
        raise ValueError(f"corrected: expected shape {before.shape}, got {after.shape}")
    builder = SummaryBuilder(
        motion, before.shape, before.dtype, sample=sample, applying=applying, n_threads=n_threads
    )
    frames, height, width = before.shape
    run = max(1, min(256, _RUN_BYTES // (height * width * before.kernel_dtype.itemsize)))
    for first in range(0, frames, run):
        end = min(first + run, frames)
        moved = None if after is None else after.read_as_is(first, end)
        builder.add(before.read_as_is(first, end), moved)
        if progress is not None:
            progress(end, frames)
    return builder.finish(
        recording=recording, parameters=parameters, timings=timings, outputs=outputs
    )


def _evenly(frames: np.ndarray, most: int) -> np.ndarray:
    """At most so many of these frames, from the first to the last."""
    if len(frames) <= most:
        return frames
    return frames[np.linspace(0, len(frames) - 1, most).round().astype(int)]


def _crispness_of(
    motion: MotionEstimate, before: np.ndarray, after: np.ndarray
) -> tuple[float, float]:
    """That of the motion, or else of these mean images where both are known."""
    crispness = crispness_of(motion)
    if crispness is not None:
        return crispness
    known = np.isfinite(before) & np.isfinite(after)
    if not known.any():
        return float("nan"), float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # slopes beside what is not known
        return tuple(_crispness(np.where(known, mean, np.nan)) for mean in (before, after))
