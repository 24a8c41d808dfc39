# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of the section on files: the recording, a run from files to files, and its floors."""

from __future__ import annotations

import os
import time
from pathlib import Path

from common.timing import per_frame, right_error_px, timed
from common.worker import versions

_CHECKED_FRAMES = 8  # of the written movie
_PACKAGES = ("stillscope", "av", "zarr", "numcodecs", "numpy")


def correct(job: dict) -> dict:
    """A recording in files, corrected into files; this process is a fresh one.

    Its shifts are compared with the known motion, and frames of the movie that it wrote with those
    of the recording, moved by these shifts.
    """
    import numpy as np
    import stillscope

    from . import floors, recording, watch

    frames, folder = job["frames"], job["folder"]
    files = recording.paths(folder, job["file_frames"], job["files"])
    for path in files:
        floors.forget(path)
    meter = watch.stage_meter()
    with watch.Decoders() as decoders:
        start = time.perf_counter()
        result = stillscope.correct(
            files, job["destination"], memory=f"{job['memory_mb']}MB", progress=meter
        )
        seconds = time.perf_counter() - start
    peak_mb = watch.status_mb("VmHWM")

    shifts = result.motion.shifts
    error = right_error_px(shifts, recording.displacement(folder, frames))
    some = np.linspace(0, frames - 1, _CHECKED_FRAMES).astype(int)
    with result.open() as movie:
        wanted = stillscope.apply_motion(recording.frames(folder, some), shifts[some], fill=0)
        if movie.shape[0] != frames or not np.array_equal(movie[some], wanted):
            raise ValueError("wrong answer, the movie is not the recording moved by its shifts")
    return {
        "frames": frames,
        "files": len(files),
        "seconds": seconds,
        "timings": result.timings,
        "processor_s": meter.processor_s,
        "readings": meter.begun["estimate"],
        "peak_mb": peak_mb,
        "decoder_peak_mb": decoders.peak_mb,
        "decoders": decoders.at_once,
        "error_px": error,
        "movie_bytes": sum(f.stat().st_size for f in result.movie.rglob("*") if f.is_file()),
        "versions": versions(_PACKAGES),
    }


def alone(job: dict) -> dict:
    """Decoding, disk and memory alone [ms a frame], and frames moved from memory to memory.

    Of one file's frames; ``at_once``: the files that ``decode_all`` decodes at the same time.
    """
    import numpy as np
    import stillscope

    from . import floors, recording

    count, scratch = job["file_frames"], Path(job["scratch"])
    at_once = min(len(os.sched_getaffinity(0)), job["files"])
    files = recording.paths(job["folder"], count, at_once)
    movie = recording.frames(job["folder"], np.arange(count))
    shifts, out = -recording.displacement(job["folder"], count), np.zeros_like(movie)

    def is_there(_):
        if not np.array_equal(out[-1], movie[-1]):
            raise ValueError("wrong answer, other bytes than were written")

    def are_all(decoded: int):
        if decoded not in (count, count * at_once):
            raise ValueError(f"wrong answer, {decoded} frames decoded")

    def moved():
        stillscope.apply_motion(movie, shifts, fill=0, out=out, n_threads=1)

    cases = {
        "decode": (lambda: floors.decode(files[:1]), are_all, 1),
        "decode_all": (lambda: floors.decode(files), are_all, at_once),
        "write": (lambda: floors.write(scratch, movie), lambda _: None, 1),
        "read_disk": (lambda: floors.read(scratch, out, is_cached=False), is_there, 1),
        "read_memory": (lambda: floors.read(scratch, out, is_cached=True), is_there, 1),
        "copy": (lambda: floors.copy(movie, out), is_there, 1),
        "apply": (lambda: moved, lambda _: None, 1),
    }
    found = {}
    for name, (prepare, check, files_at_once) in cases.items():
        seconds, _ = timed(prepare, check, job["repeats"], job["budget_s"])
        found[name] = per_frame(seconds, count * files_at_once)
    scratch.unlink()
    return found | {"frame_bytes": movie[0].nbytes, "at_once": at_once}


def write(job: dict) -> dict:
    """Write those files of the recording that are missing."""
    from . import recording

    return recording.write(job["folder"], job["file_frames"], job["files"])
