# SPDX-License-Identifier: GPL-3.0-or-later
"""The plain API: movies in, NumPy arrays out."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from . import _check, _core
from ._source import FrameSource
from .filters import filter_settings, is_active
from .nonrigid import deform, deformation_of, nonrigid_settings
from .result import FrameQuality, MotionEstimate


def estimate_settings(
    npart: int,
    alt_error: float | None,
    aggregation: str,
    max_sh: int,
    circ_thres: float | None,
    slot_last: str,
    registrar: str,
) -> dict[str, Any]:
    """The options of the tree, checked, as the kernels take them."""
    alt_error = _check.optional_number(alt_error, "alt_error")
    if alt_error is not None and not alt_error >= 0:
        raise ValueError(f"alt_error: expected None or a number from 0, got {alt_error}")
    circ_thres = _check.optional_number(circ_thres, "circ_thres")
    if circ_thres is not None and math.isnan(circ_thres):
        raise ValueError(f"circ_thres: expected None or a number, got {circ_thres}")
    return {
        "npart": _check.integer(npart, "npart", 2),
        "alt_error": alt_error,
        "aggregation": _check.choice(aggregation, "aggregation", ("mean", "max")),
        "circ_thres": circ_thres,
        "max_sh": _check.integer(max_sh, "max_sh", 0),
        "slot_last": _check.choice(slot_last, "slot_last", ("second", "last")),
        "registrar": _check.choice(registrar, "registrar", ("fft", "coarse_to_fine")),
    }


def warn_of(
    result: dict[str, Any],
    circ_thres: float | None,
    stacklevel: int = 3,
    *,
    is_refined: bool = False,
) -> None:
    """One ``UserWarning`` for each thing about the frames that users should know."""
    for first, items, good in result["few_good"]:
        warnings.warn(
            f"{good} of {items} items ({100 * good / items:.0f} %) from {first} on are good "
            f"(circularity above {circ_thres})" + ("" if good else "; all of them are used"),
            UserWarning,
            stacklevel=stacklevel,
        )
    if result["repaired"] or result["dead"]:
        warnings.warn(
            f"frames with non-finite pixels: {result['repaired']} with some, {result['dead']} "
            "without any finite pixel; those that have more than the frames round them are flagged "
            "and take the shifts of their neighbours"
            if is_refined
            else f"frames with non-finite pixels: {result['repaired']} estimated with these "
            f"replaced by the frame's finite mean, {result['dead']} without any finite pixel "
            "(shift NaN)",
            UserWarning,
            stacklevel=stacklevel,
        )


def estimate_motion(
    movie: Any,
    *,
    preset: str | None = None,
    smooth: float | None = None,
    background: float | None = None,
    fixed_pattern: bool | None = None,
    region: tuple[slice, slice] | None = None,
    refine: int = 3,
    max_shift: float | None = None,
    bad_frames: Any = None,
    mask: Any = None,
    brightness: bool = True,
    robust: float = 3.0,
    highpass: float = 8.0,
    lowpass: float = 1.0,
    nonrigid: bool | str = False,
    spacing: float = 75.0,
    mesh_size: tuple[int, int] | None = None,
    deformation: float | None = None,
    npart: int = 3,
    alt_error: float | None = 5.0,
    aggregation: str = "mean",
    max_sh: int = 100,
    circ_thres: float | None = None,
    chunk: int | None = None,
    slot_last: str = "last",
    registrar: str = "coarse_to_fine",
    n_threads: int | None = None,
) -> MotionEstimate:
    """Estimate the motion of every frame of a movie.

    Frames are registered to their neighbours and merged into templates, which are registered and
    merged in turn, up a tree: the method of minian, by circular cross-correlation and a parabola
    through its peak. Then every frame is fitted to the mean of all registered frames by
    Gauss-Newton on the difference, again until shifts no longer move (``docs/algorithm.md``). The
    movie is read once for the tree and once for each of these passes, a few frames at a time.

    Parameters
    ----------
    movie : array_like
        ``(frame, height, width)``, any real dtype and strides. It is only read. NumPy arrays, and
        arrays that are read as they are needed: dask, zarr, h5py, xarray. The result does not
        depend on which, nor on their chunks.
    preset : {"miniscope", "2p"} or None
        A filter for the estimate alone: what is corrected is the movie as it is. ``"miniscope"``:
        ``smooth=1``, ``background=8`` and ``fixed_pattern=True``. ``"2p"``: ``smooth=1``. The three
        options that follow override it; None in all of them: no filter.
    smooth : float or None
        px: standard deviation of the Gaussian that takes noise away, up to 1000; 0: none.
    background : float or None
        px: standard deviation of the Gaussian whose blur is taken away, as are vignettes and glow,
        more than ``smooth`` and up to 1000; 0: none.
    fixed_pattern : bool or None
        Tell what stays on the sensor (dust, stripes, the rest of a vignette) from the scene that
        moves, and take it away. It costs a second tree: two more readings of the movie.
    region : tuple of slice or None
        Rows and columns that the estimate looks at; None: all. Shifts hold for the whole frame.
    refine : int
        Passes of the fit at most. 0: the tree's shifts as they are, no quality.
    max_shift : float or None
        px on each axis: frames further away are flagged and take the shift of their neighbours.
    bad_frames : array_like or None
        Frames that are known to be bad: a boolean for each frame, or indices. They shape no
        template and take the shift of their neighbours.
    mask : array_like or None
        ``(height, width)``, how much each pixel of the template counts in the fit: booleans, or
        numbers from 0 (not at all).
    brightness : bool
        Give each frame a gain and an offset of its own in the fit.
    robust : float
        Differences to the template count no more than this many standard deviations, so that active
        cells do not pull; 0: as they are.
    highpass : float
        px: what is smoother than this in the template (vignettes, which stay where they are) does
        not count in the fit; 0: all does.
    lowpass : float
        px: nor does what is finer than this, which is noise; 0: all does.
    nonrigid : {False, True, "patches"}
        Motion that differs across the frame (``docs/nonrigid.md``). True: the control points of a
        smooth field, by Gauss-Newton; frames whose parts lie far off are found by patches.
        "patches": from patches alone, rougher. It needs ``refine`` and the whole frame (no
        ``region``).
    spacing : float
        px between control points, at least 8, as near as whole cells of the mesh allow.
    mesh_size : tuple of int or None
        Cells of the mesh along ``(x, y)`` instead, as in the drop-in.
    deformation : float or None
        px: the root mean square size of deformations that is expected, by which fields are held to
        be smooth; None: learned from the movie, which is taken for rigid where it deforms by less
        than 0.06 px.
    npart : int
        Items merged together in a node of the tree, at least 2.
    alt_error : float or None
        Disagreement [px] from which templates are also compared through their outermost frames;
        None or 0 turns this off.
    aggregation : {"mean", "max"}
        How registered frames become a template.
    max_sh : int
        Zero border [px] for the circularity test.
    circ_thres : float or None
        Frames whose circularity is not above it shape no template; None: all do.
    chunk : int or None
        Frames a chunk of the tree; None: as many as 64 million pixels, at least 16, at most 256.
    slot_last : {"last", "second"}
        The frame of a group that stands for its end: the last, or the second as in minian 2.0.2.
    registrar : {"coarse_to_fine", "fft"}
        Small transforms whose peak is then found at full size, or transforms at full size: the
        reference, with the same shifts, many times slower.
    n_threads : int or None
        Threads; None: the environment's STILLSCOPE_NUM_THREADS, else OMP_NUM_THREADS, else what the
        process may use. The result does not depend on it.

    Returns
    -------
    MotionEstimate

    Raises
    ------
    TypeError
        Where an argument has the wrong type or the movie no real dtype.
    ValueError
        Where the movie is empty or an option is out of range.

    Warns
    -----
    UserWarning
        Where frames have non-finite pixels, or few frames of a group are good.

    Examples
    --------
    >>> motion = stillscope.estimate_motion(movie)
    >>> corrected = stillscope.apply_motion(movie, motion.shifts)
    """
    source = FrameSource(movie)
    settings = movie_settings(
        source, preset=preset, smooth=smooth, background=background, fixed_pattern=fixed_pattern,
        region=region, refine=refine, max_shift=max_shift, bad_frames=bad_frames, mask=mask,
        brightness=brightness, robust=robust, highpass=highpass, lowpass=lowpass,
        nonrigid=nonrigid, spacing=spacing, mesh_size=mesh_size, deformation=deformation,
        npart=npart, alt_error=alt_error, aggregation=aggregation, max_sh=max_sh,
        circ_thres=circ_thres, chunk=chunk, slot_last=slot_last, registrar=registrar,
    )  # fmt: skip
    return run_estimate(source, settings, n_threads)


def run_estimate(
    source: FrameSource,
    settings: dict[str, Any],
    n_threads: int | None,
    *,
    checkpoint: Any = None,
    stacklevel: int = 4,
) -> MotionEstimate:
    """The estimate for settings of `movie_settings`; it goes on from `checkpoint`, if there is one
    (`Checkpoint` of the stubs)."""
    frames, height, width = source.shape
    result = _core.estimate_motion(
        source.read, source.kernel_dtype, frames, height, width, settings,
        _check.threads(n_threads), checkpoint,
    )  # fmt: skip
    warn_of(
        result, settings["tree"]["circ_thres"], stacklevel, is_refined=settings["refine"] > 0
    )
    template = result["mean"]
    if template is None:
        template = result["template"]
        template = template if template.ndim == 2 else np.ascontiguousarray(template[1])
    top, bottom, left, right = result["common"]
    has_quality = len(result["frames"]["flags"]) > 0
    stats = ("counts", "planned", "repaired", "dead", "passes", "moved")
    return MotionEstimate(
        shifts=result["shifts"],
        template=template,
        quality=FrameQuality.of(result["frames"]) if has_quality else None,
        valid=(slice(top, bottom), slice(left, right)) if has_quality else (slice(None),) * 2,
        stats={key: result[key] for key in stats},
        mean_before=result["plain_mean"] if has_quality else None,
        filtering=settings["filter"],
        fixed_pattern=result["fixed_pattern"],
        deformation=deformation_of(result["deformation"], (height, width)),
    )


def movie_settings(
    source: FrameSource,
    *,
    preset: str | None,
    smooth: float | None,
    background: float | None,
    fixed_pattern: bool | None,
    region: tuple[slice, slice] | None,
    refine: int,
    max_shift: float | None,
    bad_frames: Any,
    mask: Any,
    brightness: bool,
    robust: float,
    highpass: float,
    lowpass: float,
    nonrigid: bool | str,
    spacing: float,
    mesh_size: tuple[int, int] | None,
    deformation: float | None,
    chunk: int | None,
    **tree_options: Any,
) -> dict[str, Any]:
    """The options of `estimate_motion`, checked, as the extension takes them."""
    frames, height, width = source.shape
    tree = estimate_settings(**tree_options)
    filtering = filter_settings(
        preset, smooth, background, fixed_pattern, region, (height, width)
    )
    is_whole = not is_active(filtering)
    tree["warped_values"] = _check.warped_values(source.dtype) if is_whole else "by_type"
    settings = {
        "filter": filtering,
        "tree": tree,
        "chunk": 0 if chunk is None else _check.integer(chunk, "chunk", 1),
        "refine": _check.integer(refine, "refine", 0),
        "brightness": _check.boolean(brightness, "brightness"),
        "robust": _check.number(robust, "robust"),
        "highpass": _check.number(highpass, "highpass"),
        "lowpass": _check.number(lowpass, "lowpass"),
        "nonrigid": nonrigid_settings(nonrigid, spacing, mesh_size, deformation),
        "max_shift": _check.optional_number(max_shift, "max_shift"),
        "bad_frames": None if bad_frames is None else _bad_frames(bad_frames, frames),
        "weights": None if mask is None else _weights(mask, (height, width)),
    }
    _core.check_settings(settings, frames, height, width)
    return settings


def _bad_frames(value: Any, frames: int) -> np.ndarray:
    """``bad_frames`` as one uint16 a frame."""
    given = np.atleast_1d(np.asarray(value))
    if given.dtype.kind == "b":
        if given.shape != (frames,):
            raise ValueError(
                f"bad_frames: expected {frames} booleans, one a frame, got shape {given.shape}"
            )
        return given.astype(np.uint16)
    if given.size and given.dtype.kind not in "iu":
        raise TypeError(f"bad_frames: expected booleans or indices, got dtype {given.dtype}")
    given = given.ravel()
    if given.size and not (-frames <= given.min() and given.max() < frames):
        raise ValueError(
            f"bad_frames: expected indices of {frames} frames, got {given.min()} to {given.max()}"
        )
    flags = np.zeros(frames, np.uint16)
    flags[given.astype(np.int64)] = 1
    return flags


def _weights(value: Any, shape: tuple[int, int]) -> np.ndarray:
    """``mask`` as float32 weights."""
    weights = np.asarray(value)
    if weights.dtype.kind not in "biuf":
        raise TypeError(f"mask: expected booleans or numbers, got dtype {weights.dtype}")
    if weights.shape != shape:
        raise ValueError(f"mask: expected shape {shape}, got {weights.shape}")
    weights = np.ascontiguousarray(weights, np.float32)
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.max() > 0):
        raise ValueError("mask: expected finite numbers from 0, some of them above 0")
    return weights


def translate(
    movie: np.ndarray,
    shifts: np.ndarray,
    out: np.ndarray,
    *,
    fill: float,
    grid: str,
    rounding: str,
    n_threads: int | None,
    **how: Any,
) -> None:
    """The applier for checked arguments: every real dtype, into ``out`` of the movie's dtype."""
    options = {"fill": fill, "grid": grid, "rounding": rounding, "n_threads": n_threads, **how}
    _check.through_kernels(
        movie, out, rounding, lambda a, b: _core.apply_motion(a, shifts, b, **options)
    )


def apply_motion(
    movie: Any,
    shifts: Any,
    fill: float = 0,
    out: np.ndarray | None = None,
    *,
    grid: str = "exact",
    interpolation: str = "linear",
    border: str = "constant",
    binning: float | tuple[float, float] = 1.0,
    n_threads: int | None = None,
) -> np.ndarray:
    """Take the motion out of a movie.

    Each frame is translated by its shift in single precision; integers are rounded to the nearest
    and saturated.

    Parameters
    ----------
    movie : array_like
        ``(frame, height, width)``, any real dtype and strides. It is only read. Its frames need not
        have the size on which the shifts were estimated.
    shifts : array_like or MotionEstimate
        ``(frame, 2)``, px, ``(height, width)``. A shift that is not finite or larger than the frame
        gives a frame of ``fill``. Of an estimate with ``nonrigid``, its fields are applied, for
        which the movie must have the size on which they were estimated (over ``binning``); its
        ``shifts`` alone move frames as a whole.
    fill : float
        Value of what lies outside the frame, with which edge pixels blend; NaN for floats only.
    out : numpy.ndarray or None
        Where the result is written: of the movie's shape and dtype, not overlapping it.
    grid : {"exact", "cv2"}
        Sample at the exact position, or at multiples of 1/32 px as OpenCV 4 does.
    interpolation : {"linear", "cubic"}
        From two pixels on each axis, which smooths noise and detail by an amount that changes with
        the shift (at half a pixel, the noise's variance falls to 1/4); or from four (cubic
        convolution by Keys), which keeps more of both (0.41) and may overshoot beside sharp edges.
        Both keep the sum of the pixels (flux), but for what leaves the frame.
    border : {"constant", "nan", "nearest"}
        What lies outside the frame: ``fill``; NaN (floats only); or the nearest pixel of the frame.
        A frame whose shift is not finite or larger than it is ``fill`` (or NaN) throughout.
    binning : float or (float, float)
        Side of a pixel of this movie in pixels of the one on which the shifts were estimated, or
        ``(height, width)``: 2 where this movie is binned by 2, 0.5 where that one was. The shifts
        are divided by it.
    n_threads : int or None
        As in `estimate_motion`.

    Returns
    -------
    numpy.ndarray
        The corrected movie, of the movie's shape and dtype: ``out`` where it was given.

    Raises
    ------
    TypeError
        Where an argument has the wrong type.
    ValueError
        Where shapes do not agree, ``out`` overlaps the movie, the movie's dtype does not hold
        ``fill``, or ``binning`` is not finite and above 0.

    Examples
    --------
    Estimated on one channel, applied to another that was binned by 2 (``motion`` as of
    `estimate_motion`):

    >>> corrected = stillscope.apply_motion(binned, motion, binning=2)
    """
    array = _check.real_array(movie, "movie", (3,))
    local = getattr(shifts, "deformation", None)
    rows = getattr(shifts, "shifts", shifts)
    rows = _check.shift_rows(rows, "shifts", len(array))
    fill = _check.fill(fill, array.dtype)
    _check.choice(grid, "grid", ("exact", "cv2"))
    _check.choice(interpolation, "interpolation", ("linear", "cubic"))
    _check.choice(border, "border", ("constant", "nan", "nearest"))
    sides = _check.positive_pair(binning, "binning")
    if border == "nan":
        if array.dtype.kind != "f":
            raise ValueError(f"border: expected another than 'nan' for a movie of {array.dtype}")
        fill, border = math.nan, "constant"
    if out is None:
        out = np.empty(array.shape, array.dtype)
    else:
        check_out(out, array)
    threads = _check.threads(n_threads)
    if local is not None:
        if grid != "exact":
            raise ValueError(f"grid: expected 'exact' with a deformation, got {grid!r}")
        deform(
            array, local, out, fill=fill, rounding="nearest", interpolation=interpolation,
            border=border, binning=sides, n_threads=threads,
        )  # fmt: skip
    elif array.size:
        translate(
            array, rows, out, fill=fill, grid=grid, rounding="nearest", n_threads=threads,
            interpolation=interpolation, border=border, binning=sides,
        )  # fmt: skip
    return out


def check_out(out: Any, movie: np.ndarray) -> None:
    """Refuses an ``out`` that cannot take the corrected ``movie``."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out: expected a numpy array, got {type(out).__name__}")
    if out.shape != movie.shape:
        raise ValueError(f"out: expected shape {movie.shape}, got {out.shape}")
    if out.dtype != movie.dtype:
        raise TypeError(f"out: expected dtype {movie.dtype}, got {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out: expected a writable array, got a read-only one")
    if np.shares_memory(out, movie):
        raise ValueError("out: expected memory of its own, got an array that overlaps the movie")
