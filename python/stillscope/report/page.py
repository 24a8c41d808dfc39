# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from .. import _check
from ..io.durable import checked_path, write_bytes
from ..io.extras import import_extra
from .drawing import NARROW, WIDE, png
from .figures import all_figures, all_images
from .images import thumbnail_limits, thumbnail_png
from .snippets import snippets_of
from .summary import Summary
from .table import tiles_of
from .words import FLAGS, count, indices_text, percent

_SIGN = {"helps": "\N{CHECK MARK}", "does not help": "\N{MULTIPLICATION X}"}
_HEADLINES = {
    "helps": "Correction helps",
    "does not help": "Correction does not help",
    "cannot be told": "Whether correction helps cannot be told",
}
_IMAGE_DPI = 200  # about a pixel of the movie for one of the page
_MOST_MISSING = 50  # rows of the table


def write_report(path: str | os.PathLike, summary: Any) -> None:
    """Write the report: one page with its pictures inside, to open in any browser.

    The page appears as a whole or not at all; one that is there is replaced. The same summary gives
    the same page.

    Parameters
    ----------
    path : path
        With the suffix ``.html`` or ``.htm``, in a folder that exists.
    summary : Summary
        Of `summarise`.

    Raises
    ------
    ImportError
        Where Matplotlib or Jinja2 is missing.
    FileNotFoundError
        Where the folder does not exist.
    TypeError, ValueError
        Where the suffix is another, or this is no summary.
    """
    path = checked_path(path, ".html", ".htm")
    _check.of_type(summary, "summary", Summary)
    write_bytes(path, report_html(summary).encode())


def report_html(summary: Any) -> str:
    """The page's text."""
    environment = _environment()
    text = resources.files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(text).render(
        s=summary,
        sign=_SIGN.get(summary.status, "?"),
        title=_title(summary),
        headline=_HEADLINES[summary.status],
        verdict=_below_headline(summary),
        facts=_facts(summary),
        tiles=tiles_of(summary),
        plots=_plots(summary),
        images=_images(summary),
        worst=_worst(summary),
        flags=_flags(summary),
        missing=_missing(summary),
        used=_used(summary),
        parameters=_rows(summary.parameters),
        timings=_timings(summary),
        files=[str(file) for file in summary.recording.get("files") or ()],
        outputs=_rows(summary.outputs),
        snippets=snippets_of(summary),
    )


def _environment() -> Any:
    jinja2 = import_extra("jinja2", "the report")
    # File names and parameters come from outside: everything is escaped.
    return jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _title(summary: Any) -> str:
    title = summary.recording.get("name")
    files = summary.recording.get("files") or ()
    if title is None and files:
        title = Path(str(files[0])).name
        title += f" and {count(len(files) - 1, 'more file')}" if len(files) > 1 else ""
    return "Motion correction" if title is None else str(title)


def _below_headline(summary: Any) -> str:
    """The verdict without what the headline says already, and with arrows."""
    text = summary.verdict.removeprefix(_HEADLINES[summary.status]).lstrip(": ")
    text = text.replace(" -> ", " \N{RIGHTWARDS ARROW} ")
    return text[:1].upper() + text[1:]


def _facts(summary: Any) -> list[tuple[str, str]]:
    frames, height, width = summary.shape
    facts = [("Frames", f"{frames:,}"), ("Size", f"{height}x{width} px"), ("Type", summary.dtype)]
    rate = summary.frame_rate
    if rate is not None:
        facts += [("Frame rate", f"{rate:g} Hz"), ("Duration", _duration(frames / rate))]
    size = summary.recording.get("pixel_size")
    if size is not None:
        sides = dict.fromkeys(np.atleast_1d(size).tolist())  # one where they are the same
        facts.append(("Pixel", "x".join(f"{side:g}" for side in sides) + " \N{MICRO SIGN}m"))
    known = {"files", "frame_rate", "missing", "name", "pixel_size"}
    facts += [
        (str(name).replace("_", " "), value)
        for name, value in summary.recording.items()
        if name not in known and value is not None
    ]
    return [(name, str(value)) for name, value in facts]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


_PLOTS = {
    "shifts": (
        "Shifts",
        "The correction of every frame on both axes. It is added to the content's position: "
        "positive moves down and to the right. Lanes below mark flagged frames; open marks are "
        "frames whose shift lies between their neighbours'.",
    ),
    "similarity": (
        "Similarity of every frame",
        "Correlation with the mean image before, and with the template after. The line after "
        "should lie above the one before. Flagged frames are left out.",
    ),
    "residual": (
        "Motion that is left",
        "How far a frame lies from the template, by optical flow: another measure than the "
        "estimate's. Noise counts as motion, so it does not fall to 0.",
    ),
    "deformation": (
        "Motion that differs across the frame",
        "Left: by how much each part of the frame that deforms most moves beyond the frame's shift. "
        "Middle: the size of every frame's field. Right: how well fields are known; where it is "
        "large, the template is too flat to tell.",
    ),
    "displacement": (
        "How far the content moved",
        "Distance of each frame from the median place.",
    ),
    "uncertainty": (
        "How well shifts are known",
        "Standard error that the noise makes likely. Rotation and focus are not in it.",
    ),
}  # fmt: skip


def _plots(summary: Any) -> dict[str, dict[str, str]]:
    """Each plot for a wide and for a narrow window."""
    wide = all_figures(summary, WIDE)
    narrow = all_figures(summary, NARROW)
    plots = {}
    for name, figure in wide.items():
        title, caption = _PLOTS[name]
        plots[name] = {
            "title": title,
            "caption": caption,
            "alt": f"{title}: plot",
            "wide": _uri(png(figure)),
            "narrow": _uri(png(narrow[name])),
        }
    if "residual" in plots:
        sample = count(len(summary.residual.frames), "frame")
        plots["residual"]["caption"] += f" {sample} of {summary.shape[0]:,} are measured."
    return plots


def _images(summary: Any) -> list[dict[str, Any]]:
    titles = {
        "mean": (
            "Mean image",
            "Edges and vessels should be sharper after correction. Grey levels are the same on "
            "both sides.",
        ),
        "max": (
            "Maximum of every pixel",
            "Active cells should be rounder and smaller after correction, not smeared.",
        ),
    }
    pictures = all_images(summary)
    rows = []
    for kind, (title, caption) in titles.items():
        if summary.valid is not None:
            caption += " Dashed: the valid area."
        pair = [
            {
                "when": when,
                "alt": f"{title} {when} correction",
                "uri": _uri(png(pictures[f"{kind}-{when}"], _IMAGE_DPI)),
            }
            for when in ("before", "after")
        ]
        rows.append({"title": title, "caption": caption, "pair": pair})
    return rows


def _used(summary: Any) -> str:
    """What the images are of."""
    used, frames = int(summary.used.sum()), summary.shape[0]
    if used == frames:
        return f"Of all {frames:,} frames." if frames > 1 else "Of the only frame."
    if used == 0:
        return "No frame has a shift: there is nothing to see."
    left_out = (
        "without flag" if summary.flagged.any() and not summary.flagged.all() else "with a shift"
    )
    return f"Of the {used:,} of {frames:,} frames {left_out}."


def _worst(summary: Any) -> list[dict[str, Any]]:
    limits, most = thumbnail_limits(summary.worst)
    cards = []
    for item in summary.worst:
        pictures = [
            ("as it is", thumbnail_png(item.before, limits)),
            ("moved", thumbnail_png(item.after, limits)),
            (
                "less template",
                thumbnail_png(item.difference, (-most, most), signed=True),
            ),
        ]
        cards.append(
            {
                "frame": item.frame,
                "flags": item.flags,
                "reason": item.reason,
                "pictures": [
                    {"name": name, "uri": _uri(data), "alt": f"Frame {item.frame}, {name}"}
                    for name, data in pictures
                ],
            }
        )
    return cards


def _flags(summary: Any) -> list[dict[str, str]]:
    rows = []
    for name, number in summary.flag_counts.items():
        flag = summary.motion.quality.flags[name]
        rows.append(
            {
                "name": name,
                "meaning": FLAGS[name].meaning if name in FLAGS else "",
                "count": f"{number:,}",
                "share": percent(number / summary.shape[0]),
                "frames": indices_text(np.flatnonzero(flag)),
            }
        )
    return rows


def _missing(summary: Any) -> dict[str, Any]:
    """Missing frames: those of a file that have the same reason in one row."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for file, frame, reason in summary.missing:
        groups.setdefault((str(file), str(reason)), []).append(frame)
    rows = [
        {"file": file, "frames": _indices_text(frames), "reason": reason}
        for (file, reason), frames in groups.items()
    ]
    return {"rows": rows[:_MOST_MISSING], "more": max(len(rows) - _MOST_MISSING, 0)}


def _indices_text(frames: list[Any]) -> str:
    """Indices as ranges; what is no index as it is."""
    if not all(isinstance(k, (int, np.integer)) and k >= 0 for k in frames):
        return ", ".join("" if k is None else str(k) for k in frames[:_MOST_MISSING])
    return indices_text(sorted({int(k) for k in frames}))


def _rows(values: dict[str, Any]) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in values.items()]


def _timings(summary: Any) -> list[tuple[str, str, str]]:
    rows = []
    for name, seconds in summary.timings.items():
        each = 1000 * seconds / summary.shape[0]
        whole = f"{seconds:,.1f} s" if seconds >= 1 else f"{seconds:.2f} s"
        rows.append((str(name).replace("_", " "), whole, f"{each:.2f} ms"))
    return rows
