# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of fields: where a frame is pushed, how much when, and where nobody can tell."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .. import _check
from ..io.durable import checked_path, replacing
from ..result import MotionEstimate
from .drawing import AFTER, BEFORE, KNOWN, WIDE, columns_of, new_figure, trace

_ARROWS = 16  # along the longer side
_LEAST_SIZE = 0.1  # px: the shortest top of the colours and of the plot of sizes
_SIDE_BY_SIDE = 8.0  # in: narrower figures have their parts below each other


def deformation_figure(
    motion: MotionEstimate, frame: int | None = None, *, width: float = WIDE
) -> Any:
    """A frame's field, the size of all frames' fields, and their uncertainty.

    Parameters
    ----------
    motion : MotionEstimate
        Of `stillscope.estimate_motion` with ``nonrigid``.
    frame : int or None
        The frame whose field is drawn, less its shift; None: the one that deforms most.
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        Where the estimate is none, has no fields or no such frame.
    ImportError
        If Matplotlib is missing.
    """
    deformation = _check.of_type(motion, "motion", MotionEstimate).deformation
    if deformation is None:
        raise ValueError("motion: expected an estimate with nonrigid=True, got one without")
    frames = len(motion.shifts)
    if frame is None:
        frame = int(np.argmax(deformation.frame_size))
    frame = _check.integer(frame, "frame", -frames)
    if frame >= frames:
        raise ValueError(f"frame: expected an index of {frames} frames, got {frame}")
    is_wide = width >= _SIDE_BY_SIDE
    figure = new_figure(width, 0.36 * width if is_wide else 2.5 * width)
    field, size, error = figure.subplots(*((1, 3) if is_wide else (3, 1)))
    _draw_field(figure, field, motion, frame % frames)
    _draw_sizes(size, deformation, frame % frames, columns_of(width / 3 if is_wide else width))
    _draw_uncertainty(figure, error, deformation)
    return figure


def plot_deformation(
    path: str | os.PathLike, motion: MotionEstimate, frame: int | None = None
) -> None:
    """Write `deformation_figure` to a file; the suffix is its format."""
    path = checked_path(path)
    figure = deformation_figure(motion, frame)
    if path.suffix[1:].lower() not in figure.canvas.get_supported_filetypes():
        raise ValueError(f"path: expected a suffix that Matplotlib knows, got {path}")
    with replacing(path) as new:
        figure.savefig(new, dpi=110)


def _draw_field(figure: Any, axes: Any, motion: MotionEstimate, frame: int) -> None:
    height, width = motion.deformation.frame_shape
    step = max(height, width) / _ARROWS
    y, x = np.arange(step / 2, height, step), np.arange(step / 2, width, step)
    local = motion.field(y, x)[frame] - motion.shifts[frame]
    length = np.hypot(local[..., 0], local[..., 1])
    top = max(float(length.max()), _LEAST_SIZE)
    template = motion.template
    low, high = np.nanpercentile(template, (0.5, 99.5))
    axes.imshow(template, cmap="gray", vmin=low, vmax=high)
    # Image axes point down, and so do corrections.
    arrows = axes.quiver(
        x, y, local[..., 1], local[..., 0], length, angles="xy", scale_units="xy",
        scale=top / step, cmap="plasma", clim=(0, top), width=0.004,
    )  # fmt: skip
    figure.colorbar(arrows, ax=axes, label="correction beyond the shift [px]", shrink=0.8)
    axes.set_title(f"frame {frame}; arrows up to {top:.2g} px")
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_sizes(axes: Any, deformation: Any, frame: int, columns: int) -> None:
    trace(axes, deformation.frame_size, columns, color=AFTER)
    axes.plot(frame, deformation.frame_size[frame], "o", color=BEFORE, markersize=4)
    bad = np.flatnonzero(deformation.interpolated)
    axes.plot(bad, deformation.frame_size[bad], "x", color=KNOWN, markersize=4)
    axes.set_ylim(0, 1.1 * max(float(deformation.frame_size.max()), _LEAST_SIZE))
    axes.set_xlabel("frame")
    axes.set_ylabel("root mean square of the field [px]")
    axes.set_title("size of the deformation (x: interpolated)")


def _draw_uncertainty(figure: Any, axes: Any, deformation: Any) -> None:
    rows, columns = deformation.corners
    mesh = axes.pcolormesh(columns, rows, deformation.uncertainty, shading="nearest", cmap="viridis")
    axes.invert_yaxis()
    axes.set_aspect("equal")
    figure.colorbar(mesh, ax=axes, label="standard error [px]", shrink=0.8)
    axes.set_title("uncertainty")
