# SPDX-License-Identifier: GPL-3.0-or-later
"""What notebooks show of results: the verdict, a small plot, the figures."""

from __future__ import annotations

import base64
from html import escape
from typing import Any

from .drawing import png
from .facts import crispness_of, judge
from .table import figures_of
from .traces import shifts_figure

# Background and text of the word, readable on light and on dark notebooks.
_COLORS = {
    "helps": ("#157347", "#ffffff"),
    "does not help": ("#b35900", "#ffffff"),
    "cannot be told": ("#5c636a", "#ffffff"),
}
_NOTEBOOK_WIDTH = 6.4  # in


def motion_html(motion: Any) -> str:
    """Body of ``MotionEstimate._repr_html_``. Without Matplotlib, there is no picture."""
    status, verdict = judge(motion)
    region = motion.filtering["region"] if motion.filtering else None
    size = motion.template.shape if region is None else None
    return _html(motion, status, verdict, figures_of(motion, size, crispness_of(motion)), None)


def summary_html(summary: Any) -> str:
    """Body of ``Summary._repr_html_``."""
    return _html(
        summary.motion, summary.status, summary.verdict, summary.figures, summary.frame_rate
    )


def _html(
    motion: Any, status: str, verdict: str, figures: list[Any], frame_rate: float | None
) -> str:
    background, ink = _COLORS[status]
    badge = (
        f"background:{background};color:{ink};border-radius:4px;padding:1px 7px;font-weight:600;"
        "white-space:nowrap"
    )
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(row.name)}</th>'
        f"<td>{escape(row.before)}</td><td>{escape(row.after)}</td></tr>"
        for row in figures
    )
    return (
        '<div class="stillscope">'
        f'<p style="max-width:46em"><span style="{badge}">{escape(status)}</span> '
        f"{escape(verdict)}</p>"
        f"{_picture(motion, frame_rate)}"
        "<table><thead><tr><th></th>"
        '<th scope="col">before</th><th scope="col">after</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _picture(motion: Any, frame_rate: float | None) -> str:
    try:
        figure = shifts_figure(motion, frame_rate=frame_rate, width=_NOTEBOOK_WIDTH)
    except ImportError:
        return ""
    data = base64.b64encode(png(figure)).decode()
    return (
        f'<img alt="Shifts of every frame" src="data:image/png;base64,{data}" '
        'style="width:100%;max-width:640px;background:white">'
    )
