# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..result import MotionEstimate
from .facts import displacement_of, flagged_frames, is_filtered, is_still, valid_area
from .table import Figure, figures_of, plain_figures
from .words import Advice, advice_for
from .worst import WorstFrame


class ResidualSample(NamedTuple):
    """Motion that is left, of some frames.

    Attributes
    ----------
    frames : numpy.ndarray
        int64, indices.
    before, after : numpy.ndarray
        float64, px: as `stillscope.residual_motion` of these frames.
    """

    frames: np.ndarray
    before: np.ndarray
    after: np.ndarray


@dataclass(frozen=True, eq=False)
class Summary:
    """What a correction did.

    Attributes
    ----------
    motion : MotionEstimate
    shape : (int, int, int)
        Frames, height and width of the movie.
    dtype : numpy.dtype
    status : str
        ``"helps"``, ``"does not help"`` or ``"cannot be told"``.
    verdict : str
        The same in one sentence, with the reason.
    mean_before, mean_after, max_before, max_after : numpy.ndarray
        float64 ``(height, width)``, over the frames in `used`; afterwards of the pixels that show a
        frame and nothing from outside it. NaN where there are none.
    used : numpy.ndarray
        bool, one a frame: those that these images show. All that have a shift and no flag; where
        there are none, all that have a shift.
    residual : ResidualSample or None
        Of `used` frames. None where there are none, or where they are smaller than 16 px.
    worst : tuple of WorstFrame
    crispness : (float, float)
        Before and after: ``motion.crispness``; without refinement, that of the mean images here.
    recording, parameters, timings : dict
        As given to `summarise`.
    outputs : dict
        As given to `summarise`.
    versions : dict of str to str
    date : str
        When this was made, ISO 8601.
    """

    motion: MotionEstimate
    shape: tuple[int, int, int]
    dtype: np.dtype
    status: str
    verdict: str
    mean_before: np.ndarray
    mean_after: np.ndarray
    max_before: np.ndarray
    max_after: np.ndarray
    used: np.ndarray
    residual: ResidualSample | None
    worst: tuple[WorstFrame, ...]
    crispness: tuple[float, float]
    recording: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""

    @property
    def frame_rate(self) -> float | None:
        """Frames per second, where the recording says it."""
        rate = self.recording.get("frame_rate")
        return float(rate) if rate and np.isfinite(rate) and rate > 0 else None

    @property
    def missing(self) -> list[tuple[Any, Any, str]]:
        """File, frame in it and reason of every frame that could not be read."""
        return [tuple(item) for item in self.recording.get("missing") or ()]

    @property
    def flag_counts(self) -> dict[str, int]:
        """Number of frames of every flag that occurs."""
        quality = self.motion.quality
        flags = {} if quality is None else quality.flags
        return {name: int(flag.sum()) for name, flag in flags.items() if flag.any()}

    @property
    def flagged(self) -> np.ndarray:
        """bool, one a frame: those with any flag; without refinement, none."""
        return flagged_frames(self.motion)

    @property
    def displacement(self) -> np.ndarray:
        """float64, one a frame, px: how far from the median of `used`; NaN without a shift."""
        return displacement_of(self.motion)

    @property
    def valid(self) -> tuple[slice, slice] | None:
        """Rows and columns where at least 95 % of the frames have pixels; None where there are
        none, or without refinement."""
        return valid_area(self.motion)

    @property
    def valid_share(self) -> float | None:
        """Area of `valid` over that of the frame."""
        if self.valid is None:
            return None
        sides = (part.stop - part.start for part in self.valid)
        return float(np.prod([side / size for side, size in zip(sides, self.shape[1:])]))

    @property
    def is_filtered(self) -> bool:
        """Whether the estimate looked at filtered frames."""
        return is_filtered(self.motion)

    @property
    def is_still(self) -> bool:
        """Whether no frame in use moves."""
        return is_still(self.motion)

    @property
    def advice(self) -> list[Advice]:
        """What to try, the most important first."""
        return advice_for(self)

    @property
    def figures(self) -> list[Figure]:
        """The table of figures."""
        return figures_of(self.motion, self.shape[1:], self.crispness, self.residual)

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain numbers, for JSON. What is not finite becomes None."""
        return plain_figures(self)

    def _repr_html_(self) -> str:
        from .html import summary_html

        return summary_html(self)

    def __repr__(self) -> str:
        frames, height, width = self.shape
        return f"<Summary: {frames} frames of {height}x{width}. {self.verdict}>"
