# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture that shows what a correction did (extra ``plot``: Matplotlib)."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

__all__ = ["Similarity", "plot_correction", "similarity"]

_BEFORE, _AFTER, _TRUTH = "#D55E00", "#0072B2", "#B5B5B5"  # told apart by colour-blind readers
_LEAST_SPAN = 1.0  # of a shift axis [px], so that noise does not look like motion
_CONTRAST = (0.5, 99.8)  # percentiles of the mean image that become black and white


class Similarity(NamedTuple):
    """A movie's mean image and how much each frame is like it.

    Attributes
    ----------
    mean : ndarray of float64, shape (height, width)
        Mean over all frames.
    correlation : ndarray of float64, shape (frame,)
        Pearson correlation of each frame with the mean image, inside the margin; NaN for a frame
        that is constant there.
    margin : tuple of int
        Rows and columns left out at each edge [px].
    """

    mean: np.ndarray
    correlation: np.ndarray
    margin: tuple[int, int]


def similarity(movie, shifts) -> Similarity:
    """Correlate each frame with the movie's mean image, away from the edges that shifts empty.

    Parameters
    ----------
    movie : ndarray, shape (frame, height, width)
        The movie before or after the correction, real numbers, at least one frame.
    shifts : array_like, shape (frame, 2)
        The correction (height, width) [px]. Its largest finite value along an axis is the margin
        left out there, but at most a quarter of the frame.

    Returns
    -------
    Similarity
        To compare with that of the other movie under the same shifts.

    Raises
    ------
    ValueError
        If the movie is not 3-D or empty, or the shifts do not fit it.
    """
    shifts = np.asarray(shifts, float)
    if movie.ndim != 3 or 0 in movie.shape:
        raise ValueError(f"movie: expected (frame, height, width), none 0, got {movie.shape}")
    _check_shape("shifts", shifts, (len(movie), 2))
    largest = np.ceil(np.abs(np.where(np.isfinite(shifts), shifts, 0)).max(axis=0))
    margin = tuple(int(min(m, n // 4)) for m, n in zip(largest, movie.shape[1:]))
    inside = tuple(slice(m, n - m) for m, n in zip(margin, movie.shape[1:]))

    mean = movie.mean(axis=0, dtype=np.float64)
    target = mean[inside] - mean[inside].mean()
    target_norm = np.linalg.norm(target)
    correlation = np.full(len(movie), np.nan)
    for k, frame in enumerate(movie):
        pixels = frame[inside] - frame[inside].mean(dtype=np.float64)
        norms = np.linalg.norm(pixels) * target_norm
        if norms > 0:
            correlation[k] = np.vdot(pixels, target) / norms
    return Similarity(mean, correlation, margin)


def plot_correction(path, shifts, before: Similarity, after: Similarity, *, truth=None) -> None:
    """Draw shift traces, mean images and frame correlations before and after, as one PNG.

    Parameters
    ----------
    path : path
        The picture to write; an existing file is replaced.
    shifts : array_like, shape (frame, 2)
        The correction (height, width) [px].
    before, after : Similarity
        Of the recording and of the corrected movie; see :func:`similarity`.
    truth : array_like, shape (frame, 2), optional
        The ideal correction where it is known [px]; drawn moved by one constant per axis so that
        its mean is that of the shifts.

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    ValueError
        If the arguments differ in their number of frames.
    """
    shifts = np.asarray(shifts, float)
    _check_shape("shifts", shifts, (len(before.correlation), 2))
    _check_shape("after.correlation", after.correlation, before.correlation.shape)
    if truth is not None:
        truth = np.asarray(truth, float)
        _check_shape("truth", truth, shifts.shape)
        finite = np.isfinite(shifts).all(axis=1) & np.isfinite(truth).all(axis=1)
        if finite.any():
            truth = truth + (shifts[finite] - truth[finite]).mean(axis=0)

    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('pictures need Matplotlib: pip install "stillscope[plot]"') from error

    height, width = before.mean.shape
    inches = 5.0  # width of one mean image
    image_inches = min(max(inches * height / width, 1.5), 8.0)
    figure = Figure(figsize=(2 * inches, image_inches + 6.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic(
        [["height"] * 2, ["width"] * 2, ["before", "after"], ["correlation"] * 2],
        height_ratios=[1.8, 1.8, image_inches, 1.8],
    )
    _draw_shifts(axes, shifts, truth)
    _draw_means(figure, axes, before, after)
    _draw_correlation(axes["correlation"], before, after)
    figure.align_ylabels([axes["height"], axes["width"], axes["correlation"]])
    figure.savefig(os.fspath(path), dpi=110, format="png")


def _draw_shifts(axes, shifts, truth):
    for k, axis in enumerate(("height", "width")):
        ax = axes[axis]
        if truth is not None:
            ax.plot(truth[:, k], color=_TRUTH, linewidth=4.5, label="known motion, negated")
        ax.plot(shifts[:, k], color=_AFTER, linewidth=1.1, **_dot(shifts), label="estimated")
        low, high = ax.get_ylim()
        short = max(0.0, _LEAST_SPAN - (high - low)) / 2
        ax.set_ylim(low - short, high + short)
        ax.set_ylabel(f"{axis} shift [px]")
        _frames_axis(ax, len(shifts))
    axes["height"].set_title("Correction: what is added to the position of the content", loc="left")
    if truth is not None:
        _legend_above(axes["height"])
    axes["height"].tick_params(labelbottom=False)
    axes["width"].set_xlabel("frame")


def _draw_means(figure, axes, before, after):
    rows, columns = (slice(m, n - m) for m, n in zip(before.margin, before.mean.shape))
    low, high = np.percentile(before.mean[rows, columns], _CONTRAST)
    for name, title in (("before", "Mean image before"), ("after", "Mean image after")):
        ax, mean = axes[name], (before if name == "before" else after).mean
        image = ax.imshow(mean, cmap="gray", vmin=low, vmax=high)
        ax.set_title(title, loc="left")
        ax.set_xlabel("column [px]")
    axes["before"].set_ylabel("row [px]")
    axes["after"].tick_params(labelleft=False)
    figure.colorbar(image, ax=axes["after"], label="mean grey level", fraction=0.05, pad=0.02)


def _draw_correlation(ax, before, after):
    for part, name, color in ((before, "before", _BEFORE), (after, "after", _AFTER)):
        known = part.correlation[np.isfinite(part.correlation)]
        mean = f"{known.mean():.4f}" if known.size else "none"
        ax.plot(
            part.correlation, color=color, linewidth=1.1, **_dot(part.correlation),
            label=f"{name} (mean {mean})",
        )  # fmt: skip
    ax.set_title("Similarity: correlation of each frame with the mean image", loc="left")
    ax.set_ylabel("correlation")
    ax.set_xlabel("frame")
    _frames_axis(ax, len(before.correlation))
    _legend_above(ax)


def _legend_above(ax):
    """The legend beside the title, where it can't cover a trace."""
    ax.legend(
        loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, ncols=2, frameon=False,
        fontsize="small",
    )  # fmt: skip


def _dot(values):
    """A line through one frame is invisible: mark it."""
    return {"marker": "o"} if len(values) == 1 else {}


def _frames_axis(ax, frames):
    ax.set_xlim(-0.5, frames - 0.5)
    ax.locator_params(axis="x", integer=True, min_n_ticks=1)
    ax.grid(True, color="#E5E5E5", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _check_shape(name, array, shape):
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
