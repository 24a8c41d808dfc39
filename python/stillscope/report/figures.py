# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of a report.

Each function gives a Matplotlib Figure. ``width`` is in inches; text keeps its size, so that a
picture of 10.4 in suits a desktop's page and one of 3.75 in a phone's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from .. import _check
from ..io.durable import write_bytes
from .drawing import FONT, IMAGE, WIDE, columns_of, frames_axis, legend_above, new_figure, png
from .fields import deformation_figure
from .images import draw_image, image_figure, limits_of, worst_figure
from .summary import Summary
from .traces import (
    displacement_figure,
    draw_shifts,
    draw_similarity,
    residual_figure,
    shifts_figure,
    similarity_figure,
    uncertainty_figure,
)


def overview_figure(summary: Any, *, truth: Any = None, width: float = WIDE) -> Any:
    """Shifts, mean images and similarity in one picture.

    Parameters
    ----------
    summary : Summary
    truth : array_like or None
        ``(frame, 2)``, px: the ideal correction where it is known. It is drawn moved by one
        constant an axis, since where the scene comes to rest is free.
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        Where this is no summary, or ``truth`` is not one shift a frame.
    """
    _check.of_type(summary, "summary", Summary)
    motion, (frames, height, columns) = summary.motion, summary.shape
    if truth is not None:
        truth = _check.shift_rows(truth, "truth", frames)
        known = summary.used & np.isfinite(truth).all(axis=1)
        if known.any():
            truth = truth + (motion.shifts[known] - truth[known]).mean(axis=0)
    tall = float(np.clip(width / 2 * height / columns, 1.2, 8.0))
    rows = [["height"] * 2, ["width"] * 2, ["before", "after"], ["similarity"] * 2]
    heights = [1.6, 1.6, tall, 1.8]
    if motion.quality is None:
        rows, heights = rows[:-1], heights[:-1]
    figure = new_figure(width, sum(heights) + 1.6)
    axes = figure.subplot_mosaic(rows, height_ratios=heights)
    points = columns_of(width)
    for k, name in enumerate(("height", "width")):
        draw_shifts(axes[name], motion, k, points, truth)
    axes["height"].tick_params(labelbottom=False)
    if truth is not None:
        legend_above(axes["height"], has_time=False)
    frames_axis([axes["height"]], frames, None)
    axes["height"].set_xlabel("")
    frames_axis([axes["width"]], frames, None)
    limits = limits_of(summary.mean_before, summary.mean_after)
    for when, image in (("before", summary.mean_before), ("after", summary.mean_after)):
        draw_image(axes[when], image, limits, summary.valid)
        axes[when].set_title(f"Mean image {when}", loc="left", fontsize=FONT + 1)
    axes["height"].set_title("Shifts", loc="left", fontsize=FONT + 1)
    if motion.quality is not None:
        draw_similarity(axes["similarity"], motion, points)
        axes["similarity"].set_title(
            "Similarity of each frame to the mean image", loc="left", fontsize=FONT + 1
        )
        legend_above(axes["similarity"], has_time=False)
        frames_axis([axes["similarity"]], frames, None)
    return figure


def all_figures(summary: Any, width: float = WIDE) -> dict[str, Any]:
    """Every figure that there is, by name. ``width`` in inches."""
    half = width / 2 if width > 6 else width
    figures = {
        "shifts": shifts_figure(summary.motion, frame_rate=summary.frame_rate, width=width),
        "similarity": similarity_figure(summary, width=width),
        "residual": residual_figure(summary, width=width),
        "deformation": None
        if summary.motion.deformation is None
        else deformation_figure(summary.motion, width=width),
        "displacement": displacement_figure(summary, width=half),
        "uncertainty": uncertainty_figure(summary, width=half),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def all_images(summary: Any, width: float = IMAGE) -> dict[str, Any]:
    """Mean and maximum before and after, by name."""
    figures = {}
    for kind in ("mean", "max"):
        pair = getattr(summary, f"{kind}_before"), getattr(summary, f"{kind}_after")
        limits = limits_of(*pair)
        for image, when in zip(pair, ("before", "after")):
            figures[f"{kind}-{when}"] = image_figure(
                image, limits=limits, valid=summary.valid, width=width
            )
    return figures


def write_figures(folder: str | os.PathLike, summary: Any) -> list[Path]:
    """Write the pictures of a report as PNG files.

    Parameters
    ----------
    folder : path
        Made if missing; pictures that are there are replaced.
    summary : Summary

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    ImportError
        Where Matplotlib is missing.
    TypeError
        Where this is no summary.
    """
    folder = Path(folder)
    figures = {"overview": overview_figure(summary), **all_figures(summary), **all_images(summary)}
    worst = worst_figure(summary)
    if worst is not None:
        figures["worst"] = worst
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in figures.items():
        written.append(folder / f"{name}.png")
        write_bytes(written[-1], png(figure))
    return written
