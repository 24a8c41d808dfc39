# SPDX-License-Identifier: GPL-3.0-or-later
"""Traces of very many frames, by as many points as can be seen."""

from __future__ import annotations

import numpy as np


def envelope(values: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and values that look like the whole trace on so many columns of pixels.

    Where there are more than two values a column, each gives its least and its largest, in their
    order: a spike of one frame stays to be seen.

    Parameters
    ----------
    values : numpy.ndarray
        One a frame; NaN is a gap where a whole column is NaN.
    columns : int

    Returns
    -------
    x, y : numpy.ndarray
        float64: frames and values.
    """
    values = np.asarray(values, np.float64)
    frames = len(values)
    if frames <= 2 * columns:
        return np.arange(frames, dtype=np.float64), values
    edges = np.linspace(0, frames, columns + 1).astype(int)
    column = np.repeat(np.arange(columns), np.diff(edges))
    finite = np.isfinite(values)
    low, high = (
        _extreme(np.where(finite, values, -sign * np.inf), edges, column, sign) for sign in (-1, 1)
    )
    at = np.sort(np.stack([low, high], axis=1), axis=1).ravel()
    return at.astype(np.float64), values[at]


def _extreme(values: np.ndarray, edges: np.ndarray, column: np.ndarray, sign: int) -> np.ndarray:
    """Index of the first least (-1) or largest (1) value of each column."""
    reduce = np.maximum if sign > 0 else np.minimum
    best = reduce.reduceat(values, edges[:-1])
    hits = np.flatnonzero(values == best[column])
    return hits[np.searchsorted(hits, edges[:-1])]


def thinned(flag: np.ndarray, columns: int) -> np.ndarray:
    """The same flags, where runs that can't be told apart on so many columns are joined."""
    flag = np.asarray(flag, bool)
    frames = len(flag)
    if frames <= columns:
        return flag
    edges = np.linspace(0, frames, columns + 1).astype(int)
    some = np.logical_or.reduceat(flag, edges[:-1])
    return np.repeat(some, np.diff(edges))
