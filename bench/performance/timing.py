# SPDX-License-Identifier: GPL-3.0-or-later
"""How jobs are timed, and what counts as an answer."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

from common.worker import error_px

_LARGEST_ERROR_PX = 1.0  # RMS: what is further off is not an answer


def spread(values: list[float]) -> dict:
    """Median, lowest and highest, and the number of runs."""
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "runs": len(values),
    }


def right_error_px(shifts, displacement) -> dict:
    """RMS and largest error [px], one constant per axis removed.

    Raises
    ------
    ValueError
        If it is too large to be an answer.
    """
    found = error_px(shifts, displacement)
    if not found["rms"] <= _LARGEST_ERROR_PX:
        raise ValueError(f"wrong answer, RMS error {found['rms']:.2f} px")
    return found


def timed(prepare: Callable, check: Callable, repeats: int, budget_s: float) -> tuple[dict, dict]:
    """Times of ``prepare()()`` [s], where only the inner call is timed, and the last check."""
    times, checked = [], {}
    while len(times) < repeats and sum(times) < budget_s:
        run = prepare()
        gc.collect()
        start = time.perf_counter()
        answer = run()
        times.append(time.perf_counter() - start)
        checked = check(answer)
    return spread(times), checked


def per_frame(seconds: dict, frames: int) -> dict:
    """The same in ms a frame."""
    times = {key: seconds[key] / frames * 1e3 for key in ("median", "low", "high")}
    return times | {"runs": seconds["runs"]}
