# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of images: means, maxima, and the worst frames."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from .drawing import FONT, GRID, IMAGE, WIDE, import_matplotlib, new_figure, small_text

_NO_PIXELS = "#F2EFE9"  # where an image has no values
_CONTRAST = (0.5, 99.8)  # percentiles that become black and white


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
) -> Any:
    """One image in grey, with the valid area drawn on it."""
    height, columns = image.shape
    # The page shows images side by side: text and frame take the rest of the width.
    tall = float(np.clip((width - 0.75) * height / columns, 0.6, 2.2 * width))
    figure = new_figure(width, tall + 0.5)
    draw_image(figure.subplots(), image, limits, valid)
    return figure


def draw_image(
    ax: Any,
    image: np.ndarray,
    limits: tuple[float, float],
    valid: tuple[slice, slice] | None = None,
) -> None:
    """An image with its axes."""
    _show(ax, image, limits, signed=False)
    if valid is not None:
        _draw_valid(ax, valid)
    ax.set_xlabel("column [px]")
    ax.set_ylabel("row [px]")
    ax.spines[:].set_color(GRID)
    small_text(ax)
    ax.locator_params(nbins=5, integer=True, min_n_ticks=1)


def _draw_valid(ax: Any, valid: tuple[slice, slice]) -> None:
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
    figure = new_figure(width, len(items) * (side * height / columns + 0.3) + 0.3)
    axes = figure.subplots(len(items), 3, squeeze=False)
    for row, item in zip(axes, items):
        for ax, image, signed in zip(
            row, (item.before, item.after, item.difference), (False, False, True)
        ):
            _show(ax, image, (-most, most) if signed else limits, signed)
            ax.set_xticks([])
            ax.set_yticks([])
        names = ", ".join(item.flags).replace("_", " ") or "no flag"
        row[0].set_title(f"frame {item.frame}: {names}", loc="left", fontsize=FONT)
        row[1].set_title("moved", loc="left", fontsize=FONT)
        row[2].set_title("less the template", loc="left", fontsize=FONT)
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
