# SPDX-License-Identifier: GPL-3.0-or-later
"""The section on motion that differs across the frame: its programs, and how it is measured.

:mod:`accuracy.field_programs` has the functions that are named here.
"""

from __future__ import annotations

from functools import partial

from common import environments
from common.catalogue import OPENCV, SEARCH_PX, Peer
from common.environments import OURS, EnvironmentFailed, run_job
from common.tables import number
from common.timing import between

from .plan import FEW, Case, Plan

AGAINST, RIGID = "nonrigid", "rigid"  # ours: what times are divided by; what to do better than
_SIGMA_PX = 3  # of jnormcorre's high-pass filter: of 3, 5, 7 and 10 the most exact
_MESH = (6, 6)  # cells along x and y: one in 100 px, as minian itself has it


def _ours(options: dict, settings: str) -> Peer:
    return Peer(
        "`stillscope.estimate_motion`", OURS, "ours", settings, "its own",
        ("stillscope", "numpy"), options,
    )  # fmt: skip


PROGRAMS: dict[str, Peer] = {
    AGAINST: _ours({"nonrigid": True}, "`nonrigid=True`"),
    "nonrigid-patches": _ours({"nonrigid": "patches"}, '`nonrigid="patches"`'),
    RIGID: _ours({}, "its defaults, rigid"),
    "suite2p-nonrigid": Peer(
        "suite2p {}", "suite2p", "suite2p", "non-rigid, its defaults: blocks of 128 px", "its own",
        ("suite2p", "torch"),
    ),
    "jnormcorre-nonrigid": Peer(
        "jnormcorre {}", "jnormcorre", "jnormcorre",
        f"`pw_rigid=True, gSig_filt=[{_SIGMA_PX}]`, up to {SEARCH_PX} px; else its defaults: "
        "patches of 128 px",
        "its own", ("jnormcorre", "jax"), {"sigma": _SIGMA_PX},
    ),
    "minian-2-mesh": Peer(
        "minian {}", "minian-2", "minian", f"`mesh_size={_MESH}`", "none: neighbours, up a tree",
        ("minian", "simpleitk", *OPENCV, "numpy"), {"mesh_size": _MESH}, is_slow=True,
    ),
}  # fmt: skip

# Here times count, so processes are held on one core.
measure = partial(run_job, "accuracy.measure")


def programs(case: Case) -> list[str]:
    """Those that are given this movie: slow programs few frames, and two ways of ours the same."""
    is_few = case.panel == FEW
    return [
        name for name, peer in PROGRAMS.items()
        if peer.is_slow == is_few or (is_few and name in (AGAINST, RIGID))
    ]  # fmt: skip


def row(plan: Plan, case: Case, name: str, folder: str, facts: dict) -> dict:
    """A program's time and error, between two runs of ours.

    Parameters
    ----------
    plan : Plan
        Repeats.
    case : Case
        ``x`` is the number of frames.
    name : str
        One of ``PROGRAMS``.
    folder : str
        Of the movie.
    facts : dict
        What the movie is like.
    """
    peer = PROGRAMS[name]
    job = {
        "job": "fields", "folder": folder, "frames": case.x, "repeats": plan.field_repeats,
        "budget_s": plan.field_budget_s,
    }  # fmt: skip
    found = {
        "panel": case.panel, "x": case.x, "name": name, "label": peer.label,
        "settings": peer.settings, "template": peer.template,
        "is_ours": peer.environment == OURS, "movie": facts,
    }  # fmt: skip
    try:
        environments.make(peer.environment)
    except EnvironmentFailed as error:
        return found | {"failed": f"not installed: {error}"}
    return found | between(
        lambda: measure(OURS, job | {"program": AGAINST}),
        lambda: measure(peer.environment, job | {"program": name}),
        is_ours=name == AGAINST,
    )


def short(row: dict) -> str:
    """A line of progress."""
    error = row["error_px"]
    return f"{number(error['local'])} px local, {number(row['ms']['median'])} ms a frame"
