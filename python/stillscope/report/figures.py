# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of a report, drawn with Matplotlib and without its global state.

Each function gives a Matplotlib Figure. ``width`` is in inches; text keeps its size, so that a
picture of 10.4 in suits a desktop's page and one of 3.7 in a phone's.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from ._atomic import write_bytes
from .envelope import envelope, thinned
from .words import ranges

WIDE, NARROW = 10.4, 3.75  # in: pages of a desktop and of a phone
IMAGE = 4.4  # in: an image that is shown on half of the first, and on all of the second
DPI = 160

# Told apart by colour-blind readers (Okabe and Ito).
BEFORE, AFTER, KNOWN = "#D55E00", "#0072B2", "#B5B5B5"
_INK, _GRID = "#333333", "#E5E5E5"
_FLAG_COLORS = {
    "black": "#000000", "flash": "#E69F00", "torn": "#D55E00", "non_finite": "#7F7F7F",
    "duplicate": "#56B4E9", "low_confidence": "#CC79A7", "at_limit": "#009E73",
    "not_converged": "#332288", "given": "#999933",
}  # fmt: skip
_NO_PIXELS = "#F2EFE9"  # where an image has no values
_LEAST_SPAN = 1.0  # px, of a shift axis, so that noise does not look like motion
_CONTRAST = (0.5, 99.8)  # percentiles that become black and white
_MOST_DOTS = 200  # interpolated frames that are drawn one by one
_FONT = 9  # pt


def import_matplotlib() -> Any:
    try:
        import matplotlib.figure
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise ImportError(
            'the report needs matplotlib: pip install "stillscope[report]"'
        ) from error
    return matplotlib.figure.Figure, FigureCanvasAgg


def _new(width: float, height: float) -> Any:
    figure_type, canvas = import_matplotlib()
    figure = figure_type(figsize=(width, height), layout="constrained", dpi=100)
    canvas(figure)
    return figure


def png(figure: Any, dpi: int = DPI) -> bytes:
    """The figure as a PNG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format="png", metadata={"Software": None})
    return buffer.getvalue()


# ---------------------------------------------------------------- traces


def shifts_figure(
    motion: Any, *, frame_rate: float | None = None, width: float = WIDE, truth: Any = None
) -> Any:
    """Shifts of every frame on both axes, and flagged frames in a lane of their own."""
    quality = motion.quality
    lanes = {} if quality is None else {n: f for n, f in quality.flags.items() if f.any()}
    if quality is not None and quality.interpolated.any():
        lanes["interpolated"] = quality.interpolated
    lane_height = 0.19 * len(lanes) + 0.1 if lanes else 0.0
    row = 1.55 if width > 6 else 1.35
    rows = 3 if lanes else 2
    figure = _new(width, 2 * row + lane_height + 0.75)
    axes = figure.subplots(
        rows, 1, sharex=True, squeeze=False,
        height_ratios=[row, row, lane_height] if lanes else [row, row],
    ).ravel()  # fmt: skip
    columns = _columns(width)
    for k, name in enumerate(("height", "width")):
        ax = axes[k]
        if truth is not None:
            _trace(ax, truth[:, k], columns, color=KNOWN, linewidth=4, label="known")
        _trace(ax, motion.shifts[:, k], columns, color=AFTER, label="estimated")
        if quality is not None and quality.interpolated.sum() <= _MOST_DOTS:
            at = np.flatnonzero(quality.interpolated)
            ax.plot(
                at, motion.shifts[at, k], "o", markersize=3.2, markerfacecolor="white",
                markeredgecolor=AFTER, markeredgewidth=0.9,
            )  # fmt: skip
        _least_span(ax, _LEAST_SPAN)
        ax.set_ylabel(f"{name} [px]")
        _plain_axes(ax)
    if truth is not None:
        axes[0].legend(loc="best", fontsize=_FONT - 1, frameon=False, ncols=2)
    if lanes:
        _draw_lanes(axes[2], lanes, columns)
        axes[2].tick_params(axis="y", length=0)
    _frames_axis(axes, len(motion.shifts), frame_rate)
    figure.align_ylabels(list(axes[:2]))
    return figure


def _draw_lanes(ax: Any, lanes: dict[str, np.ndarray], columns: int) -> None:
    frames = len(next(iter(lanes.values())))
    least = frames / columns * 2  # frames: what can be seen
    for row, (name, flag) in enumerate(lanes.items()):
        bars = []
        for first, last in ranges(thinned(flag, columns)):
            length = max(last - first + 1, least)
            bars.append(((first + last) / 2 - length / 2, length))
        color = _FLAG_COLORS.get(name, _INK)
        style = {"facecolors": color, "edgecolors": color, "linewidth": 0.2}
        if name == "interpolated":  # open, as the dots on the traces
            style = {"facecolors": "white", "edgecolors": AFTER, "linewidth": 0.8}
        ax.broken_barh(bars, (row - 0.36, 0.72), **style)
    _small_text(ax)
    ax.set_yticks(range(len(lanes)), [name.replace("_", " ") for name in lanes])
    ax.tick_params(axis="y", labelsize=_FONT - 1.5)
    ax.set_ylim(len(lanes) - 0.4, -0.6)
    ax.grid(True, axis="x", color=_GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)


def similarity_figure(summary: Any, *, width: float = WIDE) -> Any | None:
    """Similarity of every frame before and after; None without refinement."""
    quality = summary.motion.quality
    if quality is None:
        return None
    figure = _new(width, 2.45 if width > 6 else 2.3)
    ax = figure.subplots()
    columns = _columns(width)
    # A black or torn frame is like nothing: its drop would hide all others.
    left_out = summary.flagged if not summary.flagged.all() else np.zeros(summary.shape[0], bool)
    for values, color, name in (
        (quality.similarity_before, BEFORE, "before"),
        (quality.similarity, AFTER, "after"),
    ):
        _trace(ax, np.where(left_out, np.nan, values), columns, color=color, label=name)
    shown = np.r_[quality.similarity_before[~left_out], quality.similarity[~left_out]]
    _robust_limits(ax, shown[np.isfinite(shown)], most=1.0)
    ax.set_ylabel("similarity")
    _plain_axes(ax)
    _legend_above(ax, has_time=summary.frame_rate is not None)
    _frames_axis([ax], summary.shape[0], summary.frame_rate)
    return figure


def residual_figure(summary: Any, *, width: float = WIDE) -> Any | None:
    """Motion by optical flow, of the sample; None where it was not measured."""
    residual = summary.residual
    if residual is None or not np.isfinite(np.r_[residual.before, residual.after]).any():
        return None
    figure = _new(width, 2.45 if width > 6 else 2.3)
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
    _plain_axes(ax)
    _legend_above(ax, has_time=summary.frame_rate is not None)
    _frames_axis([ax], summary.shape[0], summary.frame_rate)
    return figure


# ---------------------------------------------------------------- distributions


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
    figure = _new(width, 2.3)
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
        ax.axvline(middle, color=_INK, linewidth=1, linestyle=(0, (4, 2)))
        text = f"dashed: median {middle:.3g}"
        beyond = int(((values > high) | (values < low)).sum())
        if beyond:
            text += f"; {beyond:,} beyond, in the outer bars"
        ax.set_title(text, loc="left", fontsize=_FONT - 0.5, color=_INK)
        ax.set_xlim(low, high)
    else:
        _nothing(ax)
    ax.set_xlabel(label)
    ax.set_ylabel("frames")
    ax.locator_params(axis="y", integer=True, nbins=5)
    ax.locator_params(axis="x", nbins=6)
    _plain_axes(ax)
    return figure


# ---------------------------------------------------------------- images


def limits_of(*images: np.ndarray) -> tuple[float, float]:
    """Grey levels that become black and white, common to these images."""
    known = np.concatenate([image[np.isfinite(image)].ravel() for image in images])
    if not known.size:
        return 0.0, 1.0
    low, high = np.percentile(known, _CONTRAST)
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(low) + 0.5)


def image_figure(
    image: np.ndarray,
    *,
    limits: tuple[float, float],
    valid: tuple[slice, slice] | None = None,
    width: float = IMAGE,
    signed: bool = False,
) -> Any:
    """One image in grey, with the valid area drawn on it."""
    height, columns = image.shape
    # The page shows images side by side: text and frame take the rest of the width.
    tall = float(np.clip((width - 0.75) * height / columns, 0.6, 2.2 * width))
    figure = _new(width, tall + 0.5)
    ax = figure.subplots()
    _show(ax, image, limits, signed)
    if valid is not None:
        draw_valid(ax, valid)
    ax.set_xlabel("column [px]")
    ax.set_ylabel("row [px]")
    ax.spines[:].set_color(_GRID)
    _small_text(ax)
    ax.locator_params(nbins=5, integer=True, min_n_ticks=1)
    return figure


def draw_valid(ax: Any, valid: tuple[slice, slice]) -> None:
    """The rectangle where nearly all frames have pixels."""
    from matplotlib.patches import Rectangle

    rows, columns = valid
    corner, sides = (columns.start - 0.5, rows.start - 0.5), (
        columns.stop - columns.start, rows.stop - rows.start,
    )  # fmt: skip
    # White on black can be seen on every grey.
    for color, line, style in (("black", 1.6, "-"), ("white", 0.9, (0, (4, 3)))):
        ax.add_patch(
            Rectangle(corner, *sides, fill=False, edgecolor=color, linewidth=line, linestyle=style)
        )


def thumbnail_png(image: np.ndarray, limits: tuple[float, float], *, signed: bool = False) -> bytes:
    """A small image alone, without axes."""
    import_matplotlib()
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    shade = _colors(signed)(_scaled(image, limits), bytes=True)
    imsave(buffer, shade, format="png", metadata={"Software": None})
    return buffer.getvalue()


def thumbnail_limits(worst: tuple[Any, ...]) -> tuple[tuple[float, float], float]:
    """Grey levels of frames, and the largest difference that is shown, common to all of these."""
    frames = [image for item in worst for image in (item.before, item.after)]
    differences = [np.abs(item.difference) for item in worst]
    known = np.concatenate([d[np.isfinite(d)].ravel() for d in differences] or [np.zeros(0)])
    most = float(np.percentile(known, 98)) if known.size else 0.0
    # The median over frames, so that a black or a flashing one does not set what is black or white.
    each = [limits_of(image) for image in frames]
    low, high = (float(v) for v in np.median(each, axis=0)) if each else (0.0, 1.0)
    return (low, high if high > low else low + 1.0), most if most > 0 else 1.0


def worst_figure(summary: Any, *, width: float = WIDE) -> Any | None:
    """The worst frames: as they are, moved, and less the template. None without any."""
    items = summary.worst
    if not items:
        return None
    limits, most = thumbnail_limits(items)
    height, columns = items[0].before.shape
    side = width / 3
    figure = _new(width, len(items) * (side * height / columns + 0.3) + 0.3)
    axes = figure.subplots(len(items), 3, squeeze=False)
    for row, item in zip(axes, items):
        for ax, image, signed in zip(
            row, (item.before, item.after, item.difference), (False, False, True)
        ):
            _show(ax, image, (-most, most) if signed else limits, signed)
            ax.set_xticks([])
            ax.set_yticks([])
        names = ", ".join(item.flags).replace("_", " ") or "no flag"
        row[0].set_title(f"frame {item.frame}: {names}", loc="left", fontsize=_FONT)
        row[1].set_title("moved", loc="left", fontsize=_FONT)
        row[2].set_title("less the template", loc="left", fontsize=_FONT)
    return figure


def _show(ax: Any, image: np.ndarray, limits: tuple[float, float], signed: bool) -> None:
    ax.imshow(
        image, cmap=_colors(signed), vmin=limits[0], vmax=limits[1], interpolation="antialiased"
    )


def _scaled(image: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    low, high = limits
    with np.errstate(invalid="ignore"):
        scaled = np.clip((image - low) / (high - low), 0, 1)
    return np.ma.masked_invalid(scaled)


def _colors(signed: bool) -> Any:
    import matplotlib

    return matplotlib.colormaps["RdBu_r" if signed else "gray"].with_extremes(bad=_NO_PIXELS)


# ---------------------------------------------------------------- what they share


def _columns(width: float) -> int:
    """Points that are worth drawing on this width."""
    return int(width * DPI)


def _trace(ax: Any, values: np.ndarray, columns: int, **style: Any) -> None:
    style = {"linewidth": 1.0, "solid_joinstyle": "round", **style}
    x, y = envelope(values, columns)
    if np.isfinite(y).sum() <= 1:
        style["marker"] = "o"  # a line through one frame is invisible
    ax.plot(x, y, **style)


def _least_span(ax: Any, least: float) -> None:
    low, high = ax.get_ylim()
    short = max(0.0, least - (high - low)) / 2
    ax.set_ylim(low - short, high + short)


def _robust_limits(ax: Any, values: np.ndarray, most: float) -> None:
    """Limits that a handful of frames do not set."""
    if not values.size:
        return
    low, high = np.percentile(values, (0.1, 100))
    room = max(0.08 * (high - low), 1e-4)
    ax.set_ylim(low - room, min(high + room, most + 0.1 * room))


def _legend_above(ax: Any, *, has_time: bool) -> None:
    """Where it can't cover a trace: on the line of the time axis's label where there is one."""
    legend = ax.legend(
        loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=1.5 if has_time else 0.1, ncols=2,
        frameon=False, fontsize=_FONT, handlelength=1.4, columnspacing=1.2,
    )  # fmt: skip
    for handle in legend.legend_handles:
        handle.set_linewidth(2)
        handle.set_markersize(5)


def _frames_axis(axes: Any, frames: int, frame_rate: float | None) -> None:
    bottom = axes[-1]
    bottom.set_xlim(-0.5, frames - 0.5)
    bottom.locator_params(axis="x", integer=True, min_n_ticks=1, nbins=8)
    bottom.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    bottom.set_xlabel("frame", fontsize=_FONT)
    if not frame_rate or not any(ax.get_ylabel() for ax in axes):
        return
    # Minutes from ten minutes on, which people count in.
    unit, seconds = ("min", 60.0) if frames / frame_rate >= 600 else ("s", 1.0)
    scale = frame_rate * seconds
    top = axes[0].secondary_xaxis(
        "top", functions=(lambda frame: frame / scale, lambda time: time * scale)
    )
    top.set_xlabel(f"time [{unit}]", fontsize=_FONT, loc="left")
    top.tick_params(labelsize=_FONT - 1, length=2.5, color=_INK)
    top.spines["top"].set_color(_GRID)


def _plain_axes(ax: Any) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color=_GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    _small_text(ax)


def _small_text(ax: Any) -> None:
    ax.tick_params(labelsize=_FONT - 1, length=2.5, color=_INK)
    ax.xaxis.label.set_size(_FONT)
    ax.yaxis.label.set_size(_FONT)


def _nothing(ax: Any) -> None:
    ax.text(0.5, 0.5, "no frame", transform=ax.transAxes, ha="center", va="center", color=_INK)


# ---------------------------------------------------------------- files


def all_figures(summary: Any, width: float = WIDE) -> dict[str, Any]:
    """Every figure that there is, by name. ``width`` in inches."""
    half = width / 2 if width > 6 else width
    figures = {
        "shifts": shifts_figure(summary.motion, frame_rate=summary.frame_rate, width=width),
        "similarity": similarity_figure(summary, width=width),
        "residual": residual_figure(summary, width=width),
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
    """
    folder = Path(folder)
    figures = all_figures(summary) | all_images(summary)
    worst = worst_figure(summary)
    if worst is not None:
        figures["worst"] = worst
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in figures.items():
        written.append(folder / f"{name}.png")
        write_bytes(written[-1], png(figure))
    return written
