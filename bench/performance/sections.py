# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections of the page: each gives its title and its text from its rows."""

from __future__ import annotations

from collections.abc import Callable

from common.labels import table_label
from common.tables import number, spread, table

from .catalogue import APPLIERS
from .file_section import files
from .plan import COMMAND

_PACKAGE = "stillscope"


def _peers(rows: list[dict], results: dict) -> tuple[str, str]:
    movie, (height, width) = results["movie"], results["extent"]
    lines = [
        f"Estimates of one rigid shift a frame, {height}x{width}, on one core, of the same "
        "simulated recording, whose scene moves by up to "
        f"{number(movie['limit_px'])} px from where it rests. The *error* is that of the shifts "
        "against this known motion, one constant per axis removed. *Times ours* divides by the "
        "mean of a run of ours right before and one right after: for minian and the drop-in by "
        "the drop-in through dask, with the same allocator; for the others by "
        f"`{_PACKAGE}.estimate_motion` with `refine=0`.",
        "Programs that need a template were *given* the best there is, at no cost: the mean of "
        f"{movie['template_frames']} frames moved back by the known motion. The trees of minian "
        "and ours find their own way and are not given anything; a program that is given this "
        "template starts from the answer.",
    ]
    for dtype in dict.fromkeys(row["dtype"] for row in rows):
        body = []
        for row in (r for r in rows if r["dtype"] == dtype):
            start = [table_label(row), row["settings"], row["template"]]
            if "failed" in row:
                body.append([*start, "", f"failed: {row['failed']}", "", "", ""])
                continue
            body.append([
                *start, str(row["frames"]), spread(row["ms"]),
                number(row["ratio"]) if "ratio" in row else "",
                number(row["error_px"]["rms"]), number(row["error_px"]["max"]),
            ])  # fmt: skip
        head = ["program", "settings", "template", "frames", "ms a frame", "times ours",
                "RMS error [px]", "largest [px]"]  # fmt: skip
        lines += [f"**{dtype}**", table(head, body, "lll")]
    return "Estimating, beside other programs", "\n\n".join(lines)


def _apply(rows: list[dict], results: dict) -> tuple[str, str]:
    body = []
    for name in APPLIERS:
        mine = {row["dtype"]: row for row in rows if row["name"] == name}
        cells = []
        for dtype in dict.fromkeys(row["dtype"] for row in rows):
            row = mine.get(dtype, {"failed": "not run"})
            if "failed" in row:
                cells += [f"failed: {row['failed']}", ""]
            else:
                cells += [spread(row["ms"]), number(row["ratio"]) if "ratio" in row else ""]
        body.append([table_label(next(iter(mine.values()))), *cells])
    head = [""]
    for dtype in dict.fromkeys(row["dtype"] for row in rows):
        head += [f"{dtype} [ms a frame]", "times ours"]
    frames = max((row.get("frames", 0) for row in rows), default=0)
    text = (
        f"The known shifts applied to {frames} frames, bilinearly, into a buffer that exists, on "
        "one core. Each result was first compared with plain bilinear interpolation."
    )
    return "Applying", f"{text}\n\n{table(head, body)}"


def _contract(rows: list[dict], results: dict) -> tuple[str, str]:
    names = list(dict.fromkeys(row["name"] for row in rows))
    labels = {}
    for row in rows:
        if row["name"] not in labels or "versions" in row:
            labels[row["name"]] = table_label(row)
    body = []
    for frames, count in dict.fromkeys((row["frames"], row["blocks"]) for row in rows):
        line = [f"{frames} / {count}"]
        mine = {row["name"]: row for row in rows if row["frames"] == frames}
        for name in names:
            row = mine[name]
            if row.get("skipped"):
                line.append("not run")
            elif "failed" in row:
                line.append(f"failed: {row['failed']}")
            else:
                runs = row["seconds"]["runs"]
                line.append(f"{spread(row['seconds'])}, {runs} run{'s' if runs > 1 else ''}")
        body.append(line)
    dtype = rows[0]["dtype"] if rows else ""
    text = (
        f"Seconds in all, {dtype}, in blocks, through dask's synchronous scheduler on one core, "
        "all measured here."
    )
    if any(row.get("skipped") for row in rows):
        text += (
            " The cost of minian before its speed-up grows with the number of blocks, which is why "
            f"it was not run for all of them (`{COMMAND} --long` does)."
        )
    head = ["frames / blocks", *(labels[name] for name in names)]
    return "minian before and after its speed-up", f"{text}\n\n{table(head, body)}"


def _stages(section: dict, results: dict) -> tuple[str, str]:
    title = "Stages of an estimate, and their floors"
    if "failed" in section:
        return title, f"Not measured: {section['failed']}."
    body = []
    for row in section["kernels"]:
        floor = row["floor_ms"]
        body.append([
            row["stage"].replace("_", " "), row["dtype"], number(row["per_frame"]),
            spread(row["ms"]), spread(floor) if floor else "",
            number(row["ms"]["median"] / floor["median"]) if floor and floor["median"] else "",
        ])  # fmt: skip
    text = (
        "What each stage costs, by itself and on one core, times how often a movie pays for it, a "
        "frame; beside it the least that any program would have to do there, such as reading the "
        "same bytes once. The whole estimate beside them is measured, not summed: the difference "
        "is what lies between the stages, and what they find in the caches when run by themselves."
    )
    sums = []
    for dtype in dict.fromkeys(row["dtype"] for row in section["kernels"]):
        mine = [row for row in section["kernels"] if row["dtype"] == dtype]
        whole = section["estimates"].get(dtype, {})
        sums.append([
            dtype, number(sum(row["ms"]["median"] for row in mine)),
            number(sum(row["floor_ms"]["median"] for row in mine if row["floor_ms"])),
            spread(whole["ms"]) if "ms" in whole else f"failed: {whole.get('failed')}",
        ])  # fmt: skip
    head = ["stage", "type", "times a frame", "ms a frame", "floor", "times the floor"]
    sum_head = ["type", "stages, sum [ms a frame]", "floors, sum", "whole estimate"]
    return title, f"{text}\n\n{table(sum_head, sums)}\n\n{table(head, body, 'll')}"


def _frames(rows: list[dict], results: dict) -> tuple[str, str]:
    body = []
    for row in rows:
        if "failed" in row:
            body.append([str(row["frames"]), f"failed: {row['failed']}", "", ""])
            continue
        where = "on disk" if row["is_on_disk"] else "in memory"
        body.append([str(row["frames"]), spread(row["ms"]), number(row["error_px"]["rms"]), where])
    dtype = rows[0]["dtype"] if rows else ""
    text = (
        f"`{_PACKAGE}.estimate_motion` with `refine=0` of {dtype}, on one core. "
        f"Beyond {results['movie']['frames']} frames the movie runs back and forth over the same "
        "ones."
    )
    head = ["frames", "ms a frame", "RMS error [px]", "the movie lay"]
    return "Long movies", f"{text}\n\n{table(head, body)}"


def _threads(rows: list[dict], results: dict) -> tuple[str, str]:
    body = []
    for row in rows:
        if "failed" in row:
            body.append([row["dtype"], "", f"failed: {row['failed']}", "", "", ""])
            continue
        one = row["threads"]["1"]
        for count, times in row["threads"].items():
            line = [row["dtype"], count]
            for what in ("estimate", "apply"):
                gain = one[what]["median"] / times[what]["median"]
                line += [spread(times[what]), number(gain)]
            body.append(line)
    frames = max((row.get("frames", 0) for row in rows), default=0)
    text = (
        f"{frames} frames, `refine=0`; the numbers of threads take turns in one process. The "
        "shifts are the same bits for every number, which was checked."
    )
    head = ["type", "threads", "estimate [ms a frame]", "times one", "apply [ms a frame]",
            "times one"]  # fmt: skip
    return "Threads", f"{text}\n\n{table(head, body)}"


def _sizes(rows: list[dict], results: dict) -> tuple[str, str]:
    body = []
    for row in rows:
        size = f"{row['height']}x{row['width']}"
        if "failed" in row:
            body.append([size, "", f"failed: {row['failed']}", "", ""])
            continue
        for dtype, times in row["dtypes"].items():
            body.append([
                size, dtype, spread(times["estimate"]), spread(times["apply"]),
                number(times["error_px"]["rms"]),
            ])  # fmt: skip
    frames = max((row.get("frames", 0) for row in rows), default=0)
    text = f"{frames} frames on one core; the pixel types take turns in one process."
    head = ["size", "type", "estimate [ms a frame]", "apply [ms a frame]", "RMS error [px]"]
    return "Sizes of frames and pixel types", f"{text}\n\n{table(head, body, 'll')}"


def _memory(rows: list[dict], results: dict) -> tuple[str, str]:
    names = list(dict.fromkeys(row["name"] for row in rows))
    body = []
    for frames in sorted({row["frames"] for row in rows}):
        mine = {row["name"]: row for row in rows if row["frames"] == frames}
        line = [str(frames), next((number(r["input_mib"]) for r in mine.values()
                                   if "input_mib" in r), "")]  # fmt: skip
        for name in names:
            row = mine.get(name)
            if row is None:
                line.append("not run")
            elif "failed" in row:
                line.append(f"failed: {row['failed']}")
            else:
                line.append(number(row["peak_mib"]))
        body.append(line)
    dtype = rows[0]["dtype"] if rows else ""
    text = (
        f"The most that the first estimate in a fresh process takes above what is there once the "
        f"packages and the movie ({dtype}, in one block) are loaded: MiB, on one core."
    )
    labels = {row["name"]: table_label(row) for row in rows if "versions" in row}
    head = ["frames", "input", *(labels.get(name, name) for name in names)]
    return "Memory", f"{text}\n\n{table(head, body)}"


SECTIONS: dict[str, Callable] = {
    "peers": _peers,
    "apply": _apply,
    "contract": _contract,
    "stages": _stages,
    "frames": _frames,
    "threads": _threads,
    "sizes": _sizes,
    "memory": _memory,
    "files": files,
}
