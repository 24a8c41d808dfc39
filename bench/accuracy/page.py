# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the page from the results."""

from __future__ import annotations

from pathlib import Path

from common import pages
from common.labels import table_label
from common.tables import number

from .field_section import summary
from .plan import COMMAND, REFINED
from .sections import SECTIONS


def render(results: dict, images: Path) -> str:
    """The page as Markdown.

    Parameters
    ----------
    results : dict
        As they were measured.
    images : Path
        Folder of the pictures; those that are missing are left out.

    Returns
    -------
    str
        The text of the page.
    """
    found = results["sections"]
    parts = _head(results)
    for name, (title, write) in SECTIONS.items():
        rows = found.get("peers" if name == "bound" else name, {}).get("rows")
        if not rows:
            continue
        picture = images / f"{name}.png"
        shown = f"![{title}]({images.name}/{picture.name})" if picture.exists() else ""
        parts += [f"## {title}", shown, write(rows)]
    dates = [section["date"] for section in found.values()]
    parts += [pages.machine(results["machine"], _versions(results), dates), _method()]
    return pages.joined(parts)


def _head(results: dict) -> list[str]:
    lines = pages.head("Accuracy", COMMAND, "accuracy/results.json", results["plan"])
    lines.append(
        "How far shifts are from the motion that is known to be in a movie: root mean square over "
        "frames and axes, and the largest, one constant per axis removed, since where the scene "
        "comes to rest is free."
    )
    rows = [r for r in results["sections"].get("peers", {}).get("rows", []) if "error_px" in r]
    points = []
    for panel in dict.fromkeys(row["panel"] for row in rows):
        mine = [row for row in rows if row["panel"] == panel]
        ours = next((row for row in mine if row["name"] == REFINED), None)
        others = [row for row in mine if not row["is_ours"]]
        if ours and others:
            best = min(others, key=lambda row: row["error_px"]["rms"])
            points.append(
                f"On the {panel} movie `stillscope.estimate_motion` is off by "
                f"{number(ours['error_px']['rms'])} px; noise allows "
                f"{number(ours['movie']['bound_px'])} px, and the next best program, "
                f"{table_label(best)}, has {number(best['error_px']['rms'])} px."
            )
    points += summary(results["sections"].get("fields", {}).get("rows", []))
    return [*lines, pages.bullets(points)]


def _versions(results: dict) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for section in results["sections"].values():
        for row in section["rows"]:
            both = row.get("versions", {}) | row["movie"].get("versions", {})
            for package, version in both.items():
                found.setdefault(package, set()).add(version)
    return found


def _method() -> str:
    points = (
        "**Movies** are simulated (`bench/accuracy/scene.py`), and the same from run to run. A "
        "Fourier shift moves a scene larger than the frame, which is exact; cells are Gaussians at "
        "their moved positions; vignette and pedestal stay. A miniscope has 12 electrons a grey "
        "level and one grey level of noise of reading; a photon of the two-photon microscope has "
        "80 counts with a spread of 30, on noise of 25.",
        "**One movie for each figure**, with one seed: differences of a few per cent between "
        "programs mean nothing.",
        "**Errors do not depend on the machine**, up to rounding. Ours are the same for any number "
        "of threads.",
        "**Environments.** Every program has one of its own; what is in it is said in "
        "`bench/common/environments`.",
    )
    command = (
        f"{COMMAND}                  # all of this; --help says how to measure a part\n"
        f"{COMMAND} --only ours      # ours anew, the others as they were"
    )
    return f"## How it was measured\n\n{pages.bullets(points)}\n\n```bash\n{command}\n```"
