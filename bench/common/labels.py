# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of rows, the same in the tables and in the pictures."""

from __future__ import annotations

_TUNED = ", tuned allocator"


def table_label(row: dict) -> str:
    """What a row is called in a table: program, version, allocator."""
    version = next(iter(row.get("versions", {}).values()), "")
    label = " ".join(row["label"].format(version).split())
    return label + (_TUNED if row.get("tuned") else "")


def picture_label(row: dict) -> str:
    """What it is called in a picture: shorter, and with settings that tell ours apart."""
    label = table_label(row | {"tuned": False}).replace("`", "")
    for long, short in (
        ("stillscope.motion_correction.estimate_motion", "stillscope through dask"),
        ("stillscope.estimate_motion", "stillscope"),
        (" phase_cross_correlation", ""),
    ):
        label = label.replace(long, short)
    telling = row.get("settings", "").replace("`", "").split(", ")[-1]
    if telling.startswith(("refine=", "registrar=", "normalization=")):
        label += f", {telling}"
    return label + (_TUNED if row.get("tuned") else "")
