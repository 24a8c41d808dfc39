# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates that programs are given, or that are made for those that have none of their own."""

from __future__ import annotations

import numpy as np

TEMPLATE_FRAMES = 100  # whose mean is the best template


def best_template(movie: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """The mean of frames moved back by the known motion: the best template there is.

    Parameters
    ----------
    movie : ndarray, shape (frame, height, width)
    displacement : ndarray, shape (frame, 2)
        Motion of the scene [px].

    Returns
    -------
    ndarray of float, shape (height, width)
        Of as many frames as there are, but no more than ``TEMPLATE_FRAMES``.
    """
    import stillscope

    count = min(len(movie), TEMPLATE_FRAMES)
    some = np.linspace(0, len(movie) - 1, count).astype(int)
    frames = movie[some].astype(np.float32)
    still = stillscope.apply_motion(frames, -displacement[some], fill=np.nan, n_threads=1)
    # Where no frame reaches, the mean of all.
    return np.nan_to_num(np.nanmean(still, axis=0), nan=frames.mean())


def mean_template(movie: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """The mean of frames moved by their shifts, bilinearly, with nothing but NumPy.

    Parameters
    ----------
    movie : ndarray, shape (frame, height, width)
    shifts : ndarray, shape (frame, 2)
        The correction [px].

    Returns
    -------
    ndarray of float32, shape (height, width)
        Where no frame reaches, the mean of all.
    """
    total = np.zeros(movie.shape[1:], np.float32)
    count = np.zeros(movie.shape[1:], np.float32)
    for frame, shift in zip(movie, shifts):
        to, moved = _moved(frame.astype(np.float32), shift)
        total[to] += moved
        count[to] += 1
    return np.where(count > 0, total / np.maximum(count, 1), movie.mean()).astype(np.float32)


def _moved(frame: np.ndarray, shift) -> tuple[tuple[slice, slice], np.ndarray]:
    """The frame moved, and the rows and columns on which it then lies whole."""
    to = []
    for axis, part in enumerate(shift):
        whole = int(np.floor(part))
        part = np.float32(part - whole)
        near = np.swapaxes(frame, 0, axis)
        mixed = (1 - part) * near[1:] + part * near[:-1]  # lies on rows whole + 1 and on
        size = len(near)
        first, last = max(0, whole + 1), max(0, min(size, size + whole))
        to.append(slice(first, last))
        frame = np.swapaxes(mixed[first - whole - 1 : last - whole - 1], 0, axis)
    return tuple(to), frame
