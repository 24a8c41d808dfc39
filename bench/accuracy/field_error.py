# SPDX-License-Identifier: GPL-3.0-or-later
"""How far fields are from the known deformation of a movie."""

from __future__ import annotations

import numpy as np

LATTICE_PX = 16  # the true displacement is kept at one position in so many, along each axis
_BORDER_PX = 64  # what moves in and out of the frame is no part of the error
_ROUNDS = 8  # of the fixed point: a field changes by far less than its own length in that length


def lattice(extent: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns [px] at which the true displacement of frames (height, width) is kept."""
    return tuple(np.arange(0, size, LATTICE_PX) for size in extent)


def positions(extent: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Those of them, in the template, at which fields are compared: not near the border."""
    return tuple(
        at[(at >= _BORDER_PX) & (at < size - _BORDER_PX)]
        for at, size in zip(lattice(extent), extent)
    )


def of_template(displacement: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The motion of what lies at positions of the template, rather than of the frame.

    Where the content that the frame shows at ``p`` has moved by ``D(p)``, that which lies at ``q``
    in the template has moved by ``U(q) = D(q + U(q))``.

    Parameters
    ----------
    displacement : ndarray, shape (frame, lattice row, lattice column, 2)
        ``D``, (height, width) [px].
    y, x : ndarray
        Rows and columns of the template [px].

    Returns
    -------
    ndarray, shape (frame, len(y), len(x), 2)
        ``U``, (height, width) [px].
    """
    from scipy import ndimage

    at = np.stack(np.meshgrid(y, x, indexing="ij"))
    found = []
    for frame in np.moveaxis(displacement.astype(float), -1, 1):
        moved = np.zeros(at.shape)
        for _ in range(_ROUNDS):
            where = (at + moved) / LATTICE_PX  # cubic: linear would be off by 0.001 px
            moved = np.stack([ndimage.map_coordinates(d, where, mode="nearest") for d in frame])
        found.append(np.moveaxis(moved, 0, -1))
    return np.stack(found)


def field_error_px(field: np.ndarray, motion: np.ndarray) -> dict:
    """RMS errors [px] of corrections against the motion of the template's content.

    Parameters
    ----------
    field : ndarray, shape (frame, row, column, 2)
        Corrections, to be added to the content's position [px].
    motion : ndarray, shape (frame, row, column, 2)
        As :func:`of_template` gives it.

    Returns
    -------
    dict
        ``total``, with the mean over time of each position removed, since the template's own shape
        is free; ``local``, with each frame's mean removed as well, which is what no shift can mend.
    """
    error = field + motion
    error = error - error.mean(axis=0)
    local = error - error.mean(axis=(1, 2), keepdims=True)
    return {"total": _rms(error), "local": _rms(local)}


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
