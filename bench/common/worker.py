# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside a peer's environment: one job, given and answered as JSON."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import warnings
from collections.abc import Callable


def answer(jobs: dict[str, Callable[[dict], dict]]) -> None:
    """Do the job of the command line and print its answer.

    Parameters
    ----------
    jobs : dict
        What can be asked for: ``job["job"]`` names one, which is called with the job.
    """
    job = json.loads(sys.argv[1])
    answer_to = os.dup(1)
    os.dup2(2, 1)  # what a peer prints is not the answer
    if "core" in job:
        os.sched_setaffinity(0, {job["core"]})
    warnings.simplefilter("ignore")
    try:
        found = jobs[job["job"]](job)
    except Exception as error:  # any peer may fail in any way: the page says how
        reason = " ".join(str(error).split())
        found = {"failed": f"{type(error).__name__}: {reason}"[:300]}
    with os.fdopen(answer_to, "w") as stream:
        stream.write(json.dumps(found) + "\n")


def error_px(shifts, displacement) -> dict:
    """RMS and largest error [px] of a correction, one constant per axis removed."""
    import numpy as np

    error = np.asarray(shifts, float) + displacement
    error = error - error.mean(axis=0)
    return {"rms": float(np.sqrt((error**2).mean())), "max": float(np.abs(error).max())}


def versions(packages) -> dict:
    """Versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
