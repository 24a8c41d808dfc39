# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of rows, the same in the tables and in the pictures."""

from __future__ import annotations

_TUNED = ", tuned allocator"


def short_label(row: dict) -> str:
    """A program and its version, without marks of code; ours without: it is this tree."""
    label = row["label"].replace("`", "")
    main = next(iter(row.get("versions", {}).values()), "")
    return label if label.startswith("stillscope") else f"{label} {main}".strip()


def version_label(row: dict) -> str:
    """What a row of the peers' table is called in a picture: program, setting, allocator."""
    label = short_label(row)
    for long, short in (
        ("stillscope.motion_correction.estimate_motion", "stillscope through dask"),
        ("stillscope.estimate_motion", "stillscope"),
        ("scikit-image phase_cross_correlation", "scikit-image"),
    ):
        label = label.replace(long, short)
    if "registrar" in row["settings"]:
        label += ", " + row["settings"].replace("`", "")
    return label + (_TUNED if row["tuned"] else "")


def table_label(row: dict) -> str:
    """What it is called in a table."""
    label = row["label"]
    main = next(iter(row.get("versions", {}).values()), "")
    if main and "stillscope" not in label:
        label += f" {main}"
    return label + (_TUNED if row.get("tuned") else "")
