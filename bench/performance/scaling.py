# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements of our own alone: over frames, threads, sizes and pixel types, and memory."""

from __future__ import annotations

import math
import os
from pathlib import Path

from common.catalogue import PEERS
from common.environments import OURS, EnvironmentFailed, make, say
from common.machine import available_bytes
from common.tables import number

from .comparison import measure, movie_folder
from .plan import ALL_TYPES, BUILD, EXTENT, SIZES, TYPES, Plan

_LONG_TYPE = "uint8"  # of long movies: as a miniscope records
_HEADROOM = 1.3  # memory that must be there for a movie, in movies
_CHECK_FRAMES = 300  # of the untimed run that comes first
MEMORY_PEERS = ("native", "dask", "minian-2")


def frames(plan: Plan) -> list[dict]:
    """The native estimate of ever longer movies on one core."""
    rows = []
    for count in plan.scaling:
        job = {
            "job": "estimate", "peer": "native", "check_frames": min(count, _CHECK_FRAMES),
            "repeats": plan.repeats, "budget_s": plan.budget_s,
        }  # fmt: skip
        row = _long(job, count)
        rows.append(row)
        say(f"  {count} frames: {_short(row, 'ms a frame')}")
    return rows


def memory(plan: Plan) -> list[dict]:
    """Memory above the input of ours and of minian, each in a fresh process."""
    rows = []
    for name in MEMORY_PEERS:
        counts = plan.scaling if name == "native" else plan.memory
        for count in sorted({*counts, *plan.memory}):
            row = {"name": name, "label": PEERS[name].label}
            row |= _long({"job": "memory", "peer": name}, count)
            if row["is_on_disk"] and "failed" not in row:
                row = {"failed": "the movie does not fit into memory", **row}
                row.pop("peak_mib")
            rows.append(row)
            say(f"  {name}, {count} frames: {_short(row, 'MiB')}")
    return rows


def threads(plan: Plan) -> list[dict]:
    """The native estimate and applying over numbers of threads, the movie in one chunk."""
    cores = len(os.sched_getaffinity(0))
    counts = sorted({2**k for k in range(int(math.log2(cores)) + 1)} | {cores})
    rows = []
    for dtype in TYPES:
        job = {
            "job": "threads", "folder": movie_folder(EXTENT), "dtype": dtype,
            "frames": plan.thread_frames, "threads": counts, "repeats": plan.repeats,
        }  # fmt: skip
        # The variables are set to all cores, so that the process is not held on one.
        rows.append({"dtype": dtype} | measure(OURS, job, threads=max(cores, 2)))
        say(f"  {dtype}: {rows[-1].get('failed') or 'measured'}")
    return rows


def sizes(plan: Plan) -> list[dict]:
    """The native estimate and applying over sizes and pixel types, on one core."""
    rows = []
    for extent in SIZES:
        job = {
            "job": "sizes", "folder": movie_folder(extent), "dtypes": ALL_TYPES,
            "frames": plan.size_frames, "repeats": plan.repeats,
        }  # fmt: skip
        result = measure(OURS, job)
        row = {"height": extent[0], "width": extent[1], "frames": plan.size_frames}
        rows.append(row | (result if "failed" in result else {"dtypes": result}))
        say(f"  {extent[0]}x{extent[1]}: {result.get('failed') or 'measured'}")
    return rows


def _short(row: dict, unit: str) -> str:
    if "failed" in row:
        return f"FAILED: {row['failed']}"
    return f"{number(row['peak_mib'] if unit == 'MiB' else row['ms']['median'])} {unit}"


def _long(job: dict, count: int) -> dict:
    """A job on a movie of so many frames, held on disk where memory does not suffice."""
    needed = count * EXTENT[0] * EXTENT[1]  # one byte a pixel
    scratch = BUILD / "movies" / "long.npy"
    is_on_disk = needed * _HEADROOM > available_bytes()
    job = job | {"folder": movie_folder(EXTENT), "dtype": _LONG_TYPE, "frames": count}
    if is_on_disk:
        job["scratch"] = str(scratch)
    environment = PEERS[job["peer"]].environment
    try:
        make(environment)
        result = measure(environment, job)
    except EnvironmentFailed as error:
        result = {"failed": f"not installed: {error}"}
    finally:
        Path(scratch).unlink(missing_ok=True)
    return {"frames": count, "dtype": _LONG_TYPE, "is_on_disk": is_on_disk} | result
