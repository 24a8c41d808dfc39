# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs whose fields are compared: one small function each.

As those of :mod:`common.peers`, each runs in an environment that holds its package alone, which is
why imports are inside. It is called with a movie before the clock starts, and returns an
:class:`Estimator`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.catalogue import SEARCH_PX
from common.peers import wrap

_SUITE2P_LEVELS = 8  # it takes 16 bits: so many of its levels are one of the movie
_JNORMCORRE_UPSAMPLE = 10  # tenths of a pixel, as its own calls ask for
_JNORMCORRE_BATCH = 20  # frames at a time; what it takes itself for frames of this size

# Corrections (frame, len(y), len(x), 2), (height, width) [px], at rows y and columns x of the
# template: to be added to the content's position.
Field = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Estimator:
    """What is timed.

    Attributes
    ----------
    register : callable
        From what `reference` returned, the fields of all frames.
    reference : callable, optional
        Makes what frames are registered to, where the program does that first.
    """

    register: Callable[[Any], Field]
    reference: Callable[[], Any] | None = None


def ours(movie: np.ndarray, **options: object) -> Estimator:
    """Our own function."""
    import stillscope

    return Estimator(lambda _: stillscope.estimate_motion(movie, n_threads=1, **options).field)


def suite2p(movie: np.ndarray) -> Estimator:
    """Its non-rigid registration to its own reference image; registered frames are not made."""
    import torch
    from suite2p.parameters import default_settings
    from suite2p.registration.register import compute_reference, register_frames

    torch.set_num_threads(1)
    device = torch.device("cpu")
    frames = np.rint(_SUITE2P_LEVELS * movie).astype(np.int16)
    settings = default_settings()["registration"]
    names = (
        "batch_size", "block_size", "maxregshift", "maxregshiftNR", "norm_frames", "smooth_sigma",
        "smooth_sigma_time", "snr_thresh", "spatial_taper", "subpixel",
    )  # fmt: skip
    asked = {name: settings[name] for name in names}

    def reference():
        return compute_reference(frames[: settings["nimg_init"]].copy(), settings, device)

    def register(reference):
        _, _, _, offsets, blocks, *_ = register_frames(
            frames, reference, nonrigid=True, apply_shifts=False, device=device, **asked
        )
        rigid, of_blocks = (np.stack(pair, axis=-1) for pair in (offsets[:2], offsets[3:5]))
        rows, columns, (down, across) = blocks[:3]
        centres = _middles(rows[::across]), _middles(columns[:across])
        # It says where frames are sampled.
        grid = -(rigid[:, None] + of_blocks).reshape(len(frames), down, across, 2)
        return _between_centres(grid, *centres)

    return Estimator(register, reference)


def jnormcorre(movie: np.ndarray, sigma: int) -> Estimator:
    """Its piecewise-rigid registration to its own template; asked for the shifts of patches alone.

    Frames are looked at under its high-pass filter (`sigma` in px), as it advises for one-photon
    recordings. Its `MotionCorrect` makes the template, but keeps the shifts of one patch: all of
    them come from the function that it calls for each batch of frames.
    """
    from jnormcorre.motion_correction import MotionCorrect
    from jnormcorre.onephotonmethods import get_kernel, high_pass_batch

    kernel, largest = get_kernel([sigma]), (SEARCH_PX, SEARCH_PX)
    lowest = np.float32(high_pass_batch(kernel, movie).min())
    correction = MotionCorrect(
        movie, max_shifts=largest, pw_rigid=True, gSig_filt=[sigma], min_mov=lowest
    )
    axes = list(zip(movie.shape[1:], correction.strides, correction.overlaps))
    batch = _patch_shifts(
        correction.strides, correction.overlaps, largest, correction.max_deviation_rigid
    )

    def reference():
        correction.motion_correct()
        return np.asarray(correction.total_template_els, np.float32)

    def register(template):
        parts = []
        for k in range(0, len(movie), _JNORMCORRE_BATCH):
            frames = movie[k : k + _JNORMCORRE_BATCH]
            parts.append(batch(frames, high_pass_batch(kernel, frames), template, -lowest))
        centres = [_patch_centres(*numbers) for numbers in axes]
        grid = np.concatenate(parts).reshape(len(movie), *map(len, centres), 2)
        return _between_centres(grid, *centres)

    return Estimator(register, reference)


@functools.cache
def _patch_shifts(strides, overlaps, largest, deviation):
    """The compiled function, once a process: the compiler drops what makes the frames."""
    import jax
    from jnormcorre.motion_correction import _register_to_template_1p_pwrigid

    settings = (*strides, *overlaps, largest, _JNORMCORRE_UPSAMPLE, deviation)

    def shifts(frame, filtered, template, lowest):
        return _register_to_template_1p_pwrigid(frame, filtered, template, *settings, lowest)[1]

    return jax.jit(jax.vmap(shifts, in_axes=(0, 0, None, None)))


def minian(movie: np.ndarray, mesh_size: tuple[int, int]) -> Estimator:
    """Its `mesh_size`, which is a B-spline of SimpleITK's."""
    import minian.motion_correction as module
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    parameters = module.get_bspline_param(movie[0], mesh_size)

    def register(_):
        # A copy, since it may write to its input; SimpleITK does not take the shifts of float32.
        frames = wrap(movie.astype(float), len(movie))
        found = np.asarray(module.estimate_motion(frames, mesh_size=mesh_size).compute())
        return lambda y, x: np.stack([_mesh_field(SimpleITK, c, parameters, y, x) for c in found])

    return Estimator(register)


def _mesh_field(itk, coefficients: np.ndarray, parameters, y, x) -> np.ndarray:
    """Corrections (len(y), len(x), 2) by the B-spline that says where a frame is sampled."""
    spline = itk.BSplineTransform([itk.GetImageFromArray(c) for c in coefficients])
    spline.SetFixedParameters(parameters)
    # ITK has x first.
    to = np.array([[spline.TransformPoint((float(b), float(a)))[::-1] for b in x] for a in y])
    return np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1) - to


def _middles(ends) -> np.ndarray:
    """Of pixels from a first to before a last."""
    return np.array([(first + last - 1) / 2 for first, last in ends])


def _patch_centres(size: int, stride: int, overlap: int) -> np.ndarray:
    """Of jnormcorre's patches along an axis: the last is moved to end with the frame."""
    length = stride + overlap
    first = np.append(np.arange(0, size - length, stride), size - length)
    return first + (length - 1) / 2


def _between_centres(grid: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Field:
    """Linear between the centres of patches, and beyond the outermost as there."""

    def field(y, x):
        along = _weights(y, rows), _weights(x, columns)
        return np.einsum("yr,xc,trca->tyxa", *along, grid)

    return field


def _weights(at: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Share of each centre in the value at each position: (position, centre)."""
    return np.stack([np.interp(at, centres, unit) for unit in np.eye(len(centres))], axis=1)
