# SPDX-License-Identifier: GPL-3.0-or-later
"""What a correction did, for people to look at (extra ``report``: Matplotlib and Jinja2).

`summarise` reads the movie once and keeps what a page needs; `write_report` makes the page of it,
`write_figures` the same pictures as files. `write_preview` (extra ``video``: PyAV) puts the movies
side by side.
"""

from .fields import plot_deformation
from .figures import overview_figure, write_figures
from .gather import SummaryBuilder, summarise
from .page import write_report
from .preview import write_preview
from .summary import Summary

__all__ = [
    "Summary",
    "SummaryBuilder",
    "overview_figure",
    "plot_deformation",
    "summarise",
    "write_figures",
    "write_preview",
    "write_report",
]
