# SPDX-License-Identifier: GPL-3.0-or-later
"""Code that opens what a correction wrote."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..movie import apply_motion, estimate_motion


class Snippet(NamedTuple):
    """A few lines of Python, and what they do."""

    title: str
    code: str


_XARRAY = """\
import xarray as xr

movie = xr.open_zarr({path})[{variable}]  # frame, height, width"""

_ANY_MOVIE = """\
import stillscope

movie = stillscope.open_movie({path})
first = movie[:100]  # a NumPy array"""

_MOTION = """\
import stillscope

motion = stillscope.load_motion({path})
motion.shifts, motion.quality, motion.valid
another = stillscope.apply_motion(other_channel, motion)"""

_CSV = """\
import numpy as np

shifts = np.loadtxt({path}, delimiter=",", skiprows=1, usecols=(1, 2))  # height, width [px]"""

_AGAIN = """\
import stillscope

motion = stillscope.estimate_motion(movie{options})
corrected = stillscope.apply_motion(movie, motion{applying})"""


def snippets_of(summary: Any) -> list[Snippet]:
    """How to open the results, and how to make them again."""
    items = []
    by_kind = {_kind(role, path): Path(path) for role, path in summary.outputs.items()}
    movie = by_kind.get("movie")
    if movie is not None:
        template = _XARRAY if movie.suffix.lower() == ".zarr" else _ANY_MOVIE
        code = template.format(path=repr(str(movie)), variable=repr(movie.stem))
        if summary.valid is not None:
            code += f"\ncropped = movie[{_crop(summary.valid)}]"
        items.append(Snippet("Open the corrected movie", code))
    if "motion" in by_kind:
        code = _MOTION.format(path=repr(str(by_kind["motion"])))
        items.append(Snippet("Open the shifts, and apply them to another channel", code))
    elif "csv" in by_kind:
        items.append(Snippet("Open the shifts", _CSV.format(path=repr(str(by_kind["csv"])))))
    if not items:
        code = _AGAIN.format(
            options=_options(summary.parameters, estimate_motion),
            applying=_options(summary.parameters, apply_motion),
        )
        if summary.valid is not None:
            code += f"\ncropped = corrected[{_crop(summary.valid)}]"
        items.append(Snippet("Do it again, in memory", code))
    return items


def _options(parameters: dict[str, Any], function: Callable[..., Any]) -> str:
    """Those that the function takes, as arguments."""
    known = set(inspect.signature(function).parameters)
    return "".join(
        f", {name}={_code(value)}"
        for name, value in parameters.items()
        if name in known and isinstance(value, (str, int, float, bool))
    )


def _code(value: Any) -> str:
    is_odd = isinstance(value, float) and not math.isfinite(value)
    return f"float({str(value)!r})" if is_odd else repr(value)


def _kind(role: Any, path: Any) -> str:
    """What an output is: ``movie``, ``motion``, ``csv`` or something else."""
    name = Path(path).name.lower()
    if name.endswith(".csv"):
        return "csv"
    if role in ("motion", "shifts") or name.endswith((".shifts.zarr", ".shifts.nc")):
        return "motion"
    if name.endswith((".html", ".mp4", ".png")):
        return str(role)
    return "movie"


def _crop(valid: tuple[slice, slice]) -> str:
    rows, columns = valid
    return f":, {rows.start}:{rows.stop}, {columns.start}:{columns.stop}"
