# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the page. Runs where Matplotlib is: ``figures.py RESULTS.json FOLDER``."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from common.drawing import (
    GREY,
    MANY,
    OURS,
    THEIRS,
    THIRD,
    above,
    draw_all,
    grid,
    new_figure,
    pale,
    plain,
)
from common.labels import picture_label
from common.tables import number

from .file_section import STAGE_FLOORS


def peers(rows: list[dict]) -> Figure | None:
    """Time and error of every peer, a line each, both on logarithmic axes."""
    rows = [row for row in rows if "ms" in row]
    if not rows:
        return None
    types = list(dict.fromkeys(row["dtype"] for row in rows))
    names = {}  # the fastest last: places count from below
    for row in sorted(rows, key=lambda row: -row["ms"]["median"]):
        names.setdefault(_key(row), picture_label(row))
    places = {key: place for place, key in enumerate(names)}
    figure, (left, right) = new_figure(0.3 * len(names) + 1.2, 1, 2, sharey=True)
    for row in rows:
        color = OURS if row["environment"] == "stillscope" else THEIRS
        is_first = row["dtype"] == types[0]
        for ax, value in ((left, row["ms"]["median"]), (right, row["error_px"]["rms"])):
            ax.plot(
                value, places[_key(row)], "o", color=color, markersize=8 if is_first else 5,
                markerfacecolor=color if is_first else "white", zorder=3 if is_first else 4,
            )  # fmt: skip
    for ax, values in (
        (left, lambda row: row["ms"]["median"]), (right, lambda row: row["error_px"]["rms"]),
    ):  # fmt: skip
        for key, place in places.items():
            found = [values(row) for row in rows if _key(row) == key]
            ax.annotate(
                " / ".join(dict.fromkeys(number(value) for value in found)), (max(found), place),
                (8, 0), textcoords="offset points", va="center", fontsize=7.5, color="#444444",
            )  # fmt: skip
    left.set_yticks(range(len(names)), names.values(), fontsize=8)
    left.set_ylim(-0.6, len(names) - 0.4)
    left.set_xlabel("estimate, one core [ms a frame]")
    right.set_xlabel("RMS error [px]")
    for ax in (left, right):
        ax.set_xscale("log")
        low, high = ax.get_xlim()
        ax.set_xlim(low, high * (high / low) ** 0.3)  # room for the numbers
        plain(ax, "x")
        grid(ax, "both")
        ax.tick_params(axis="y", length=0)
    kinds = zip(("filled", "open"), types)
    title = ", ".join(f"{kind}: {dtype}" for kind, dtype in kinds) + ". Left is better."
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    return figure


def _key(row: dict) -> tuple:
    return row["name"], row["tuned"]


def stages(section: dict) -> Figure:
    """Stages stacked, their floors stacked, and the whole estimate, for each pixel type."""
    rows, estimates = section["kernels"], section["estimates"]
    names = list(dict.fromkeys(row["stage"] for row in rows))
    types = list(dict.fromkeys(row["dtype"] for row in rows))
    figure, (ax,) = new_figure(4.6, 1, 1)
    places, labels = [], []
    for group, dtype in enumerate(types):
        for bar, key in enumerate(("ms", "floor_ms")):
            place, base = 4 * group + bar, 0.0
            for name in names:
                match = [r for r in rows if (r["stage"], r["dtype"]) == (name, dtype)]
                value = (match[0][key] or {}).get("median", 0.0) if match else 0.0
                color = MANY[names.index(name) % len(MANY)]
                color = color if bar == 0 else pale(color)
                label = name.replace("_", " ") if group == bar == 0 else None
                ax.bar(place, value, 0.8, base, color=color, label=label, edgecolor="white",
                       linewidth=0.5)  # fmt: skip
                base += value
            above(ax, place, base)
        places += [4 * group, 4 * group + 1]
        labels += [f"{dtype}\nstages", f"{dtype}\nfloors"]
        whole = estimates.get(dtype, {}).get("ms")
        if whole:
            ax.bar(4 * group + 2, whole["median"], 0.8, color=GREY)
            above(ax, 4 * group + 2, whole["median"])
            places.append(4 * group + 2)
            labels.append(f"{dtype}\nwhole estimate")
    ax.set_xticks(places, labels, fontsize=8)
    ax.tick_params(axis="x", length=0)
    ax.set_ylabel("one core [ms a frame]")
    handles, texts = ax.get_legend_handles_labels()
    ax.legend(
        handles[::-1], texts[::-1], loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False,
        fontsize=8,
    )  # fmt: skip
    grid(ax, "y")
    return figure


def blocks(rows: list[dict]) -> Figure | None:
    """Seconds in all over the number of frames."""
    figure, (ax,) = new_figure(3.8, 1, 1)
    colors = {"minian-1": GREY, "minian-2": THEIRS, "dask": OURS}
    drawn = [row for row in rows if "seconds" in row]
    if not drawn:
        return None
    for name, color in colors.items():
        mine = [row for row in drawn if row["name"] == name]
        if not mine:
            continue
        x = [row["frames"] for row in mine]
        y = [row["seconds"]["median"] for row in mine]
        ax.plot(x, y, "o-", color=color, label=picture_label(mine[-1]))
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    counts = {row["frames"]: row["blocks"] for row in rows}
    ax.set_xticks(list(counts), [f"{n} / {b}" for n, b in counts.items()])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("frames / blocks")
    ax.set_ylabel("estimate in all [s]")
    plain(ax, "y")
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    return figure


def frames(rows: list[dict]) -> Figure | None:
    """Time a frame and error over the length of the movie."""
    rows = [row for row in rows if "ms" in row]
    if not rows:
        return None
    figure, (left, right) = new_figure(3.2, 1, 2)
    x = [row["frames"] for row in rows]
    median, low, high = ([row["ms"][k] for row in rows] for k in ("median", "low", "high"))
    left.fill_between(x, low, high, color=OURS, alpha=0.2, linewidth=0)
    left.plot(x, median, "o-", color=OURS)
    left.set_ylim(0, 1.25 * max(high))
    left.set_ylabel("one core [ms a frame]")
    right.plot(x, [row["error_px"]["rms"] for row in rows], "o-", color=OURS)
    right.set_ylim(0)
    right.set_ylabel("RMS error [px]")
    for ax in (left, right):
        _frames_axis(ax, x)
        grid(ax, "y")
    return figure


def threads(rows: list[dict]) -> Figure | None:
    """How many times faster than on one thread."""
    rows = [row for row in rows if "threads" in row]
    if not rows:
        return None
    figure, axes = new_figure(3.4, 1, 2, sharey=True)
    for ax, what in zip(axes, ("estimate", "apply")):
        for row, color in zip(rows, (OURS, THEIRS, THIRD)):
            counts = sorted(int(n) for n in row["threads"])
            one = row["threads"]["1"][what]["median"]
            gain = [one / row["threads"][str(n)][what]["median"] for n in counts]
            ax.plot(counts, gain, "o-", color=color, label=row["dtype"])
        ax.plot(counts, counts, "--", color=GREY, label="as many times as threads", zorder=0)
        ax.set_title(what, loc="left", fontsize=10)
        ax.set_xlabel("threads")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_ylim(0)
        grid(ax, "y")
    axes[0].set_ylabel("times as fast as one thread")
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def sizes(rows: list[dict]) -> Figure | None:
    """Time a megapixel over sizes of frame, a bar a pixel type."""
    rows = [row for row in rows if "dtypes" in row]
    if not rows:
        return None
    types = list(rows[0]["dtypes"])
    figure, axes = new_figure(5.6, 2, 1, sharex=True)
    width = 0.8 / len(types)
    for ax, what in zip(axes, ("estimate", "apply")):
        for k, dtype in enumerate(types):
            x = np.arange(len(rows)) + (k - 0.5 * (len(types) - 1)) * width
            times = [row["dtypes"][dtype][what] for row in rows]
            median = np.array([t["median"] for t in times])
            low, high = (np.array([t[side] for t in times]) for side in ("low", "high"))
            ax.bar(
                x, median, width * 0.92, color=MANY[k], label=dtype,
                yerr=np.stack([median - low, high - median]),
                error_kw={"elinewidth": 0.8, "ecolor": "#555555"},
            )  # fmt: skip
        ax.set_ylabel(f"{what}, one core\n[ms a frame]")
        grid(ax, "y")
    axes[1].set_xticks(range(len(rows)), [f"{r['height']}x{r['width']}" for r in rows])
    axes[1].tick_params(axis="x", length=0)
    axes[0].legend(
        frameon=False, fontsize=8, ncols=len(types), loc="lower right", bbox_to_anchor=(1, 1),
        borderaxespad=0.1,
    )  # fmt: skip
    return figure


def memory(rows: list[dict]) -> Figure | None:
    """Memory above the input over the length of the movie."""
    rows = [row for row in rows if "peak_mib" in row]
    if not rows:
        return None
    figure, (ax,) = new_figure(3.6, 1, 1)
    colors = {"native": OURS, "dask": THIRD, "minian-2": THEIRS}
    for name, color in colors.items():
        mine = [row for row in rows if row["name"] == name]
        if mine:
            x, y = [r["frames"] for r in mine], [r["peak_mib"] for r in mine]
            ax.plot(x, y, "o-", color=color, label=picture_label(mine[-1]))
    inputs = {row["frames"]: row["input_mib"] for row in rows}
    ax.plot(*zip(*sorted(inputs.items())), "--", color=GREY, label="the input itself", zorder=0)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    _frames_axis(ax, sorted(inputs))
    plain(ax, "y")
    ax.set_ylabel("above the input [MiB]")
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    return figure


def files(section: dict) -> Figure | None:
    """Stages of runs from files to files stacked, and their floors beside them."""
    rows = [row for row in section["runs"] if "stages_ms" in row]
    if not rows:
        return None
    bars = {f"{row['frames']:,}\nframes": row["stages_ms"] for row in rows}
    floors = {stage: section["floors"][floor] for stage, floor in STAGE_FLOORS.items()}
    figure, (ax,) = new_figure(3.6, 1, 1)
    for place, (label, times) in enumerate([*bars.items(), ("floors", floors)]):
        base = 0.0
        for color, stage in zip(MANY, STAGE_FLOORS):
            value = times[stage]["median"]
            ax.bar(
                place, value, 0.6, base, color=pale(color) if label == "floors" else color,
                label=None if place else stage, edgecolor="white", linewidth=0.5,
            )  # fmt: skip
            base += value
        above(ax, place, base)
    ax.set_xticks(range(len(bars) + 1), [*bars, "floors"], fontsize=8)
    ax.tick_params(axis="x", length=0)
    ax.set_ylabel(f"{section['cores']} cores [ms a frame]")
    handles, texts = ax.get_legend_handles_labels()
    ax.legend(
        handles[::-1], texts[::-1], loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False,
        fontsize=8,
    )  # fmt: skip
    grid(ax, "y")
    return figure


def _frames_axis(ax, counts: list[int]) -> None:
    ax.set_xscale("log")
    ax.set_xticks(counts, [f"{count:,}" for count in counts], fontsize=8)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("frames")


if __name__ == "__main__":
    draw_all(
        "performance",
        {
            "peers": peers, "stages": stages, "contract": blocks, "frames": frames,
            "threads": threads, "sizes": sizes, "memory": memory, "files": files,
        },
    )  # fmt: skip
