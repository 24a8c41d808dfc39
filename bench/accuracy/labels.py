# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of programs and of what is varied, the same in the tables and in the pictures."""

from __future__ import annotations

from common.labels import picture_label

from .plan import CLEANED, REFINED, TREE

_OURS = {
    REFINED: "stillscope",
    TREE: "stillscope, drop-in (tree)",
    "native": "stillscope, refine=0",
}

# Of a panel: what is varied, its unit, whether its axis is logarithmic.
PANELS = {
    "noise": ("noise of a pixel", "grey levels", True),
    "amplitude": ("largest displacement", "px", True),
    "rate": ("frame rate", "frames a second", True),
    "light": ("mean brightness, miniscope", "grey levels", True),
    "photons": ("photons a pixel, two-photon", "", True),
    "bleached": ("light that is gone at the end", "%", False),
    "flicker": ("spread of the frames' own gain", "%", False),
}
_PERCENT = ("bleached", "flicker")

LIMITS = {
    "rotation_deg": ("rotation", "degrees"),
    "blur_px": ("blur", "px"),
    "field_px": ("deformation", "px"),
    "row_px": ("scanning", "px"),
}


def program(row: dict) -> str:
    """What a program is called where there is little room."""
    label = _OURS.get(row["name"]) or picture_label(row)
    return label + (", its notebook's steps before" if row["name"] == CLEANED else "")


def value(row: dict) -> float:
    """What is varied, in the unit of its panel."""
    panel = row["panel"]
    if panel == "noise":
        return row["movie"]["noise"]
    if panel == "amplitude":
        return row["movie"]["largest_px"]
    if panel in ("light", "photons"):
        return row["movie"]["mean"]
    return row["x"] * (100 if panel in _PERCENT else 1)
