# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pictures share: colours, axes, and the command line that draws them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from .tables import number

# Told apart by colour-blind readers (Okabe and Ito).
OURS, THEIRS, THIRD, GREY = "#0072B2", "#D55E00", "#009E73", "#B5B5B5"
MANY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#7F7F7F",
    "#332288", "#88CCEE", "#AA4499", "#999933",
)  # fmt: skip
_DPI = 120
_WIDTH = 9.0  # of a picture [in]


def draw_all(prefix: str, draw: dict[str, Callable[..., Figure | None]]) -> None:
    """Draw a picture of every section that there is: ``RESULTS.json FOLDER`` on the command line.

    Parameters
    ----------
    prefix : str
        The pictures are named ``PREFIX-SECTION.png``; without one, ``SECTION.png``.
    draw : dict
        For a section the function that draws its rows; None where there is nothing to draw.
    """
    results = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(sys.argv[2])
    for section, function in draw.items():
        path = folder / ("-".join(filter(None, (prefix, section))) + ".png")
        path.unlink(missing_ok=True)
        rows = results["sections"].get(section, {}).get("rows")
        figure = function(rows) if rows and "failed" not in rows else None
        if figure is not None:
            figure.savefig(path, dpi=_DPI, format="png", metadata={"Software": None})


def new_figure(height: float, rows: int, columns: int, **shared):
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **shared).ravel()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_axisbelow(True)
    return figure, axes


def pale(color: str) -> tuple:
    """Half way to white."""
    return tuple(0.5 + 0.5 * channel for channel in to_rgb(color))


def above(ax, x: float, value: float) -> None:
    ax.annotate(
        number(value), (x, value), (0, 2), textcoords="offset points", ha="center", fontsize=8
    )


def grid(ax, axis: str) -> None:
    ax.grid(True, axis=axis, color="#E5E5E5", linewidth=0.6)


def plain(ax, axis: str) -> None:
    """Numbers of a logarithmic axis as people write them, at powers of ten."""
    which = ax.xaxis if axis == "x" else ax.yaxis
    which.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    which.set_minor_formatter(NullFormatter())
    grid(ax, axis)
