# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to apply shifts to a movie, each into a buffer that exists: one small function each.

Called with the movie, the shifts and the buffer before the clock starts; returns what is timed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Run = Callable[[], None]


def ours(movie: np.ndarray, shifts: np.ndarray, out: np.ndarray) -> Run:
    """Our own function on the whole movie."""
    import stillscope

    return lambda: stillscope.apply_motion(movie, shifts, fill=0, out=out, n_threads=1)


def our_frames(movie: np.ndarray, shifts: np.ndarray, out: np.ndarray) -> Run:
    """The drop-in, frame by frame."""
    from stillscope.motion_correction import transform_perframe

    return _frame_by_frame(transform_perframe, movie, shifts, out)


def minian_frames(movie: np.ndarray, shifts: np.ndarray, out: np.ndarray) -> Run:
    """minian, frame by frame."""
    from minian.motion_correction import transform_perframe

    return _frame_by_frame(transform_perframe, movie, shifts, out)


def _frame_by_frame(transform: Callable, movie, shifts, out) -> Run:
    def run():
        for target, frame, shift in zip(out, movie, shifts):
            target[:] = transform(frame, shift)

    return run


def opencv(movie: np.ndarray, shifts: np.ndarray, out: np.ndarray) -> Run:
    """OpenCV's warp straight into the buffer, in a loop."""
    import cv2

    cv2.setNumThreads(1)
    size = movie.shape[:0:-1]

    def run():
        for target, frame, (y, x) in zip(out, movie, shifts):
            cv2.warpAffine(frame, np.array([[1.0, 0.0, x], [0.0, 1.0, y]]), size, target)

    return run


def difference(movie, shifts, out, frames: int) -> float:
    """Mean absolute difference [grey levels] of some frames from a plain bilinear translation.

    The edges, where frames blend with what lies outside, are left out.
    """
    edge = int(np.ceil(np.abs(shifts).max())) + 1
    inside = slice(edge, -edge)
    total = 0.0
    for k in np.linspace(0, len(movie) - 1, frames).astype(int):
        wanted = movie[k].astype(float)
        for axis in (0, 1):
            whole = int(np.floor(shifts[k, axis]))
            part = shifts[k, axis] - whole
            near = np.roll(wanted, whole, axis)
            wanted = (1 - part) * near + part * np.roll(near, 1, axis)
        total += np.abs(out[k].astype(float) - wanted)[inside, inside].mean()
    return float(total / frames)
