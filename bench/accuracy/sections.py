# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections of the page: each gives its title and its text from its rows."""

from __future__ import annotations

from collections.abc import Callable

from common.labels import table_label
from common.tables import number, table

from .field_section import fields
from .labels import LIMITS, PANELS, program, value
from .plan import CLEANED, PASSES, REFINED, TREE

_PASSES = f"mean of the movie, then {PASSES - 1} times the mean of the frames that it moved"
# Which reference each program registers to, where it is not that of a program without its own.
_REFERENCES = {
    REFINED: "its own: mean of all registered frames",
    "native": "none: neighbours, up a tree",
    TREE: "none: neighbours, up a tree",
    "minian-2": "none: neighbours, up a tree",
    CLEANED: "none: neighbours, up a tree",
    "minian-1": "none: neighbours, up a tree",
    "jnormcorre": "its own",
    "suite2p": "its own",
}
# Not on the package index, so not run by the command: another simulated recording of a miniscope
# (float32, 480x752; the bound there is 0.0028 px), and what two of the programs above had on it.
_CAIMAN = (
    "**CaImAn** is not on the package index, and the command does not run it. Measured once, on "
    "another simulated miniscope recording (480x752, float32, 0.0028 px allowed by noise): CaImAn, "
    "rigid, 0.065 px RMS and 0.14 px at most; on the same recording minian 2.0.2 had 0.230 and "
    "0.72, and OpenCV's `matchTemplate` in two passes 0.011 and 0.03."
)


def _peers(rows: list[dict]) -> str:
    lines = [
        "Rigid shifts of simulated recordings against their known motion. *Reference* is what a "
        "program registers frames to: its own, where it makes one; where it only registers one "
        f"image to another, the {_PASSES}. *Best template*: what is left where it is given the "
        "mean of frames moved back by the known motion, and so starts from the answer. "
        "Settings are the program's defaults, or of its choices the more exact.",
    ]
    for panel in dict.fromkeys(row["panel"] for row in rows):
        mine = [row for row in rows if row["panel"] == panel]
        facts = mine[0]["movie"]
        recipe = facts["recipe"]
        lines.append(
            f"**{panel}**, {recipe['frames']} frames of {recipe['height']}x{recipe['width']}, "
            f"{recipe['dtype']}: the scene moves by up to {number(facts['largest_px'])} px, "
            f"{number(facts['step_px'])} px from frame to frame (RMS). Noise allows "
            f"**{number(facts['bound_px'])} px**."
        )
        body = []
        for row in mine:
            start = [
                table_label(row), row["settings"],
                _REFERENCES.get(row["name"], "the mean, in passes"),
            ]  # fmt: skip
            if "failed" in row:
                body.append([*start, f"failed: {row['failed']}", "", "", ""])
                continue
            error = row["error_px"]
            given = row.get("given_error_px")
            body.append([
                *start, number(error["rms"]), number(error["max"]),
                number(error["rms"] / facts["bound_px"]), number(given["rms"]) if given else "",
            ])  # fmt: skip
        head = ["program", "settings", "reference", "RMS error [px]", "largest [px]",
                "times what noise allows", "best template: RMS [px]"]  # fmt: skip
        lines.append(table(head, body, "lll"))
    lines.append(
        "suite2p's rigid shifts are whole pixels: rounding alone makes 0.29 px. " + _CAIMAN
    )
    return "\n\n".join(lines)


def _bound(rows: list[dict]) -> str:
    """What noise allows: the formula, and what went into it."""
    body = []
    for panel in dict.fromkeys(row["panel"] for row in rows):
        facts = next(row["movie"] for row in rows if row["panel"] == panel)
        unit = "grey levels" if facts["recipe"]["kind"] == "miniscope" else "photons"
        body.append([
            panel, f"{number(facts['mean'])} {unit}", f"{number(facts['noise'])} {unit}",
            number(facts["bound_px"]),
        ])  # fmt: skip
    text = (
        "The Cramér-Rao bound. With a frame without noise `m` as a function of the shift `d` and "
        "the variance `v` of each pixel's noise,\n\n"
        "    F = sum over the pixels of (dm/dd) (dm/dd)^T / v,      covariance of d >= F^-1\n\n"
        "and the figure is the root mean square over frames and axes, the square root of the mean "
        "of `trace(F^-1) / 2`. The simulator gives `m` (central differences of the scene moved by "
        "0.05 px) and `v` (shot noise, reading, rounding). What stays with the sensor has no part "
        "in `dm/dd`. The scene counts as known, cells included, which no program knows; so the "
        "bound is a little lower than what can be had. The two-photon noise is not Gaussian: there "
        "it is the bound for what is linear in the pixels."
    )
    head = ["movie", "brightness, mean", "noise of a pixel", "bound [px]"]
    return f"{text}\n\n{table(head, body)}"


def _sweep(text: str) -> Callable[[list[dict]], str]:
    """A paragraph, and a table for every panel."""

    def write(rows: list[dict]) -> str:
        lines = [text]
        for panel in dict.fromkeys(row["panel"] for row in rows):
            mine = [row for row in rows if row["panel"] == panel]
            what, unit, _ = PANELS[panel]
            names = {row["name"]: program(row) for row in mine if "versions" in row}
            body = []
            for x in dict.fromkeys(row["x"] for row in mine):
                here = {row["name"]: row for row in mine if row["x"] == x}
                facts = next(iter(here.values()))["movie"]
                body.append([
                    number(value(next(iter(here.values())))), number(facts["step_px"]),
                    number(facts["bound_px"]), *(_error(here.get(name)) for name in names),
                ])  # fmt: skip
            head = [f"{what} [{unit}]" if unit else what, "motion a frame [px]",
                    "noise allows [px]", *names.values()]  # fmt: skip
            lines.append(table(head, body, ""))
        return "\n\n".join(lines)

    return write


def _error(row: dict | None) -> str:
    if row is None:
        return ""
    return f"failed: {row['failed']}" if "failed" in row else number(row["error_px"]["rms"])


def _limits(rows: list[dict]) -> str:
    text = (
        "The defaults find translations. Here each movie has something else as well, and the error "
        "is that against the mean motion of the frame: rotation about its middle, Gaussian blur "
        "(focus), a smooth field of displacement (its largest difference within a frame), or, in "
        "the two-photon movie, the motion between a frame's first and last row (RMS). *Drift*: it "
        "grows from nothing to this strength over the movie. *Sudden*: one frame in ten has it, "
        "either way round, and the others have nothing. *Affected* is the error of the frames that "
        "have it, *flagged* how many of them and of the others have a flag in "
        "`MotionEstimate.quality`; *claims* is the median of `quality.uncertainty`, which knows "
        "noise alone."
    )
    body = []
    for panel, x in dict.fromkeys((row["panel"], row["x"]) for row in rows):
        mine = {r["name"]: r for r in rows if (r["panel"], r["x"]) == (panel, x)}
        ours, tree = mine.get(REFINED), mine.get(TREE)
        if ours is None or "failed" in ours:
            body.append([_limit(panel, x), _error(ours), *6 * [""]])
            continue
        affected = ours["affected"]
        others = ours["movie"]["recipe"]["frames"] - affected
        body.append([
            _limit(panel, x), number(ours["error_px"]["rms"]), number(ours["error_px"]["max"]),
            number(ours["affected_px"]) if affected else "", _error(tree),
            _share(ours, "affected", affected), _share(ours, "others", others),
            number(ours["uncertainty_px"]), "yes" if ours["helps"] else "no",
        ])  # fmt: skip
    head = ["", "RMS [px]", "largest [px]", "affected: RMS [px]", "tree: RMS [px]",
            "affected, flagged", "others, flagged", "claims [px]", "`helps`"]  # fmt: skip
    return f"{text}\n\n{table(head, body)}\n\n{_found(rows)}"


def _found(rows: list[dict]) -> str:
    """What the table shows of the flags and the verdict, where it shows it."""
    ours = {(r["panel"], r["x"]): r for r in rows if r["name"] == REFINED and "flagged" in r}
    lines = []
    blind = [
        LIMITS[kind][0] + (f" ({when})" if when else "")
        for kind, when in ((k, w) for k in LIMITS for w in ("drift", "sudden", ""))
        if (mine := [r for (p, _), r in ours.items() if p == f"{kind} {when}".strip()])
        and all(2 * r["flagged"].get("any", {}).get("affected", 0) < r["affected"] for r in mine)
    ]
    if blind:
        lines.append(f"Mostly not flagged, at any strength: {', '.join(blind)}.")
    costly = [
        row
        for (panel, x), row in ours.items()
        if panel.endswith("sudden") and row["flagged"]
        and row["affected_px"] > ours[panel.replace("sudden", "drift"), x]["error_px"]["max"]
    ]  # fmt: skip
    if costly:
        lines.append(
            "A flagged frame takes the shift between its neighbours'. Where the motion is as "
            "jerky as here, that can be further off than the fit which the flag rejects: compare "
            "*sudden* with *drift* of the same strength."
        )
    refused = [
        _limit(panel, x)
        for (panel, x), row in ours.items()
        if not row["helps"] and row["error_px"]["rms"] < row["movie"]["motion_px"]
    ]
    if refused:
        lines.append(
            "`helps` says no where the correction does remove most of the motion: "
            f"{'; '.join(refused)}."
        )
    return " ".join(lines)


def _limit(panel: str, x: float) -> str:
    kind, _, when = panel.partition(" ")
    if kind == "none":
        return "none" + (f" ({when})" if when else "")
    what, unit = LIMITS[kind]
    return f"{what}, {x:g} {unit}" + (f", {when}" if when else "")


def _share(row: dict, which: str, frames: int) -> str:
    """Frames with any flag of so many, and with which."""
    if not frames:
        return ""
    found = {name: counts[which] for name, counts in row["flagged"].items() if counts[which]}
    total = found.pop("any", 0)
    named = ", ".join(f"{name} {count}" for name, count in found.items())
    return f"{total} of {frames}" + (f" ({named})" if named else "")


def _simulator(rows: list[dict]) -> str:
    facts = rows[0]["movie"]
    version = " ".join(*facts.get("versions", {"minisim": ""}).items())
    frames, height, width = facts["shape"]
    names = {row["name"]: program(row) for row in rows if "versions" in row}
    body = []
    for panel, x in dict.fromkeys((row["panel"], row["x"]) for row in rows):
        mine = {r["name"]: r for r in rows if (r["panel"], r["x"]) == (panel, x)}
        here = next(iter(mine.values()))["movie"]
        ours = mine.get(REFINED, {})
        body.append([
            f"{panel}, seed {x}", number(here["motion_px"]),
            *(_error(mine.get(name)) for name in names),
            _share(ours, "others", frames) if "flagged" in ours else "",
        ])  # fmt: skip
    text = (
        f"Recordings made by another program, {version}: its Miniscope V4 over its hippocampus "
        f"CA1, {frames} frames of {height}x{width}, {facts['dtype']}, with both of its models of "
        "motion. Cells switch on and off, the background changes with them, the vignette and the "
        "glow stay with the sensor, and little else is there to hold on to."
    )
    head = ["motion", "uncorrected [px]", *(f"{name} [px]" for name in names.values()), "flagged"]
    return f"{text}\n\n{table(head, body)}"


# For a section: its title, and what writes its text from its rows.
SECTIONS: dict[str, tuple[str, Callable[[list[dict]], str]]] = {
    "peers": ("Beside other programs", _peers),
    "bound": ("What noise allows", _bound),
    "noise": ("Noise", _sweep(
        "The noise of reading a pixel grows, in the miniscope's movie (float32, frames of half the "
        "size on each axis, as in all that follows up to the limits). RMS errors in px."
    )),
    "amplitude": ("Amplitude of the motion", _sweep(
        "The same motion, larger and larger, jumps and all. RMS errors in px."
    )),
    "rate": ("Frame rate", _sweep(
        "A motion that is smooth in time (3 px RMS on each axis, up to some 5 Hz), recorded with "
        "fewer and fewer frames a second: it goes further from frame to frame, and during the "
        "exposure, which lasts as long as the frame, it blurs it. The truth is the mean over the "
        "exposure. As much light a frame at every rate. RMS errors in px."
    )),
    "brightness": ("Brightness", _sweep(
        "The light on the sensor of a miniscope (uint8, rounded); the photons of a two-photon "
        "movie (256x256, uint16); a miniscope's light that fades over the movie; frames each of a "
        "gain of its own. RMS errors in px."
    )),
    "limits": ("Limits", _limits),
    "fields": ("Motion that differs across the frame", fields),
    "minisim": ("Recordings of another simulator", _simulator),
}  # fmt: skip
