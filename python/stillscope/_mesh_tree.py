# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of groups for meshes: `est_motion_chunk` with ``mesh_size``, in Python over SimpleITK.

The rigid tree is native (``include/stillscope/tree``); this one differs from it in its motions,
which are B-spline coefficients ``(2, gy, gx)`` as of `stillscope._mesh`, and costs half a second an
iteration, so that the walk itself weighs nothing.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from . import _check
from ._mesh import (
    check_side,
    checked_mesh_size,
    checked_upsample,
    fill_gaps,
    grid_shape,
    register_mesh,
    transform_mesh,
)

GOOD_SHARE_EXPECTED = 0.9


@dataclass(frozen=True)
class _GroupSettings:
    """Everything that the groups of a chunk share."""

    alt_error: float | None
    aggregation: str
    upsample: float
    max_sh: int
    circ_thres: float | None
    mesh_size: tuple[int, int]
    niter: int
    bin_thres: float | None
    slot_last: str
    check_temp: Callable[[np.ndarray, int], float] | None

    def register(self, src: np.ndarray, dst: np.ndarray, masked: bool) -> np.ndarray:
        """`register_mesh` with these settings; `masked` says whether `bin_thres` applies."""
        masks = {}
        if masked and self.bin_thres is not None:
            masks = {"src_mask": src > self.bin_thres, "dst_mask": dst > self.bin_thres}
        return register_mesh(
            src, dst, upsample=self.upsample, mesh_size=self.mesh_size, niter=self.niter, **masks
        )


def est_motion_chunk_mesh(
    items: np.ndarray,
    incoming: Sequence[np.ndarray] | None,
    npart: int,
    alt_error: float | None,
    *,
    aggregation: str = "mean",
    upsample: float = 100,
    max_sh: int = 100,
    circ_thres: float | None = None,
    mesh_size: Sequence[int],
    niter: int = 100,
    bin_thres: float | None = None,
    slot_last: str = "second",
    check_temp: Callable[[np.ndarray, int], float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Register a chunk of frames, or a stack of templates, to each other by B-splines.

    Parameters
    ----------
    items : array, shape (n, height, width) or (n, 3, height, width), any real dtype
        Frames, or templates with the slots first / aggregate / last. Never written to.
    incoming : None or sequence of n arrays, shape (k_i, 2, gy, gx)
        Motions that the items carry from the level below [px].
    npart : int
        Largest group that is solved at once, at least 2.
    alt_error : float or None
        Templates only: a pair whose coefficients differ anywhere by more than this [px] from those
        between the touching slots takes the smaller of the two (by the sum of absolute values).
        Where it is set, templates keep three slots; None or 0 turns both off.
    aggregation : {"mean", "max"}
        How the registered items of a group become its template.
    upsample, mesh_size, niter
        As in `register_mesh`.
    max_sh : int
        Handed to `check_temp` [px].
    circ_thres : float or None
        Frames whose ``check_temp(frame, max_sh)`` does not exceed it shape no template and pass
        their motion to no other frame. If that leaves none, all frames of the group are used.
    bin_thres : float or None
        Frames only: the metric sees the pixels above it.
    slot_last : {"second", "last"}
        Which good frame of a group fills the third slot; "second" is what minian does.
    check_temp : callable (frame, max_sh) -> float, optional
        The circularity measure; needed with `circ_thres`.

    Returns
    -------
    template : array, shape (3, height, width) with `alt_error`, else (height, width)
        Means of whole numbers are float64; floating-point frames and "max" keep their dtype. All
        NaN if no item has a finite pixel.
    motions : float64 array, shape (sum of k_i, 2, gy, gx)
        One row a frame [px], the mean over frames and grid removed group by group. All NaN for
        frames without any finite pixel.

    Warns
    -----
    UserWarning
        If frames had non-finite pixels (only without `incoming`: below, they have been counted),
        or if fewer than 90 % of a group pass `circ_thres`.

    Raises
    ------
    ValueError, TypeError
        If an argument is unusable; the message names it.
    ImportError
        If SimpleITK or scikit-image is missing.

    Notes
    -----
    The tree of groups is minian's (Dong et al. 2022, eLife 11:e70661): every item is registered
    to its neighbour towards the middle of its group, and the groups' templates again in groups.
    """
    items = _checked_items(items)
    npart = _check.integer(npart, "npart", 2)
    settings = _GroupSettings(
        alt_error=alt_error or None,
        aggregation=_check.choice(aggregation, "aggregation", ("mean", "max")),
        upsample=checked_upsample(upsample),
        max_sh=max_sh,
        circ_thres=circ_thres,
        mesh_size=checked_mesh_size(mesh_size),
        niter=_check.integer(niter, "niter", 0),
        bin_thres=bin_thres,
        slot_last=_check.choice(slot_last, "slot_last", ("second", "last")),
        check_temp=check_temp,
    )
    if circ_thres is not None and not callable(check_temp):
        raise TypeError(f"check_temp: expected a callable with circ_thres, got {check_temp!r}")
    rows = _checked_incoming(incoming, len(items), settings.mesh_size)
    items, alive, n_repaired = _repair_items(items)
    if incoming is None or (items.ndim == 3 and all(len(row) == 1 for row in rows)):
        _warn_non_finite(n_repaired, np.count_nonzero(~alive), len(items))
    return _solve_levels(items, alive, rows, npart, settings)


def _solve_levels(
    items: np.ndarray,
    alive: np.ndarray,
    rows: list[np.ndarray],
    npart: int,
    settings: _GroupSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve groups of at most `npart` items, then groups of their templates, until one is left."""
    while True:
        groups = np.array_split(np.arange(len(items)), math.ceil(len(items) / npart))
        spans = [slice(group[0], group[-1] + 1) for group in groups]
        solved = [_solve_group(items[s], alive[s], rows[s], settings) for s in spans]
        templates, rows = [list(part) for part in zip(*solved, strict=True)]
        if len(spans) == 1:
            return templates[0], rows[0]
        alive = np.array([alive[s].any() for s in spans])
        items = np.stack(templates)


def _solve_group(
    items: np.ndarray, alive: np.ndarray, rows: list[np.ndarray], settings: _GroupSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Template of one group, and the motions of all frames below it."""
    good = _good_items(items, alive, settings)
    motions = _group_motions(items, alive, good, settings)
    warped = [
        _warp_item(item, motion) for item, motion in zip(items[good], motions[good], strict=True)
    ]
    template = _template(warped, settings) if warped else _dead_template(items, settings)
    below = [row + motion for row, motion in zip(rows, motions, strict=True)]
    return template, np.concatenate(below)


def _good_items(items: np.ndarray, alive: np.ndarray, settings: _GroupSettings) -> np.ndarray:
    """Mark the items that may shape the template; only frames (2-D items) are tested."""
    if settings.circ_thres is None or items.ndim == 4 or len(items) == 1 or not alive.any():
        return alive
    good = alive.copy()
    for i in np.flatnonzero(alive):
        good[i] = settings.check_temp(items[i], settings.max_sh) > settings.circ_thres
    n_good, n = np.count_nonzero(good), len(items)
    if n_good < GOOD_SHARE_EXPECTED * n:
        warnings.warn(
            f"{n_good} of {n} frames of a group pass circ_thres={settings.circ_thres}"
            + ("" if n_good else ", so all of them are used")
            + "; consider lowering it",
            UserWarning,
            stacklevel=2,
        )
    return good if n_good else alive


def _group_motions(
    items: np.ndarray, alive: np.ndarray, good: np.ndarray, settings: _GroupSettings
) -> np.ndarray:
    """Centred motions of a group's items, float64 (n, 2, gy, gx); NaN where not alive."""
    n = len(items)
    motions = np.full((n, *grid_shape(settings.mesh_size)), np.nan)
    if not alive.any():
        return motions
    candidates = np.flatnonzero(good)
    mid = candidates[np.argmin(np.abs(candidates - n / 2))]
    motions[mid] = 0.0
    for i in (*range(mid - 1, -1, -1), *range(mid + 1, n)):  # from the middle outwards
        if not alive[i]:
            continue
        # The nearest good neighbour towards `mid` holds the sum of all steps further in.
        inner = candidates[candidates > i][0] if i < mid else candidates[candidates < i][-1]
        motions[i] = _pair_motion(items, i, inner, settings) + motions[inner]
    motions -= motions[alive].mean(axis=(0, 2, 3), keepdims=True)
    return motions


def _pair_motion(items: np.ndarray, i: int, inner: int, settings: _GroupSettings) -> np.ndarray:
    """Coefficients that register item `i` to its neighbour `inner`."""
    if items.ndim == 3:
        return settings.register(items[i], items[inner], masked=True)
    first, aggregate, last = range(3)
    motion = settings.register(items[i, aggregate], items[inner, aggregate], masked=False)
    if settings.alt_error is None:
        return motion
    touching = (last, first) if i < inner else (first, last)
    other = settings.register(items[i, touching[0]], items[inner, touching[1]], masked=False)
    apart = (np.abs(motion - other) > settings.alt_error).any()
    return other if apart and np.abs(motion).sum() > np.abs(other).sum() else motion


def _warp_item(item: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """A frame, or every slot of a template, warped with fill 0."""
    if item.ndim == 2:
        return transform_mesh(item, motion, 0)
    return np.stack([transform_mesh(slot, motion, 0) for slot in item])


def _template(warped: list[np.ndarray], settings: _GroupSettings) -> np.ndarray:
    """Template of a group from its warped good items."""
    stack = np.stack(warped)
    over = tuple(range(stack.ndim - 2))  # items, and slots where there are some
    aggregate = stack.mean(axis=over) if settings.aggregation == "mean" else stack.max(axis=over)
    if settings.alt_error is None:
        return aggregate
    if stack.ndim == 4:
        return np.stack([stack[0, 0], aggregate, stack[-1, 2]])
    last = -1 if settings.slot_last == "last" else min(1, len(stack) - 1)
    return np.stack([stack[0], aggregate, stack[last]])


def _dead_template(items: np.ndarray, settings: _GroupSettings) -> np.ndarray:
    """All-NaN template of a group without a living item."""
    slots = () if settings.alt_error is None else (3,)
    return np.full((*slots, *items.shape[-2:]), np.nan, dtype=items.dtype)


def _repair_items(items: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Fill the gaps of a chunk, on a copy, and only if it has some.

    Returns the items, whether each of them (all of its slots) has a finite pixel, and how many
    were changed. Dead items are left as they are and must not be looked at again.
    """
    repaired, alive = items, np.ones(len(items), dtype=bool)
    changed = np.zeros(len(items), dtype=bool)
    for index in np.ndindex(items.shape[:-2]):
        frame = items[index]
        filled = fill_gaps(frame)
        if filled is None:
            alive[index[0]] = False
        elif filled is not frame:
            repaired = items.copy() if repaired is items else repaired
            repaired[index] = filled
            changed[index[0]] = True
    return repaired, alive, np.count_nonzero(changed & alive)


def _warn_non_finite(n_repaired: int, n_dead: int, n: int) -> None:
    """One warning that counts the damaged frames of a chunk."""
    if n_repaired or n_dead:
        warnings.warn(
            f"non-finite pixels: in {n_repaired} of {n} frames some were replaced by the frame's "
            f"finite mean for the estimate; {n_dead} had no finite pixel and get NaN motion",
            UserWarning,
            stacklevel=3,
        )


def _checked_items(items: np.ndarray) -> np.ndarray:
    items = _check.frames(items, "items", (3, 4))
    if items.ndim == 4 and items.shape[1] != 3:
        raise ValueError(f"items: expected three slots along axis 1, got shape {items.shape}")
    check_side(items.shape, "items")
    return items.astype(items.dtype.newbyteorder("="), copy=False)


def _checked_incoming(
    incoming: Sequence[np.ndarray] | None, n: int, mesh_size: tuple[int, int]
) -> list[np.ndarray]:
    """Motions of the level below, one array an item; zero for an item that is one frame."""
    grid = grid_shape(mesh_size)
    if incoming is None:
        return [np.zeros((1, *grid))] * n
    rows = [np.asarray(row, dtype=np.float64) for row in incoming]
    if len(rows) != n:
        raise ValueError(f"incoming: expected one array for each of the {n} items, got {len(rows)}")
    for row in rows:
        if row.ndim != 4 or row.shape[1:] != grid:
            raise ValueError(
                f"incoming: expected arrays of shape (k, {str(grid)[1:]}, got {row.shape}"
            )
    return rows
