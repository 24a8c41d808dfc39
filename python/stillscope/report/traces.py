# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of values of every frame: traces, flags and distributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .drawing import (
    AFTER,
    BEFORE,
    FONT,
    GRID,
    INK,
    KNOWN,
    WIDE,
    columns_of,
    frames_axis,
    least_span,
    legend_above,
    new_figure,
    nothing,
    plain_axes,
    robust_limits,
    small_text,
    trace,
)
from .envelope import thinned
from .words import ranges

_FLAG_COLORS = {
    "black": "#000000", "flash": "#E69F00", "torn": "#D55E00", "non_finite": "#7F7F7F",
    "duplicate": "#56B4E9", "low_confidence": "#CC79A7", "at_limit": "#009E73",
    "not_converged": "#332288", "given": "#999933",
}  # fmt: skip
_LEAST_SPAN = 1.0  # px, of a shift axis, so that noise does not look like motion
_MOST_DOTS = 200  # interpolated frames that are drawn one by one


def shifts_figure(motion: Any, *, frame_rate: float | None = None, width: float = WIDE) -> Any:
    """Shifts of every frame on both axes, and flagged frames in a lane of their own."""
    quality = motion.quality
    lanes = {} if quality is None else {n: f for n, f in quality.flags.items() if f.any()}
    if quality is not None and quality.interpolated.any():
        lanes["interpolated"] = quality.interpolated
    lane_height = 0.19 * len(lanes) + 0.1 if lanes else 0.0
    row = 1.55 if width > 6 else 1.35
    rows = 3 if lanes else 2
    figure = new_figure(width, 2 * row + lane_height + 0.75)
    axes = figure.subplots(
        rows, 1, sharex=True, squeeze=False,
        height_ratios=[row, row, lane_height] if lanes else [row, row],
    ).ravel()  # fmt: skip
    columns = columns_of(width)
    for axis, ax in enumerate(axes[:2]):
        draw_shifts(ax, motion, axis, columns)
    if lanes:
        _draw_lanes(axes[2], lanes, columns)
        axes[2].tick_params(axis="y", length=0)
    frames_axis(axes, len(motion.shifts), frame_rate)
    figure.align_ylabels(list(axes[:2]))
    return figure


def draw_shifts(
    ax: Any, motion: Any, axis: int, columns: int, truth: np.ndarray | None = None
) -> None:
    """Shifts on one axis, over the known ones where there are any."""
    if truth is not None:
        trace(ax, truth[:, axis], columns, color=KNOWN, linewidth=4, label="known motion, negated")
    trace(ax, motion.shifts[:, axis], columns, color=AFTER, label="estimated")
    if motion.quality is not None and motion.quality.interpolated.sum() <= _MOST_DOTS:
        at = np.flatnonzero(motion.quality.interpolated)
        ax.plot(
            at, motion.shifts[at, axis], "o", markersize=3.2, markerfacecolor="white",
            markeredgecolor=AFTER, markeredgewidth=0.9,
        )  # fmt: skip
    least_span(ax, _LEAST_SPAN)
    ax.set_ylabel(f"{('height', 'width')[axis]} [px]")
    plain_axes(ax)


def _draw_lanes(ax: Any, lanes: dict[str, np.ndarray], columns: int) -> None:
    frames = len(next(iter(lanes.values())))
    least = frames / columns * 2  # frames: what can be seen
    for row, (name, flag) in enumerate(lanes.items()):
        bars = []
        for first, last in ranges(thinned(flag, columns)):
            length = max(last - first + 1, least)
            bars.append(((first + last) / 2 - length / 2, length))
        color = _FLAG_COLORS.get(name, INK)
        style = {"facecolors": color, "edgecolors": color, "linewidth": 0.2}
        if name == "interpolated":  # open, as the dots on the traces
            style = {"facecolors": "white", "edgecolors": AFTER, "linewidth": 0.8}
        ax.broken_barh(bars, (row - 0.36, 0.72), **style)
    small_text(ax)
    ax.set_yticks(range(len(lanes)), [name.replace("_", " ") for name in lanes])
    ax.tick_params(axis="y", labelsize=FONT - 1.5)
    ax.set_ylim(len(lanes) - 0.4, -0.6)
    ax.grid(True, axis="x", color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)


def similarity_figure(summary: Any, *, width: float = WIDE) -> Any | None:
    """Similarity of every frame before and after; None without refinement."""
    if summary.motion.quality is None:
        return None
    figure = new_figure(width, 2.45 if width > 6 else 2.3)
    ax = figure.subplots()
    draw_similarity(ax, summary.motion, columns_of(width))
    legend_above(ax, has_time=summary.frame_rate is not None)
    frames_axis([ax], summary.shape[0], summary.frame_rate)
    return figure


def draw_similarity(ax: Any, motion: Any, columns: int) -> None:
    """Similarity before and after, of a refined estimate."""
    quality, flagged = motion.quality, motion.quality.flagged
    # A black or torn frame is like nothing: its drop would hide all others.
    left_out = flagged if not flagged.all() else np.zeros(len(flagged), bool)
    for values, color, name in (
        (quality.similarity_before, BEFORE, "before"),
        (quality.similarity, AFTER, "after"),
    ):
        trace(ax, np.where(left_out, np.nan, values), columns, color=color, label=name)
    shown = np.r_[quality.similarity_before[~left_out], quality.similarity[~left_out]]
    robust_limits(ax, shown[np.isfinite(shown)], most=1.0)
    ax.set_ylabel("similarity")
    plain_axes(ax)


def residual_figure(summary: Any, *, width: float = WIDE) -> Any | None:
    """Motion by optical flow, of the sample; None where it was not measured."""
    residual = summary.residual
    if residual is None or not np.isfinite(np.r_[residual.before, residual.after]).any():
        return None
    figure = new_figure(width, 2.45 if width > 6 else 2.3)
    ax = figure.subplots()
    for values, color, name, marker in (
        (residual.before, BEFORE, "before", "s"),
        (residual.after, AFTER, "after", "o"),
    ):
        finite = np.isfinite(values)
        ax.plot(residual.frames[finite], values[finite], color=color, linewidth=0.7, alpha=0.45)
        ax.plot(
            residual.frames[finite], values[finite], marker, color=color, markersize=2.6,
            markeredgewidth=0, label=name,
        )  # fmt: skip
    ax.set_ylim(0, None)
    if ax.get_ylim()[1] < _LEAST_SPAN:
        ax.set_ylim(0, _LEAST_SPAN)
    ax.set_ylabel("motion [px]")
    plain_axes(ax)
    legend_above(ax, has_time=summary.frame_rate is not None)
    frames_axis([ax], summary.shape[0], summary.frame_rate)
    return figure


def displacement_figure(summary: Any, *, width: float = WIDE / 2) -> Any:
    """Histogram of how far frames lay from their median place."""
    far = summary.displacement[summary.used]
    return _histogram(far, "displacement [px]", BEFORE, width, span=(0.0, _LEAST_SPAN))


def uncertainty_figure(summary: Any, *, width: float = WIDE / 2) -> Any | None:
    """Histogram of the standard error of shifts; None without refinement."""
    quality = summary.motion.quality
    if quality is None:
        return None
    values = quality.uncertainty[~summary.flagged]
    return _histogram(values, "standard error of a shift [px]", AFTER, width, span=None)


def _histogram(
    values: np.ndarray, label: str, color: str, width: float, *, span: tuple[float, float] | None
) -> Any:
    """Bars from ``span[0]`` to at least ``span[1]``; None: where the values are."""
    figure = new_figure(width, 2.3)
    ax = figure.subplots()
    values = values[np.isfinite(values)]
    if values.size:
        # A few wild ones would press all others into one bar.
        low, high = np.percentile(values, (0.5, 99.5))
        if span is not None:
            low, high = span[0], max(high, span[1])
        elif high - low < 0.05 * high:  # alike: not drawn as if they were far apart
            low, high = low - 0.05 * high, high + 0.05 * high
        low, high = max(float(low), 0.0), float(high) if high > 0 else 1.0
        ax.hist(
            np.clip(values, low, high), bins=40, range=(low, high), color=color,
            edgecolor="white", linewidth=0.3,
        )  # fmt: skip
        middle = float(np.median(values))
        ax.axvline(middle, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        text = f"dashed: median {middle:.3g}"
        beyond = int(((values > high) | (values < low)).sum())
        if beyond:
            text += f"; {beyond:,} beyond, in the outer bars"
        ax.set_title(text, loc="left", fontsize=FONT - 0.5, color=INK)
        ax.set_xlim(low, high)
    else:
        nothing(ax)
    ax.set_xlabel(label)
    ax.set_ylabel("frames")
    ax.locator_params(axis="y", integer=True, nbins=5)
    ax.locator_params(axis="x", nbins=6)
    plain_axes(ax)
    return figure
