# SPDX-License-Identifier: GPL-3.0-or-later
"""What an estimate returns."""

from __future__ import annotations

import numbers
import warnings
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from . import _core
from .filters import filter_movie
from .nonrigid import Deformation, positions
from .residual import ResidualMotion, residual_motion, seen_by, template_of

_NOISE_WIDTH = 1.0  # px: what is finer in the mean of a movie is noise first of all
_LEAST_MOTION = 0.05  # px: what an estimate makes of a scene that stands still


def _crispness(mean: np.ndarray) -> float:
    """Of an image that is smoothed a little; without what is not finite."""
    if min(mean.shape) < 2:
        return 0.0
    smooth = filter_movie(mean, smooth=_NOISE_WIDTH).astype(np.float64)
    smooth[~np.isfinite(mean)] = np.nan
    slopes = np.gradient(smooth)
    return float(np.sqrt(np.nanmean(slopes[0] ** 2 + slopes[1] ** 2)))


@dataclass(frozen=True, eq=False)
class FrameQuality:
    """What is known of every frame; each array has one entry a frame.

    Attributes
    ----------
    similarity_before : numpy.ndarray
        float64: correlation of the frame, as it is, with the mean of the frames as they are.
    similarity : numpy.ndarray
        float64: correlation of the moved frame with the template, robust against what is new in it.
    peak : numpy.ndarray
        float64: height of its correlation with the template's detail, without its own share in the
        template, over the root mean square of that correlation at all displacements.
    ratio : numpy.ndarray
        float64: that peak over the top of the highest other hill of that correlation. Near 1: the
        frame could as well lie elsewhere. 0 where it was not looked for.
    residual : numpy.ndarray
        float64: standard deviation of its difference to the template, in the movie's units.
    uncertainty : numpy.ndarray
        float64, px: standard error of the shift that the residual makes likely. It knows nothing of
        motion that is not a translation.
    gain : numpy.ndarray
        float64: contrast of the frame over the template's.
    flags : dict of str to numpy.ndarray
        bool: ``non_finite``, ``black``, ``flash``, ``torn``, ``duplicate``, ``low_confidence``,
        ``at_limit``, ``not_converged``, ``given``, ``field_not_converged``.
    interpolated : numpy.ndarray
        bool: the shift is not the frame's own but lies between its neighbours'.
    """

    similarity_before: np.ndarray
    similarity: np.ndarray
    peak: np.ndarray
    ratio: np.ndarray
    residual: np.ndarray
    uncertainty: np.ndarray
    gain: np.ndarray
    flags: dict[str, np.ndarray]
    interpolated: np.ndarray

    @property
    def flagged(self) -> np.ndarray:
        """bool: frames with any flag. They shape no template."""
        return np.any(list(self.flags.values()), axis=0)

    @classmethod
    def of(cls, frames: dict[str, np.ndarray]) -> FrameQuality:
        """From what the extension returns."""
        values = dict(frames)
        bits = values.pop("flags")
        return cls(
            flags={
                name: (bits & (1 << bit)).astype(bool) for bit, name in enumerate(_core.FRAME_FLAGS)
            },
            interpolated=values.pop("is_interpolated"),
            **values,
        )


class FrameMotion(NamedTuple):
    """How some frames move: what `apply_motion` takes of an estimate.

    Attributes
    ----------
    shifts : numpy.ndarray
        float64 ``(frame, 2)``, px.
    deformation : Deformation or None
    """

    shifts: np.ndarray
    deformation: Deformation | None

    def of_frames(self, frames: Any) -> FrameMotion:
        """How some of these frames move: those of a slice or of indices."""
        return _of_frames(self, frames)


def _of_frames(motion: Any, frames: Any) -> FrameMotion:
    if isinstance(frames, numbers.Integral):
        frames = [frames]
    try:
        shifts = motion.shifts[frames]
    except IndexError:
        raise IndexError(
            f"frames: expected a slice or indices of {len(motion.shifts)} frames, got {frames!r}"
        ) from None
    local = None if motion.deformation is None else motion.deformation.of_frames(frames)
    return FrameMotion(shifts, local)


@dataclass(frozen=True, eq=False)
class MotionEstimate:
    """The motion of a movie.

    Attributes
    ----------
    shifts : numpy.ndarray
        float64 ``(frame, 2)``, px, ``(height, width)``: the correction to add to the content's
        position. NaN (only without refinement) for a frame without any finite pixel.
    template : numpy.ndarray
        float32 ``(height, width)``: the mean of the registered frames that have no flag; NaN where
        no frame lies. Without refinement, the tree's. Where the estimate looked at a region or at
        filtered frames, the template is of these.
    quality : FrameQuality or None
        What is known of every frame; None without refinement.
    valid : tuple of slice
        Rows and columns of the corrected movie on which at least 95 % of the frames lie: a few wild
        frames do not shrink it.
    mean_before : numpy.ndarray or None
        float32 ``(height, width)``: the mean of the frames as they are; None without refinement.
        Of a region, of filtered frames: as `template`.
    fixed_pattern : numpy.ndarray or None
        float32 ``(height, width)``: what stays on the sensor, in filtered frames; None where it was
        not asked for. `template` and `mean_before` are without it.
    filtering : dict or None
        What the estimate looked at: ``smooth`` and ``background`` (px), ``fixed_pattern`` and
        ``region`` (first row, end of the rows, first column, end of the columns; None: all).
    deformation : Deformation or None
        Motion that differs across the frame; None without ``nonrigid``. `shifts` is then the mean
        of a frame's field.
    stats : dict
        ``counts`` of what the tree did: ``leaves`` and ``nodes`` and ``runs`` of each,
        ``registrations`` of pairs (and those ``spared``), ``warps``, ``spectra``, exact sums round
        a displacement (``windows``) and at one (``points``), ``refinements`` (registrations that a
        finer grid was asked for), ``fallbacks`` (those that went to the full-size registrar) and
        the ``extra_spectra`` of these two. ``planned``: the same from the plan, with nothing
        spared. ``repaired`` and ``dead``: numbers of frames with some and with only non-finite
        pixels. ``passes``: readings of the movie to refine, and how far shifts ``moved`` in each
        (root mean square, px).
    """

    shifts: np.ndarray
    template: np.ndarray
    quality: FrameQuality | None = None
    valid: tuple[slice, slice] = (slice(None), slice(None))
    stats: dict[str, Any] = field(default_factory=dict)
    mean_before: np.ndarray | None = None
    fixed_pattern: np.ndarray | None = None
    filtering: dict[str, Any] | None = None
    deformation: Deformation | None = None

    def of_frames(self, frames: Any) -> FrameMotion:
        """How some frames move: those of a slice or of indices, for `apply_motion`."""
        return _of_frames(self, frames)

    def field(self, y: Any, x: Any) -> np.ndarray:
        """Corrections at positions of the template.

        Parameters
        ----------
        y, x : array_like
            px: rows and columns, each in increasing or any other order.

        Returns
        -------
        numpy.ndarray
            float64 ``(frame, len(y), len(x), 2)``, px, ``(height, width)``: what must be added to
            the position in the frame of the content that lies at ``(y, x)`` in the template. The
            same everywhere, `shifts`, without ``nonrigid``.
        """
        if self.deformation is not None:
            return self.deformation.field(y, x)
        rows, columns = positions(y, "y"), positions(x, "x")
        shape = (len(self.shifts), len(rows), len(columns), 2)
        return np.broadcast_to(self.shifts[:, None, None, :], shape).copy()

    @property
    def valid_template(self) -> tuple[slice, slice]:
        """Rows and columns of `template` that lie in `valid`."""
        region = self.filtering["region"] if self.filtering else None
        if region is None or self.quality is None:
            return self.valid
        starts, sizes = region[::2], self.template.shape
        return tuple(
            slice(min(max(part.start - start, 0), size), max(min(part.stop - start, size), 0))
            for part, start, size in zip(self.valid, starts, sizes)
        )

    @property
    def crispness(self) -> tuple[float, float]:
        """Crispness of the movie's mean before and after, on `valid`.

        The Frobenius norm of the gradient over the square root of the number of pixels, in the
        movie's units a px: E. Pnevmatikakis and A. Giovannucci, "NoRMCorre", J. Neurosci. Methods
        291 (2017). Here of means smoothed by 1 px: the noise that few or dim frames leave is
        smoothed where frames are moved, which would count as less crisp.
        """
        if self.mean_before is None:
            raise ValueError("crispness: expected a refined estimate, got one with refine=0")
        seen = self.valid_template
        return _crispness(self.mean_before[seen]), _crispness(self.template[seen])

    @property
    def helps(self) -> bool:
        """Whether the mean is crisper and frames are no less alike after correction than before.

        False where moving the frames does no good: then better leave them as they are. Frames that
        have a flag do not count.
        """
        return self._reason() is None

    @property
    def verdict(self) -> str:
        """One sentence: whether correction helps, and if not, why."""
        before, after = self.crispness
        reason = self._reason()
        figures = f"crispness {before:.3g} -> {after:.3g}"
        if reason is not None:
            return f"Correction does not help: {reason} ({figures})."
        return f"Correction helps: {figures}, similarity {self._similarity()}."

    def residual_motion(
        self, movie: Any, *, binning: int | None = None, n_threads: int | None = None
    ) -> ResidualMotion:
        """How far the frames of the movie lie from `template`, before and after correction.

        Parameters
        ----------
        movie : array_like
            The movie that was estimated. It is read twice, and filtered as it was then.
        binning, n_threads
            As in `stillscope.residual_motion`.

        Returns
        -------
        ResidualMotion
            ``before`` and ``after``: float64, one a frame, px.

        Raises
        ------
        TypeError, ValueError
            As `stillscope.residual_motion`.
        """
        how = {"template": template_of(self), "binning": binning, "n_threads": n_threads}
        seen = seen_by(self, movie, n_threads)
        return ResidualMotion(residual_motion(seen, **how), residual_motion(movie, self, **how))

    def to_xarray(self) -> Any:
        """All of it as an `xarray.Dataset`, of the variables that the file of shifts has.

        Returns
        -------
        xarray.Dataset
            ``motion`` (frame, shift_dim), px, which minian's ``visualize_motion`` and
            ``apply_transform`` take; ``quality_...`` (frame); ``template...`` (height, width). What
            is no array is in the attributes. Frames are numbered from 0. It has memory of its own.

        Raises
        ------
        ImportError
            Where xarray is missing.
        """
        from .io.extras import import_extra
        from .io.motion_file import attributes_of, variables_of

        xarray = import_extra("xarray", "MotionEstimate.to_xarray")
        dataset = xarray.Dataset(variables_of(self), attrs=attributes_of(self)).copy(deep=True)
        for name in {"motion", "quality_uncertainty"} & set(dataset):
            dataset[name].attrs["units"] = "px"
        return dataset

    def _similarity(self) -> str:
        good = ~self.quality.flagged
        before = self.quality.similarity_before[good].mean()
        return f"{before:.4f} -> {self.quality.similarity[good].mean():.4f}"

    def _reason(self) -> str | None:
        """Why correction does not help; None where it does."""
        before, after = self.crispness
        flagged = self.quality.flagged
        if 2 * flagged.sum() > len(flagged):
            name, flag = max(self.quality.flags.items(), key=lambda item: item[1].sum())
            return f"{flagged.sum()} of {len(flagged)} frames are flagged, {flag.sum()} as {name}"
        good = ~flagged
        spread = np.abs(self.shifts[good] - np.median(self.shifts[good], axis=0)).max()
        if spread < _LEAST_MOTION:
            return f"no frame moves by {_LEAST_MOTION} px or more"
        if after <= before:
            return "the mean is no crisper"
        if self.quality.similarity[good].mean() < self.quality.similarity_before[good].mean():
            return f"frames are less alike, {self._similarity()}"
        return None

    def _repr_html_(self) -> str:
        from .report.html import motion_html

        return motion_html(self)

    def __repr__(self) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # all-NaN columns
            low, high = np.nanmin(self.shifts, axis=0), np.nanmax(self.shifts, axis=0)
        height, width = (f"{a:.2f} to {b:.2f}" for a, b in zip(low, high))
        flagged = "" if self.quality is None else f", {self.quality.flagged.sum()} flagged"
        return (
            f"<MotionEstimate: {len(self.shifts)} frames of "
            f"{self.template.shape[0]}x{self.template.shape[1]}, "
            f"height {height} px, width {width} px{flagged}>"
        )
