# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside a peer's environment: one job, given and answered as JSON."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.worker import answer, error_px, versions

from . import movie as movies


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
    answer({"movie": movies.write, "simulated": movies.write_simulated, "estimate": estimate})
