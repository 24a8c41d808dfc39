# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside a peer's environment: one job, given and answered as JSON."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np

from common.timing import per_frame, timed
from common.worker import answer, error_px, versions

from . import movie as movies

_WARM_FRAMES = 20  # a batch of every program


def estimate(job: dict) -> dict:
    """A program's error with its own reference, and (``given``) with the best template there is."""
    from common import catalogue, peers

    path = Path(job["folder"])
    movie = np.load(path / "movie.npy")
    displacement = np.load(path / "displacement.npy")
    peer = catalogue.PEERS[job["peer"]]
    options = peer.options | job["options"]
    function = getattr(peers, peer.function)

    def shifts(template):
        return np.asarray(function(movie, template, **options)(), float)

    found = {"versions": versions(peer.packages)}
    if peer.function == "native" and options.get("refine") != 0:
        return found | _ours(movie, displacement, np.load(path / "affected.npy"), options)
    if peer.function == "jnormcorre":
        own = shifts(peers.jnormcorre_template(movie))
    elif peer.template == catalogue.GIVEN:
        own = _by_passes(movie, shifts, job["passes"])
    else:
        own = shifts(None)
    found["error_px"] = error_px(own, displacement)
    if job["given"] and peer.template == catalogue.GIVEN:
        template = np.load(path / "template.npy").astype(np.float32)
        found["given_error_px"] = error_px(shifts(template), displacement)
    return found


def _by_passes(movie: np.ndarray, shifts, passes: int) -> np.ndarray:
    """Shifts to the mean of the movie, then to the mean of the frames that these move."""
    from common.template import mean_template

    found = np.zeros((len(movie), 2))
    for _ in range(passes):
        found = shifts(mean_template(movie, found))
    return found


def fields(job: dict) -> dict:
    """A program's fields of frames spread over a movie that deforms: time and error."""
    from . import field_error, field_programs
    from .fields import PROGRAMS

    path = Path(job["folder"])
    truth = np.load(path / "fields.npy")
    some = np.linspace(0, len(truth) - 1, job["frames"]).astype(int)
    movie = np.load(path / "movie.npy", mmap_mode="r")[some]
    y, x = field_error.positions(movie.shape[1:])
    motion = field_error.of_template(truth[some], y, x)

    program = PROGRAMS[job["program"]]
    function = getattr(field_programs, program.function)
    if not program.is_slow:  # compilers and caches are warm before the clock starts
        _registered(function(movie[:_WARM_FRAMES], **program.options))
    estimator, found = function(movie, **program.options), {}
    start = time.perf_counter()
    reference = estimator.reference and estimator.reference()
    if estimator.reference:
        found["reference_s"] = time.perf_counter() - start
    seconds, error = timed(
        lambda: partial(estimator.register, reference),
        lambda field: field_error.field_error_px(field(y, x), motion),
        job["repeats"], job["budget_s"],
    )  # fmt: skip
    return found | {
        "frames": len(movie),
        "ms": per_frame(seconds, len(movie)),
        "error_px": error,
        "versions": versions(program.packages),
    }


def _registered(estimator) -> None:
    estimator.register(estimator.reference() if estimator.reference else None)


def _ours(movie, displacement, affected, options) -> dict:
    """Our estimate's error, and what it says of itself."""
    import stillscope

    motion = stillscope.estimate_motion(movie, n_threads=1, **options)
    quality = motion.quality
    flags = {"any": quality.flagged} | quality.flags
    # One constant of all frames removed, as in the error of all.
    error = motion.shifts + displacement
    error = error - error.mean(axis=0)
    return {
        "error_px": error_px(motion.shifts, displacement),
        "affected_px": float(np.sqrt(np.mean(error[affected] ** 2))) if affected.any() else None,
        "uncertainty_px": float(np.median(quality.uncertainty)),
        "similarity": float(np.median(quality.similarity)),
        "helps": motion.helps,
        "verdict": motion.verdict,
        "affected": int(affected.sum()),
        "flagged": {
            name: {"affected": int(flag[affected].sum()), "others": int(flag[~affected].sum())}
            for name, flag in flags.items()
            if flag.any()
        },
    }


if __name__ == "__main__":
    answer({
        "movie": movies.write, "simulated": movies.write_simulated, "estimate": estimate,
        "fields": fields,
    })  # fmt: skip
