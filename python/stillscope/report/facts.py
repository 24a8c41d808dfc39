# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from a MotionEstimate alone."""

from __future__ import annotations

import warnings

import numpy as np

from ..filters import is_active
from ..result import MotionEstimate

STATUSES = ("helps", "does not help", "cannot be told")
_STILL = 0.05  # px: what an estimate makes of a scene that stands still


def flagged_frames(motion: MotionEstimate) -> np.ndarray:
    """bool, one a frame: those with any flag; without refinement, none."""
    if motion.quality is None:
        return np.zeros(len(motion.shifts), bool)
    return motion.quality.flagged


def used_frames(motion: MotionEstimate) -> np.ndarray:
    """bool, one a frame: all that have a shift and no flag; without any, all that have a shift."""
    has_shift = np.isfinite(motion.shifts).all(axis=1)
    good = has_shift & ~flagged_frames(motion)
    return good if good.any() else has_shift


def displacement_of(motion: MotionEstimate) -> np.ndarray:
    """float64, one a frame, px: how far from the median of those in use; NaN without a shift."""
    used = used_frames(motion)
    if not used.any():
        return np.full(len(motion.shifts), np.nan)
    return np.linalg.norm(motion.shifts - np.median(motion.shifts[used], axis=0), axis=1)


def valid_area(motion: MotionEstimate) -> tuple[slice, slice] | None:
    """Rows and columns where at least 95 % of the frames have pixels; None where there are none,
    or without refinement."""
    if motion.quality is None or any(part.start >= part.stop for part in motion.valid):
        return None
    return motion.valid


def is_still(motion: MotionEstimate) -> bool:
    """Whether no frame in use moves."""
    far = displacement_of(motion)[used_frames(motion)]
    return not far.size or float(far.max()) < _STILL


def is_filtered(motion: MotionEstimate) -> bool:
    """Whether the estimate looked at filtered frames."""
    return motion.filtering is not None and is_active(motion.filtering)


def crispness_of(motion: MotionEstimate) -> tuple[float, float] | None:
    """Of the mean before and after; None without refinement."""
    if motion.mean_before is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing: NaN
        return motion.crispness


def judge(motion: MotionEstimate) -> tuple[str, str]:
    """One of `STATUSES`, and the verdict in one sentence."""
    if motion.quality is None:
        return STATUSES[2], (
            "Whether correction helps cannot be told: with refine=0 nothing is known of single "
            "frames."
        )
    if not np.isfinite(crispness_of(motion)).all():
        return STATUSES[2], (
            "Whether correction helps cannot be told: the mean image has no finite pixel."
        )
    return STATUSES[0 if motion.helps else 1], motion.verdict
