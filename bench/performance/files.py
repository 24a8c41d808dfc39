# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording in files to a corrected one, on all cores: its stages beside their floors."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import time

from common import machine
from common.environments import OURS, say
from common.tables import number
from common.timing import per_frame, spread

from .comparison import measure, movie_folder
from .file_section import STAGE_FLOORS
from .plan import BUILD, EXTENT, Plan

MEMORY_MB = 1000  # the budget of every run
_OUT = BUILD / "files"


def files(plan: Plan) -> dict:
    """Seconds and memory of ``stillscope.correct`` over the number of frames, and the floors.

    Parameters
    ----------
    plan : Plan
        Frames and repeats.

    Returns
    -------
    dict
        ``runs``: a row a number of frames; ``floors`` [ms a frame]; ``cores``, ``memory_mb``, and
        ``load``, the load average of the minute before; or ``failed``.
    """
    load = os.getloadavg()[0]
    recording = {
        "folder": movie_folder(EXTENT), "file_frames": plan.file_frames,
        "files": max(plan.files) // plan.file_frames,
    }  # fmt: skip
    _OUT.mkdir(parents=True, exist_ok=True)
    try:
        written = _measure(recording | {"job": "recording"})
        if "failed" in written:
            return _failed(f"the recording: {written['failed']}")
        say(f"  recording: {recording['files']} files, {written['written']} of them made now")
        floors = _measure(
            recording | {"job": "floors", "scratch": str(_OUT / "frames.raw"),
                         "repeats": plan.repeats, "budget_s": plan.budget_s}
        )  # fmt: skip
        if "failed" in floors:
            return _failed(f"the floors: {floors['failed']}")
        say(f"  decoding alone: {floors['decode']['median']:.3f} ms a frame")
        first = _once(recording, min(plan.files))  # looked at, not timed
        if "failed" in first:
            return _failed(f"{first['frames']} frames: {first['failed']}")
        runs = [_runs(plan, recording, count) for count in plan.files]
    finally:
        shutil.rmtree(_OUT, ignore_errors=True)
    return {
        "cores": len(os.sched_getaffinity(0)), "memory_mb": MEMORY_MB, "load": load,
        "file_frames": plan.file_frames, "file_bytes": written["bytes"] / recording["files"],
        "floors": floors, "runs": runs,
    }  # fmt: skip


def _failed(reason: str) -> dict:
    say(f"  FAILED: {reason}")
    return {"failed": reason}


def _measure(job: dict) -> dict:
    return measure(OURS, job, threads=len(os.sched_getaffinity(0)), is_held=False)


def _runs(plan: Plan, recording: dict, frames: int) -> dict:
    found: list[dict] = []
    while len(found) < plan.repeats and sum(run["seconds"] for run in found) < plan.budget_s:
        found.append(_once(recording, frames))
        if "failed" in found[-1]:
            say(f"  {frames} frames: FAILED: {found[-1]['failed']}")
            return {"frames": frames, "failed": found[-1]["failed"]}
    row = summary(found)
    say(
        f"  {frames} frames: {row['seconds']['median']:.1f} s, {number(row['peak_mb'])} MB, "
        f"others took {row['others_cores']:.2f} cores"
    )
    return row


def _once(recording: dict, frames: int) -> dict:
    """One run in a process of its own, and the cores that others took meanwhile."""
    job = recording | {
        "job": "correct", "files": frames // recording["file_frames"], "frames": frames,
        "memory_mb": MEMORY_MB, "destination": str(_OUT / "corrected.zarr"),
    }  # fmt: skip
    start, busy, ours = time.monotonic(), machine.busy_seconds(), _children_s()
    try:
        run = _measure(job)
    finally:
        for left in _OUT.glob("corrected.*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    others = machine.busy_seconds() - busy - (_children_s() - ours)
    return {"frames": frames, "others_cores": max(0.0, others / (time.monotonic() - start))} | run


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def summary(found: list[dict]) -> dict:
    """One row of several runs of one recording.

    Parameters
    ----------
    found : list of dict
        As the job ``correct`` answers, with ``others_cores``.

    Returns
    -------
    dict
        ``seconds``; by stage ``stages`` [s], ``stages_ms`` and ``processor_ms`` [ms a frame]:
        median, lowest and highest; of memory the highest.
    """
    last = found[-1]
    frames = last["frames"]
    stages = {name: spread([run["timings"][name] for run in found]) for name in STAGE_FLOORS}
    processor = {name: spread([run["processor_s"][name] for run in found]) for name in STAGE_FLOORS}
    return {
        "frames": frames,
        "files": last["files"],
        "readings": last["readings"],
        "seconds": spread([run["seconds"] for run in found]),
        "stages": stages,
        "stages_ms": {name: per_frame(times, frames) for name, times in stages.items()},
        "processor_ms": {name: per_frame(times, frames) for name, times in processor.items()},
        "peak_mb": max(run["peak_mb"] for run in found),
        "decoder_peak_mb": max(run["decoder_peak_mb"] for run in found),
        "decoders": max(run["decoders"] for run in found),
        "others_cores": statistics.mean(run["others_cores"] for run in found),
        "error_px": last["error_px"],
        "movie_bytes": last["movie_bytes"],
        "versions": last["versions"],
    }
