# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that are compared: one small function each.

Every function is called with a movie and a template before the clock starts, and returns what is
timed: a call without arguments that gives the shifts in our convention, the correction (height,
width) in px, added to the content's position. Each runs in an environment that holds its package
alone, which is why imports are inside.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from .catalogue import JNORMCORRE_ITERATIONS, SEARCH_PX, UPSAMPLE

_SUITE2P_BATCH = 100  # frames at a time; its default
_JNORMCORRE_BATCH = 20  # frames at a time; what it takes itself for frames of this size

Run = Callable[[], np.ndarray]


def wrap(movie: np.ndarray, block: int):
    """A DataArray of dask blocks over the movie, as notebooks have it."""
    import dask
    import dask.array
    import xarray

    dask.config.set(scheduler="synchronous")
    frames, height, width = movie.shape
    return xarray.DataArray(
        dask.array.from_array(movie, chunks=(block, -1, -1)),
        dims=["frame", "height", "width"],
        coords={"frame": range(frames), "height": range(height), "width": range(width)},
        name="movie",
    )


def through_dask(module: ModuleType, movie: np.ndarray, block: int, **options) -> Run:
    """``estimate_motion`` of minian's module or of ours, from blocks to shifts."""
    wrapped = wrap(movie, block)
    return lambda: np.asarray(module.estimate_motion(wrapped, **options).compute())


def minian(
    movie: np.ndarray, template: np.ndarray, block: int | None = None, is_cleaned: bool = False
) -> Run:
    """minian in the version of the environment; on a copy, since it may write to its input.

    With `is_cleaned` the movie first goes through the steps that come before in its notebook.
    """
    import minian.motion_correction as module

    movie = _cleaned(movie) if is_cleaned else movie.copy()
    return through_dask(module, movie, block or len(movie))


def _cleaned(movie: np.ndarray) -> np.ndarray:
    """Without glow, noise and background, as minian's notebook does it and with its parameters."""
    from minian.preprocessing import denoise, remove_background

    frames = wrap(movie - movie.min(axis=0), len(movie))
    frames = denoise(frames, method="median", ksize=7)
    return remove_background(frames, method="tophat", wnd=15).compute().values


def drop_in(
    movie: np.ndarray, template: np.ndarray, block: int | None = None, **options: str
) -> Run:
    """Our module in place of minian's."""
    import stillscope.motion_correction as module

    return through_dask(module, movie, block or len(movie), **options)


def native(movie: np.ndarray, template: np.ndarray, **options: object) -> Run:
    """Our own function on the array."""
    import stillscope

    return lambda: stillscope.estimate_motion(movie, n_threads=1, **options).shifts


def scikit_image(
    movie: np.ndarray, template: np.ndarray, normalization: str | None, upsample: int = UPSAMPLE
) -> Run:
    """Correlation, refined by a matrix multiplication around its peak."""
    from skimage.registration import phase_cross_correlation

    options = {"upsample_factor": upsample, "normalization": normalization}
    return lambda: np.array(
        [phase_cross_correlation(template, frame, **options)[0] for frame in movie]
    )


def opencv_phase(movie: np.ndarray, template: np.ndarray) -> Run:
    """Phase correlation under a Hann window, as OpenCV's documentation advises."""
    import cv2

    cv2.setNumThreads(1)
    window = cv2.createHanningWindow(movie.shape[:0:-1], cv2.CV_32F)

    def shift(frame):
        (x, y), _ = cv2.phaseCorrelate(template, np.asarray(frame, np.float32), window)
        return -y, -x

    return lambda: np.array([shift(frame) for frame in movie])


def opencv_match(movie: np.ndarray, template: np.ndarray) -> Run:
    """The middle of the template looked for in each frame, then a parabola on each axis."""
    import cv2

    cv2.setNumThreads(1)
    dtype = np.uint8 if movie.dtype == np.uint8 else np.float32  # it takes no other
    if dtype == np.uint8:
        template = np.rint(template).clip(0, 255)
    inside = slice(SEARCH_PX, -SEARCH_PX)
    middle = np.ascontiguousarray(template[inside, inside].astype(dtype))

    def vertex(before, at, after):
        bend = before - 2 * at + after
        return 0.5 * (before - after) / bend if bend else 0.0

    def shift(frame):
        score = cv2.matchTemplate(np.asarray(frame, dtype), middle, cv2.TM_CCOEFF_NORMED)
        x, y = cv2.minMaxLoc(score)[3]
        moved = np.array([y, x], float) - SEARCH_PX
        if 0 < y < 2 * SEARCH_PX and 0 < x < 2 * SEARCH_PX:
            moved += vertex(*score[y - 1 : y + 2, x]), vertex(*score[y, x - 1 : x + 2])
        return -moved

    return lambda: np.array([shift(frame) for frame in movie])


def pystackreg(movie: np.ndarray, template: np.ndarray) -> Run:
    """Least squares over a pyramid, translation only."""
    from pystackreg import StackReg

    def shift(frame):
        matrix = StackReg(StackReg.TRANSLATION).register(template, frame)
        return -matrix[1, 2], -matrix[0, 2]

    return lambda: np.array([shift(frame) for frame in movie])


def jnormcorre(movie: np.ndarray, template: np.ndarray) -> Run:
    """Its rigid registration; asked for the shifts alone, so the compiler drops the rest."""
    import jax
    from jnormcorre.motion_correction import _register_to_template_rigid

    batch = _jnormcorre_batch(jax, _register_to_template_rigid)
    largest = (SEARCH_PX, SEARCH_PX)
    lowest = -np.float32(movie.min())

    def run():
        parts = [
            np.asarray(batch(movie[k : k + _JNORMCORRE_BATCH], template, largest, lowest))
            for k in range(0, len(movie), _JNORMCORRE_BATCH)
        ]
        return np.concatenate(parts)

    return run


def jnormcorre_template(movie: np.ndarray) -> np.ndarray:
    """The template that it finds itself."""
    from jnormcorre.motion_correction import MotionCorrect

    found = MotionCorrect(
        movie, max_shifts=(SEARCH_PX, SEARCH_PX), niter_rig=JNORMCORRE_ITERATIONS, pw_rigid=False
    )
    found.motion_correct()
    return np.asarray(found.total_template_rig, np.float32)


_compiled = {}


def _jnormcorre_batch(jax, register):
    """The compiled function, once a process."""
    if not _compiled:

        def shifts(frame, template, largest, lowest):
            return register(frame, template, largest, lowest)[1]

        _compiled["rigid"] = jax.jit(jax.vmap(shifts, in_axes=(0, None, None, None)))
    return _compiled["rigid"]


def suite2p(movie: np.ndarray, template: np.ndarray) -> Run:
    """Its rigid registration to its own reference image, without writing registered frames."""
    import torch
    from suite2p.parameters import default_settings
    from suite2p.registration.register import compute_reference, register_frames

    torch.set_num_threads(1)
    device = torch.device("cpu")
    frames = movie.astype(np.int16)
    settings = default_settings()["registration"]
    reference = compute_reference(frames[: settings["nimg_init"]].copy(), settings, device)
    asked = {key: settings[key] for key in ("norm_frames", "smooth_sigma", "spatial_taper")}

    def run():
        result = register_frames(
            frames, reference, batch_size=_SUITE2P_BATCH, nonrigid=False, apply_shifts=False,
            maxregshift=settings["maxregshift"], device=device, **asked,
        )  # fmt: skip
        y, x = result[3][:2]
        return -np.stack([y, x], axis=1).astype(float)

    return run
