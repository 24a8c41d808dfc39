# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements beside the peers: estimating, applying, and the table over blocks."""

from __future__ import annotations

from functools import partial

from common.catalogue import PEERS
from common.environments import EnvironmentFailed, make, run_job, say
from common.timing import between

from .catalogue import APPLIERS
from .plan import EXTENT, MOVIES, TYPES, Plan

measure = partial(run_job, "performance.measure")

_CHECK_FRAMES = 40  # of the untimed run that comes first where a timed one takes minutes
_BLOCK_TYPE = "uint8"  # of the table over blocks: as a miniscope records
BLOCK_PEERS = ("minian-1", "minian-2", "dask")


def movie_folder(extent: tuple[int, int]) -> str:
    """Where the movie of this size lies."""
    return str(MOVIES / f"{extent[0]}x{extent[1]}")


def peers(plan: Plan, only: set[str] = frozenset()) -> list[dict]:
    """Every peer's time and error, each between two runs of ours.

    Parameters
    ----------
    plan : Plan
        Frames and repeats.
    only : set of str
        Names of peers; empty: all.

    Returns
    -------
    list of dict
        A row a peer, pixel type and allocator.
    """
    rows = []
    for name, peer in PEERS.items():
        if only and name not in only:
            continue
        for dtype in TYPES:
            for tuned in (False, True) if peer.is_tuned_too else (False,):
                rows.append(_peer(plan, name, dtype, tuned))
    return rows


def _peer(plan: Plan, name: str, dtype: str, tuned: bool) -> dict:
    peer = PEERS[name]
    job = {
        "job": "estimate", "folder": movie_folder(EXTENT), "dtype": dtype,
        "frames": plan.slow_frames if peer.is_slow else plan.peer_frames,
        "repeats": plan.repeats, "budget_s": plan.budget_s,
    }  # fmt: skip
    row = {
        "name": name, "label": peer.label, "environment": peer.environment,
        "settings": peer.settings, "template": peer.template, "against": peer.against,
        "dtype": dtype, "tuned": tuned,
    }  # fmt: skip
    row |= between(
        lambda: _measure("stillscope", job | {"peer": peer.against}, tuned),
        lambda: _measure(peer.environment, job | {"peer": name}, tuned),
        is_ours=name == peer.against,
    )
    say(f"  {name}, {dtype}{', tuned' if tuned else ''}: {_short(row)}")
    return row


def apply(plan: Plan) -> list[dict]:
    """Every way to apply shifts, each between two runs of ours."""
    return [_applier(plan, name, dtype) for name in APPLIERS for dtype in TYPES]


def _applier(plan: Plan, name: str, dtype: str) -> dict:
    applier = APPLIERS[name]
    job = {
        "job": "apply", "folder": movie_folder(EXTENT), "dtype": dtype,
        "frames": plan.peer_frames, "repeats": plan.repeats, "budget_s": plan.budget_s,
    }  # fmt: skip
    row = {"name": name, "label": applier.label, "dtype": dtype}
    row |= between(
        lambda: _measure("stillscope", job | {"applier": "ours"}),
        lambda: _measure(applier.environment, job | {"applier": name}),
        is_ours=name == "ours",
    )
    say(f"  {name}, {dtype}: {_short(row)}")
    return row


def blocks(plan: Plan, is_long: bool) -> list[dict]:
    """minian before and after its speed-up and ours, over numbers of blocks.

    Parameters
    ----------
    plan : Plan
        Frames and repeats.
    is_long : bool
        Whether minian before its speed-up is run for many blocks too.

    Returns
    -------
    list of dict
        A row a number of blocks and program; ``skipped`` where it was not run.
    """
    rows = []
    for count in plan.blocks:
        for name in BLOCK_PEERS:
            row = {
                "name": name, "label": PEERS[name].label, "dtype": _BLOCK_TYPE,
                "blocks": count, "frames": count * plan.block,
            }  # fmt: skip
            if name == "minian-1" and count not in plan.slow_blocks and not is_long:
                rows.append(row | {"skipped": True})
                continue
            job = {
                "job": "estimate", "peer": name, "folder": movie_folder(EXTENT),
                "dtype": _BLOCK_TYPE, "frames": count * plan.block, "block": plan.block,
                "check_frames": min(_CHECK_FRAMES, plan.block),
                "repeats": plan.repeats, "budget_s": plan.budget_s,
            }  # fmt: skip
            row |= _measure(PEERS[name].environment, job)
            rows.append(row)
            say(f"  {name}, {row['frames']} frames in {count} blocks: {_short(row)}")
    return rows


def _measure(environment: str, job: dict, tuned: bool = False) -> dict:
    try:
        make(environment)
    except EnvironmentFailed as error:
        return {"failed": f"not installed: {error}"}
    return measure(environment, job, tuned=tuned)


def _short(row: dict) -> str:
    if "failed" in row:
        return f"FAILED: {row['failed']}"
    return f"{row['ms']['median']:.3f} ms a frame"
