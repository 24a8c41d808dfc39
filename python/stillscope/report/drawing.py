# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pictures share: Matplotlib without its global state, colours, axes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from ..io.extras import import_extra
from .envelope import envelope

WIDE, NARROW = 10.4, 3.75  # in: pages of a desktop and of a phone
IMAGE = 4.4  # in: an image that is shown on half of the first, and on all of the second
DPI = 160

# Told apart by colour-blind readers (Okabe and Ito).
BEFORE, AFTER, KNOWN = "#D55E00", "#0072B2", "#B5B5B5"
INK, GRID = "#333333", "#E5E5E5"
FONT = 9  # pt


def import_matplotlib() -> Any:
    import_extra("matplotlib", "the report")
    import matplotlib.figure
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    return matplotlib.figure.Figure, FigureCanvasAgg


def new_figure(width: float, height: float) -> Any:
    figure_type, canvas = import_matplotlib()
    figure = figure_type(figsize=(width, height), layout="constrained", dpi=100)
    canvas(figure)
    return figure


def png(figure: Any, dpi: int = DPI) -> bytes:
    """The figure as a PNG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format="png", metadata={"Software": None})
    return buffer.getvalue()


def columns_of(width: float) -> int:
    """Points that are worth drawing on this width."""
    return int(width * DPI)


def trace(ax: Any, values: np.ndarray, columns: int, **style: Any) -> None:
    style = {"linewidth": 1.0, "solid_joinstyle": "round", **style}
    x, y = envelope(values, columns)
    if np.isfinite(y).sum() <= 1:
        style["marker"] = "o"  # a line through one frame is invisible
    ax.plot(x, y, **style)


def least_span(ax: Any, least: float) -> None:
    low, high = ax.get_ylim()
    short = max(0.0, least - (high - low)) / 2
    ax.set_ylim(low - short, high + short)


def robust_limits(ax: Any, values: np.ndarray, most: float) -> None:
    """Limits that a handful of frames do not set."""
    if not values.size:
        return
    low, high = np.percentile(values, (0.1, 100))
    room = max(0.08 * (high - low), 1e-4)
    ax.set_ylim(low - room, min(high + room, most + 0.1 * room))


def legend_above(ax: Any, *, has_time: bool) -> None:
    """Where it can't cover a trace: on the line of the time axis's label where there is one."""
    legend = ax.legend(
        loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=1.5 if has_time else 0.1, ncols=2,
        frameon=False, fontsize=FONT, handlelength=1.4, columnspacing=1.2,
    )  # fmt: skip
    for handle in legend.legend_handles:
        handle.set_linewidth(2)
        handle.set_markersize(5)


def frames_axis(axes: Any, frames: int, frame_rate: float | None) -> None:
    bottom = axes[-1]
    bottom.set_xlim(-0.5, frames - 0.5)
    bottom.locator_params(axis="x", integer=True, min_n_ticks=1, nbins=8)
    bottom.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    bottom.set_xlabel("frame", fontsize=FONT)
    if not frame_rate or not any(ax.get_ylabel() for ax in axes):
        return
    # Minutes from ten minutes on, which people count in.
    unit, seconds = ("min", 60.0) if frames / frame_rate >= 600 else ("s", 1.0)
    scale = frame_rate * seconds
    top = axes[0].secondary_xaxis(
        "top", functions=(lambda frame: frame / scale, lambda time: time * scale)
    )
    top.set_xlabel(f"time [{unit}]", fontsize=FONT, loc="left")
    top.tick_params(labelsize=FONT - 1, length=2.5, color=INK)
    top.spines["top"].set_color(GRID)


def plain_axes(ax: Any) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    small_text(ax)


def small_text(ax: Any) -> None:
    ax.tick_params(labelsize=FONT - 1, length=2.5, color=INK)
    ax.xaxis.label.set_size(FONT)
    ax.yaxis.label.set_size(FONT)


def nothing(ax: Any) -> None:
    ax.text(0.5, 0.5, "no frame", transform=ax.transAxes, ha="center", va="center", color=INK)
