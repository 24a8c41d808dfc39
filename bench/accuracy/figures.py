# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the page. Runs where Matplotlib is: ``figures.py RESULTS.json FOLDER``."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from common.drawing import MANY, OURS, THEIRS, THIRD, draw_all, grid, new_figure, plain
from common.tables import number

from .labels import LIMITS, PANELS, program, value
from .plan import REFINED, TREE

_COLORS = {
    REFINED: OURS, TREE: THEIRS, "opencv-match": THIRD, "pystackreg": MANY[3], "minian-2": MANY[7],
}  # fmt: skip
_BOUND = {"color": "#444444", "linestyle": ":", "linewidth": 1.3, "zorder": 1}


def peers(rows: list[dict]) -> Figure | None:
    """The error of every program, a line each: with its own reference, and with the best."""
    rows = [row for row in rows if "error_px" in row]
    if not rows:
        return None
    panels = list(dict.fromkeys(row["panel"] for row in rows))
    names: dict[str, str] = {}  # the most exact first: places count from below
    for row in sorted(rows, key=lambda row: (row["panel"] != panels[0], -row["error_px"]["rms"])):
        names.setdefault(row["name"], program(row))
    places = {name: place for place, name in enumerate(names)}
    figure, axes = new_figure(0.3 * len(names) + 1.4, 1, len(panels), sharey=True)
    for ax, panel in zip(axes, panels):
        mine = [row for row in rows if row["panel"] == panel]
        for row in mine:
            color, place = OURS if row["is_ours"] else THEIRS, places[row["name"]]
            own = row["error_px"]["rms"]
            ax.plot(own, place, "o", color=color, markersize=7, zorder=3)
            if "given_error_px" in row:
                given = row["given_error_px"]["rms"]
                ax.plot(given, place, "o", color=color, markersize=6, markerfacecolor="white")
            ax.annotate(
                number(own), (own, place), (0, 7), textcoords="offset points", ha="center",
                fontsize=7, color="#444444",
            )  # fmt: skip
        ax.axvline(mine[0]["movie"]["bound_px"], label="what noise allows", **_BOUND)
        ax.set_xscale("log")
        ax.set_title(panel, loc="left", fontsize=10)
        ax.set_xlabel("RMS error [px]")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        plain(ax, "x")
        grid(ax, "both")
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(names)), names.values(), fontsize=8)
    axes[0].set_ylim(-0.6, len(names) - 0.3)
    title = (
        "Filled: with its own reference. Open: given the best template. Dotted: what noise allows. "
        "Left is better."
    )
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    return figure


def sweep(columns: int = 1) -> Callable[[list[dict]], Figure | None]:
    """Draws errors over what is varied, a line a program, in so many columns of panels."""

    def draw(rows: list[dict]) -> Figure | None:
        rows = [row for row in rows if "error_px" in row]
        if not rows:
            return None
        panels = list(dict.fromkeys(row["panel"] for row in rows))
        lines = -(-len(panels) // columns)
        figure, axes = new_figure(3.5 * lines, lines, columns)
        for ax, panel in zip(axes, panels):
            _curves(ax, [row for row in rows if row["panel"] == panel])
        lines, names = axes[0].get_legend_handles_labels()
        figure.legend(
            lines, names, loc="outside upper left", ncols=len(names), frameon=False, fontsize=8
        )
        return figure

    return draw


def _curves(ax, rows: list[dict]) -> None:
    what, unit, is_log = PANELS[rows[0]["panel"]]
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = sorted((value(row), row["error_px"]["rms"]) for row in rows if row["name"] == name)
        label = program(next(row for row in rows if row["name"] == name))
        ax.plot(*zip(*mine), "o-", color=_COLORS[name], markersize=4, label=label)
    bound = sorted({value(row): row["movie"]["bound_px"] for row in rows}.items())
    ax.plot(*zip(*bound), label="what noise allows", **_BOUND)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    if is_log:
        _steps(ax, [x for x, _ in bound])
    ax.set_xlabel(f"{what} [{unit}]" if unit else what)
    ax.set_ylabel("RMS error [px]")
    plain(ax, "y")


def _steps(ax, at: list[float]) -> None:
    """A logarithmic axis with the measured places marked."""
    ax.set_xscale("log")
    ax.set_xticks(at, [f"{x:.3g}" for x in at], fontsize=8)
    ax.xaxis.set_minor_locator(NullLocator())


def limits(rows: list[dict]) -> Figure | None:
    """Error and share of flagged frames over the strength of what is no translation."""
    rows = [row for row in rows if "error_px" in row]
    if not rows:
        return None
    kinds = [kind for kind in LIMITS if any(row["panel"].startswith(kind) for row in rows)]
    figure, axes = new_figure(5.2, 2, len(kinds), sharey="row")
    for column, kind in enumerate(kinds):
        upper, lower = axes[column], axes[column + len(kinds)]
        for when, style in (("drift", "-"), ("sudden", "--"), ("", "-")):
            panel = f"{kind} {when}".strip()
            mine = [row for row in rows if row["panel"] == panel]
            for name, label in ((REFINED, "defaults"), (TREE, "tree")):
                found = [(row["x"], row["error_px"]["rms"]) for row in mine if row["name"] == name]
                if found:
                    upper.plot(
                        *zip(*found), "o" + style, color=_COLORS[name], markersize=4,
                        label=f"{label}, {when}" if when else label,
                    )  # fmt: skip
            found = [
                (row["x"], 100 * row["flagged"].get("any", {}).get("affected", 0) / row["affected"])
                for row in mine if "flagged" in row
            ]  # fmt: skip
            if found:
                lower.plot(*zip(*found), "o" + style, color=OURS, markersize=4)
        what, unit = LIMITS[kind]
        lower.set_xlabel(f"{what} [{unit}]")
        strengths = sorted({row["x"] for row in rows if row["panel"].startswith(kind)})
        for ax in (upper, lower):
            _steps(ax, strengths)
        upper.set_yscale("log")
        plain(upper, "y")
        grid(lower, "y")
        lower.set_ylim(-4, 104)
    axes[0].set_ylabel("RMS error [px]")
    axes[len(kinds)].set_ylabel("affected frames\nthat are flagged [%]")
    axes[0].legend(frameon=False, fontsize=7, handlelength=3.5)
    return figure


if __name__ == "__main__":
    draw_all(
        "",
        {
            "peers": peers, "noise": sweep(), "amplitude": sweep(), "rate": sweep(),
            "brightness": sweep(2), "limits": limits,
        },
    )  # fmt: skip
