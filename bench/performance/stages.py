# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the time of an estimate goes: each stage beside the floor that no program gets below.

The C++ benchmarks ``stage_NAME<TYPE>`` and ``floor_NAME<TYPE>`` time one call each; their counter
``per_frame`` says how often a movie pays for it, a frame.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess

from common.environments import (
    OURS,
    ROOT,
    EnvironmentFailed,
    build_kernels,
    clean_environment,
    say,
)

from .comparison import measure, movie_folder
from .plan import BUILD, EXTENT, TYPES, Plan

KERNELS = ROOT / "build" / "bench" / "bench" / "bench_kernels"
_NAME = re.compile(r"^(?P<kind>stage|floor)_(?P<stage>\w+)<(?P<type>[\w: ]+)>")
_TYPE_NAMES = {"float": "float32", "double": "float64"}
_PRIVATE = ("executable", "host_name")  # of the context: whose machine it is
_MS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}


def stages(plan: Plan, should_build: bool) -> dict:
    """Time of every stage and floor [ms a frame], and of whole estimates.

    Parameters
    ----------
    plan : Plan
        Repetitions, and frames of the whole estimate.
    should_build : bool
        Whether the benchmarks are built first.

    Returns
    -------
    dict
        ``kernels``: a row a stage and pixel type; ``estimates``: one a pixel type; or ``failed``.
    """
    try:
        if should_build:
            build_kernels()
        output = _run(plan)
    except EnvironmentFailed as error:
        say(f"  FAILED: {error}")
        return {"failed": str(error)}
    rows = parse(output)
    if not rows:
        return {"failed": "bench_kernels has no benchmark named stage_NAME<TYPE>"}
    estimates = {}
    for dtype in TYPES:
        job = {
            "job": "estimate", "peer": "native", "folder": movie_folder(EXTENT), "dtype": dtype,
            "frames": plan.peer_frames, "repeats": plan.repeats, "budget_s": plan.budget_s,
        }  # fmt: skip
        estimates[dtype] = measure(OURS, job)
    say(f"  {len(rows)} stages measured")
    context = {k: v for k, v in output.get("context", {}).items() if k not in _PRIVATE}
    return {"kernels": rows, "estimates": estimates, "context": context}


def parse(output: dict) -> list[dict]:
    """Rows from the JSON of Google Benchmark.

    Parameters
    ----------
    output : dict
        With ``benchmarks``; repetitions of one name are brought to their median.

    Returns
    -------
    list of dict
        ``stage``, ``dtype``, ``per_frame`` and ``ms`` (a frame: the time of a call multiplied by
        ``per_frame``) with ``low`` and ``high``, the same of the floor as ``floor_ms``; in the
        order of the benchmarks. The floor is None where there is none.
    """
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    counts: dict[tuple[str, str], float] = {}
    for benchmark in output.get("benchmarks", []):
        match = _NAME.match(benchmark["name"])
        if not match or benchmark.get("run_type", "iteration") != "iteration":
            continue
        if benchmark.get("error_occurred"):
            continue
        key = match["stage"], _dtype(match["type"])
        times = found.setdefault(key, {"stage": [], "floor": []})
        count = benchmark.get("per_frame", 1.0)
        if match["kind"] == "stage":
            counts[key] = count
        time = benchmark["real_time"] * _MS[benchmark["time_unit"]]
        times[match["kind"]].append(time * count)
    return [
        {
            "stage": stage, "dtype": dtype, "per_frame": counts[stage, dtype],
            "ms": _spread(times["stage"]), "floor_ms": _spread(times["floor"]),
        }
        for (stage, dtype), times in found.items()
        if times["stage"]
    ]  # fmt: skip


def _spread(times: list[float]) -> dict | None:
    if not times:
        return None
    return {"median": statistics.median(times), "low": min(times), "high": max(times)}


def _dtype(name: str) -> str:
    name = name.strip()
    return _TYPE_NAMES.get(name, name.removeprefix("std::").removesuffix("_t"))


def _run(plan: Plan) -> dict:
    """Run the benchmarks on one core."""
    if not KERNELS.exists():
        raise EnvironmentFailed("bench_kernels is not built")
    core = str(min(os.sched_getaffinity(0)))
    held = ["taskset", "-c", core] if shutil.which("taskset") else []
    out = BUILD / "kernels.json"
    command = [
        *held, KERNELS, "--benchmark_filter=^(stage|floor)_", f"--benchmark_out={out}",
        "--benchmark_out_format=json", f"--benchmark_repetitions={plan.kernel_repeats}",
        f"--benchmark_min_time={plan.kernel_seconds}",
    ]  # fmt: skip
    out.unlink(missing_ok=True)
    environment = clean_environment() | {"STILLSCOPE_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise EnvironmentFailed(f"bench_kernels: exit status {done.returncode}: {reason}")
    text = out.read_text() if out.exists() else ""
    return json.loads(text) if text.strip() else {}
