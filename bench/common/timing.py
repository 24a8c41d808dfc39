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


def between(ours: Callable[[], dict], theirs: Callable[[], dict], *, is_ours: bool) -> dict:
    """Their result between two runs of ours.

    Parameters
    ----------
    ours, theirs : callable
        Measure, and return a row with ``ms``, times a frame, or ``failed``.
    is_ours : bool
        Whether they are the same, which is then measured once.

    Returns
    -------
    dict
        Their row, with ``ours_ms``, the medians of ours before and after, and ``ratio``: how many
        times the mean of the two.
    """
    before = None if is_ours else ours()
    result = theirs()
    after = None if is_ours else ours()
    if is_ours and "ms" in result:
        return result | {"ratio": 1.0}
    if "ms" in result and "ms" in before and "ms" in after:
        median = [before["ms"]["median"], after["ms"]["median"]]
        return result | {"ours_ms": median, "ratio": 2 * result["ms"]["median"] / sum(median)}
    return result
