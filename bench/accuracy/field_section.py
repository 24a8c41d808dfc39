# SPDX-License-Identifier: GPL-3.0-or-later
"""The section on motion that differs across the frame: its text, from its rows."""

from __future__ import annotations

from common.labels import table_label
from common.tables import number, spread, table

from .fields import AGAINST
from .plan import FEW

_HEAD = [
    "program", "settings", "frames", "local error [px]", "total error [px]", "ms a frame",
    "reference first [s]", "times ours",
]  # fmt: skip


def fields(rows: list[dict]) -> str:
    """Speed and error in one table."""
    facts = rows[0]["movie"]
    recipe = facts["recipe"]
    lines = [
        f"A miniscope's movie, {recipe['frames']} frames of {recipe['height']}x{recipe['width']}, "
        f"{recipe['dtype']}, in which every frame has a smooth field of its own, of up to "
        f"{recipe['field_px']} px (the largest difference within a frame), while the whole of it "
        f"moves by up to {number(facts['largest_px'])} px. Fields are compared with the motion of what lies at positions of "
        "the template, one in 16 px, 64 px at the border left out. Errors are root mean squares. "
        "*Total*: the mean over time of each position is removed, since the template's own shape "
        "is free. *Local*: each frame's mean as well, which leaves what no shift can mend.",
        "One thread, held on one core. *ms a frame*: median (lowest to highest) of runs, or the one "
        "run, of an estimate, from frames to fields, ours with its template. suite2p and jnormcorre make their "
        "*reference first*: suite2p's of at most 400 frames, jnormcorre's of all; its time, for "
        "this movie, is in no other column. *Times ours* divides by the mean of a run of "
        f"`{AGAINST}=True` right before and one right after, of as many frames. No program was "
        "asked for registered frames. Where there are shifts of patches, the field is linear "
        "between their centres. suite2p is given eighths of a grey level in 16 bits.",
    ]
    lines.append(table(_HEAD, [_line(row) for row in rows], "ll"))
    few = [row for row in rows if row["panel"] == FEW]
    if few:
        lines.append(
            f"The last {len(few)} lines are of {few[0]['x']} frames, spread over the movie: one "
            "of the programs takes seconds a frame. So few make a poor template, and their mean "
            "takes part of the error with it: compare these lines with each other alone."
        )
    return "\n\n".join(lines)


def _line(row: dict) -> list[str]:
    start = [table_label(row), row["settings"], str(row["x"])]
    if "failed" in row:
        return [*start, f"failed: {row['failed']}", "", "", "", ""]
    error, ms = row["error_px"], row["ms"]
    return [
        *start, number(error["local"]), number(error["total"]),
        spread(ms) if ms["runs"] > 1 else number(ms["median"]),
        number(row["reference_s"]) if "reference_s" in row else "",
        number(row["ratio"]) if "ratio" in row else "",
    ]  # fmt: skip


def summary(rows: list[dict]) -> list[str]:
    """What the head of the page says of it: ours, and the next best; nothing if one is missing."""
    rows = [row for row in rows if row["panel"] != FEW and "error_px" in row]
    ours = next((row for row in rows if row["name"] == AGAINST), None)
    others = [row for row in rows if not row["is_ours"]]
    if not (ours and others):
        return []
    best = min(others, key=lambda row: row["error_px"]["total"])
    return [
        f"Where frames deform by up to {ours['movie']['recipe']['field_px']} px, fields of "
        f"`{AGAINST}=True` are off by {_both(ours)}; those of the next best program, "
        f"{table_label(best)}, by {_both(best)}"
        f"{', without its reference' if 'reference_s' in best else ''}."
    ]


def _both(row: dict) -> str:
    error, ms = number(row["error_px"]["total"]), number(row["ms"]["median"])
    return f"{error} px, at {ms} ms a frame"
