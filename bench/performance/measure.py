# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside a peer's environment: one job, given and answered as JSON.

An answer is checked against the known motion before anything is timed, and so is the answer of
every timed run: a fast wrong answer is not a measurement.
"""

from __future__ import annotations

import gc
import time

from common.timing import per_frame, right_error_px, spread, timed
from common.worker import answer, versions

from . import file_jobs

_LARGEST_DIFFERENCE = {"u": 0.75, "f": 0.01}  # of applied frames from bilinear [grey levels, mean]
_CHECKED_FRAMES = 8  # applied frames that are checked
_MIB = 1024.0 * 1024.0


def estimate(job: dict) -> dict:
    """A peer's estimate: time and error.

    ``check_frames``: frames of the run that comes first and is not timed (default: all).
    ``block``: frames of a dask block (default: all in one).
    """
    peer, prepare, movie, displacement = _case(job)
    first = job.get("check_frames", len(movie))
    right_error_px(prepare(movie[:first])(), displacement[:first])
    seconds, error = timed(
        lambda: prepare(movie),
        lambda shifts: right_error_px(shifts, displacement),
        job["repeats"], job["budget_s"],
    )  # fmt: skip
    return {
        "frames": len(movie),
        "seconds": seconds,
        "ms": per_frame(seconds, len(movie)),
        "error_px": error,
        "versions": versions(peer.packages),
    }


def memory(job: dict) -> dict:
    """What a peer's first estimate in a process takes above its input [MiB]."""
    peer, prepare, movie, displacement = _case(job)
    run = prepare(movie)
    gc.collect()
    before = reset_peak()
    answer = run()
    peak = peak_mib() - before
    return {
        "frames": len(movie),
        "peak_mib": peak,
        "input_mib": movie.nbytes / _MIB,
        "error_px": right_error_px(answer, displacement),
        "versions": versions(peer.packages),
    }


def _case(job: dict):
    """The peer, what prepares its run from a movie, the movie and its motion."""
    from common import catalogue, peers

    from . import movie as movies

    movie, displacement = movies.read(
        job["folder"], job["dtype"], job["frames"], job.get("scratch")
    )
    template = movies.template(job["folder"])
    peer = catalogue.PEERS[job["peer"]]
    options = peer.options | ({"block": job["block"]} if "block" in job else {})
    function = getattr(peers, peer.function)
    return peer, lambda frames: function(frames, template, **options), movie, displacement


def apply(job: dict) -> dict:
    """A way to apply known shifts, into a buffer that exists."""
    import numpy as np

    from . import appliers, catalogue
    from . import movie as movies

    movie, displacement = movies.read(job["folder"], job["dtype"], job["frames"])
    shifts, out = -displacement, np.zeros_like(movie)
    applier = catalogue.APPLIERS[job["applier"]]
    run = getattr(appliers, applier.function)(movie, shifts, out)

    def check(_):
        return {"levels": appliers.difference(movie, shifts, out, _CHECKED_FRAMES)}

    run()
    largest = _LARGEST_DIFFERENCE[movie.dtype.kind]
    difference = check(None)["levels"]
    if not difference <= largest:
        raise ValueError(f"wrong answer, {difference:.2f} grey levels from bilinear")
    seconds, checked = timed(lambda: run, check, job["repeats"], job["budget_s"])
    return {
        "frames": len(movie),
        "ms": per_frame(seconds, len(movie)),
        "difference_levels": checked["levels"],
        "versions": versions(applier.packages),
    }


def threads(job: dict) -> dict:
    """Our estimate and applying with each number of threads, in turns in one process."""
    import numpy as np
    import stillscope

    from . import movie as movies

    movie, displacement = movies.read(job["folder"], job["dtype"], job["frames"])
    out = np.zeros_like(movie)
    one = stillscope.estimate_motion(movie, n_threads=1, refine=0).shifts
    error = right_error_px(one, displacement)
    found = {n: {"estimate": [], "apply": []} for n in job["threads"]}
    for _ in range(job["repeats"]):
        for n, times in found.items():
            start = time.perf_counter()
            shifts = stillscope.estimate_motion(movie, n_threads=n, refine=0).shifts
            middle = time.perf_counter()
            stillscope.apply_motion(movie, shifts, out=out, n_threads=n)
            times["estimate"].append(middle - start)
            times["apply"].append(time.perf_counter() - middle)
            if not np.array_equal(shifts, one):
                raise ValueError(f"wrong answer, {n} threads give other shifts than one")
    return {
        "frames": len(movie),
        "error_px": error,
        "threads": {
            str(n): {what: per_frame(spread(v), len(movie)) for what, v in times.items()}
            for n, times in found.items()
        },
    }


def sizes(job: dict) -> dict:
    """Our estimate and applying on one size of frame, the pixel types in turns."""
    import numpy as np
    import stillscope

    from . import movie as movies

    source, displacement = movies.read(job["folder"], "float32", job["frames"])
    cases = {dtype: movies.convert(source, dtype) for dtype in job["dtypes"]}
    out = {dtype: np.zeros_like(movie) for dtype, movie in cases.items()}
    found = {dtype: {"estimate": [], "apply": []} for dtype in cases}
    error = {}
    for dtype, movie in cases.items():
        shifts = stillscope.estimate_motion(movie, n_threads=1, refine=0).shifts
        error[dtype] = right_error_px(shifts, displacement)
        stillscope.apply_motion(movie, shifts, out=out[dtype], n_threads=1)
    for _ in range(job["repeats"]):
        for dtype, movie in cases.items():
            start = time.perf_counter()
            motion = stillscope.estimate_motion(movie, n_threads=1, refine=0)
            middle = time.perf_counter()
            stillscope.apply_motion(movie, motion, out=out[dtype], n_threads=1)
            found[dtype]["estimate"].append(middle - start)
            found[dtype]["apply"].append(time.perf_counter() - middle)
            right_error_px(motion.shifts, displacement)
    return {
        dtype: {what: per_frame(spread(v), len(source)) for what, v in times.items()}
        | {"error_px": error[dtype]}
        for dtype, times in found.items()
    }


def write_movie(job: dict) -> dict:
    """Write a simulated movie."""
    from . import movie as movies

    return movies.write(job["folder"], job["frames"], job["height"], job["width"])


def reset_peak() -> float:
    """Memory in use [MiB]; from here on the high-water mark is counted anew."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return _status_mib("VmRSS")


def peak_mib() -> float:
    """High-water mark of memory [MiB] since the last reset."""
    return _status_mib("VmHWM")


def _status_mib(field: str) -> float:
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(field):
                return int(line.split()[1]) / 1024.0
    raise OSError(f"/proc/self/status has no {field}")


_JOBS = {
    "estimate": estimate,
    "memory": memory,
    "apply": apply,
    "threads": threads,
    "sizes": sizes,
    "movie": write_movie,
    "recording": file_jobs.write,
    "correct": file_jobs.correct,
    "floors": file_jobs.alone,
}

if __name__ == "__main__":
    answer(_JOBS)
