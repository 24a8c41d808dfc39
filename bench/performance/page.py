# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the page from the results. No number stands in its text: all are measured or planned."""

from __future__ import annotations

import json
from pathlib import Path

from common import pages
from common.environments import TUNED_ALLOCATOR
from common.labels import table_label
from common.tables import number, table

from .plan import COMMAND
from .sections import SECTIONS

_PACKAGE = "stillscope"


def render(results: dict, images: Path) -> str:
    """The page as Markdown.

    Parameters
    ----------
    results : dict
        As the sections wrote them.
    images : Path
        Folder of the pictures; those that are missing are left out.

    Returns
    -------
    str
        The text of the page.
    """
    parts = [_head(results), _machine(results)]
    for section, write in SECTIONS.items():
        found = results["sections"].get(section)
        if found is None:
            continue
        title, text = write(found["rows"], results)
        picture = images / f"performance-{section}.png"
        shown = f"![{title}](images/{picture.name})" if picture.exists() else ""
        parts += [f"## {title}", *([shown] if shown else []), text]
    parts += [_instructions(images.parent / "performance" / "instructions.json"), _method(results)]
    return pages.joined(parts)


def _head(results: dict) -> str:
    lines = pages.head("Performance", COMMAND, "performance/results.json", results["plan"])
    rows = results["sections"].get("peers", {}).get("rows", [])
    found = []
    for row in rows:
        if row["name"] == "minian-2" and "ratio" in row:
            how = "with a tuned allocator" if row["tuned"] else "as users run it"
            found.append(f"{number(row['ratio'])} ({row['dtype']}, {how})")
    if found:
        row = next(r for r in rows if r["name"] == "minian-2" and "versions" in r)
        minian = table_label(row | {"tuned": False})
        lines.append(
            f"On one core, through dask on both sides, {minian} takes this many times as long as "
            f"`{_PACKAGE}.motion_correction` to estimate the motion: {', '.join(found)}."
        )
    return "\n\n".join(lines)


def _machine(results: dict) -> str:
    dates = [section["date"] for section in results["sections"].values()]
    return pages.machine(results["machine"], _versions(results), dates)


def _instructions(path: Path) -> str:
    if not path.exists():
        return ""
    found = json.loads(path.read_text())
    rows = [[dtype, f"{count:,}"] for dtype, count in found["instructions_per_frame"].items()]
    text = (
        f"The same on a noisy machine as on a quiet one: {found['case']}, counted by valgrind's "
        "callgrind (`bench/instructions.sh --record`). A change of the code can be judged by it."
    )
    return f"## Instructions\n\n{text}\n\n" + table(["type", "instructions a frame"], rows)


def _versions(results: dict) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for section in results["sections"].values():
        rows = section["rows"]
        for row in rows if isinstance(rows, list) else rows.get("runs", []):
            for package, version in row.get("versions", {}).items():
                found.setdefault(package, set()).add(version)
    return found


def _method(results: dict) -> str:
    tuned = " ".join(f"{key}={value}" for key, value in TUNED_ALLOCATOR.items())
    points = (
        "**Answers first.** Each answer is compared with the known motion before anything is "
        "timed, and the answer of every timed run again. A wrong one is a failure, not a time.",
        "**One core** unless said otherwise: the process is held on it, and the variables that set "
        "numbers of threads say so. Files in, files out is measured on all cores, held on none.",
        "**Median (lowest to highest)** of several runs, fewer where a run takes long. What is not "
        "part of an estimate lies outside the clock: imports, reading the movie, compiling, the "
        "reference of suite2p, and a copy for minian, which may write to its input.",
        "**Ratios rather than times.** Machines drift; a peer is divided by ours around it.",
        f"**Tuned allocator:** `{tuned}`. It keeps memory that was freed, so that its pages are "
        "not made anew.",
        "**Environments.** Every program has one of its own; what is in it is said in "
        "`bench/common/environments`.",
    )
    command = f"{COMMAND}    # all of this; --help says how to measure a part"
    return f"## How it was measured\n\n{pages.bullets(points)}\n\n```bash\n{command}\n```"
