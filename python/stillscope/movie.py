# SPDX-License-Identifier: GPL-3.0-or-later
"""The plain API: movies as NumPy arrays in, NumPy arrays out."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _check, _core


@dataclass(frozen=True, eq=False)
class MotionEstimate:
    """The motion of a movie.

    Attributes
    ----------
    shifts : numpy.ndarray
        float64 ``(frame, 2)``, px, ``(height, width)``: the correction to add to the content's
        position. NaN for a frame without any finite pixel.
    template : numpy.ndarray
        float32 ``(height, width)``: the mean (or maximum) of the registered frames.
    stats : dict
        ``counts`` of what was done: ``leaves`` and ``nodes`` of the tree and ``runs`` of each,
        ``registrations`` of pairs (and those ``spared``), ``warps``, ``spectra``, exact sums round
        a displacement (``windows``) and at one (``points``), ``refinements`` (registrations that a
        finer grid was asked for), ``fallbacks`` (those that went to the full-size registrar) and
        the ``extra_spectra`` of these two. ``planned``: the same from the plan, with nothing
        spared. ``repaired`` and ``dead``: numbers of frames with some and with only non-finite
        pixels.
    """

    shifts: np.ndarray
    template: np.ndarray
    stats: dict[str, Any]

    def __repr__(self) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # all-NaN columns
            low, high = np.nanmin(self.shifts, axis=0), np.nanmax(self.shifts, axis=0)
        height, width = (f"{a:.2f} to {b:.2f}" for a, b in zip(low, high))
        return (
            f"<MotionEstimate: {len(self.shifts)} frames of "
            f"{self.template.shape[0]}x{self.template.shape[1]}, "
            f"height {height} px, width {width} px>"
        )


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


def warn_of(result: dict[str, Any], circ_thres: float | None, stacklevel: int = 3) -> None:
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
            f"frames with non-finite pixels: {result['repaired']} estimated with these replaced by "
            f"the frame's finite mean, {result['dead']} without any finite pixel (shift NaN)",
            UserWarning,
            stacklevel=stacklevel,
        )


def estimate_motion(
    movie: Any,
    *,
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
    """Estimate the rigid motion of every frame of a movie.

    Frames are registered to their neighbours and merged into templates, which are registered and
    merged in turn, up a tree: the method of minian, by circular cross-correlation and a parabola
    through its peak (``docs/algorithm.md``).

    Parameters
    ----------
    movie : array_like
        ``(frame, height, width)``, any real dtype and strides. It is only read.
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
        Frames a chunk of the tree; None: the whole movie is one.
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
    array = _check.frames(movie, "movie")
    settings = estimate_settings(
        npart, alt_error, aggregation, max_sh, circ_thres, slot_last, registrar
    )
    settings["warped_values"] = _check.warped_values(array.dtype)
    result = _core.estimate_motion(
        _check.kernel_array(array),
        0 if chunk is None else _check.integer(chunk, "chunk", 1),
        settings,
        _check.threads(n_threads),
    )
    warn_of(result, circ_thres)
    template = result["template"]
    return MotionEstimate(
        shifts=result["shifts"],
        template=template if template.ndim == 2 else np.ascontiguousarray(template[1]),
        stats={key: result[key] for key in ("counts", "planned", "repaired", "dead")},
    )


def translate(
    movie: np.ndarray,
    shifts: np.ndarray,
    out: np.ndarray,
    *,
    fill: float,
    grid: str,
    rounding: str,
    n_threads: int | None,
) -> None:
    """The applier for checked arguments: every real dtype, into ``out`` of the movie's dtype."""
    dtype = movie.dtype
    options = {"fill": fill, "grid": grid, "n_threads": n_threads}
    source = _check.kernel_array(movie)
    if source.dtype == dtype and source.dtype == out.dtype and out.flags.aligned:
        _core.apply_motion(source, shifts, out, rounding=rounding, **options)
        return
    # Types that the kernels do not know: computed in floats, then brought back like the others.
    source = source.astype(np.float64 if dtype.kind in "iu" and dtype.itemsize > 2 else np.float32)
    warped = np.empty(source.shape, source.dtype)
    _core.apply_motion(source, shifts, warped, rounding=rounding, **options)
    if dtype.kind == "b":
        np.not_equal(warped if rounding == "truncate" else np.rint(warped), 0, out=out)
        return
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        if rounding == "nearest":
            np.rint(warped, out=warped)
        # The largest 64-bit integers are no floats: stay below them.
        np.clip(warped, float(info.min), np.nextafter(float(info.max) + 1, 0), out=warped)
    np.copyto(out, warped, casting="unsafe")


def apply_motion(
    movie: Any,
    shifts: Any,
    fill: float = 0,
    out: np.ndarray | None = None,
    *,
    grid: str = "exact",
    n_threads: int | None = None,
) -> np.ndarray:
    """Take the motion out of a movie.

    Each frame is translated by its shift, bilinearly, in single precision; integers are rounded to
    the nearest and saturated.

    Parameters
    ----------
    movie : array_like
        ``(frame, height, width)``, any real dtype and strides. It is only read. Its frames need not
        have the size on which the shifts were estimated.
    shifts : array_like or MotionEstimate
        ``(frame, 2)``, px, ``(height, width)``. A shift that is not finite or larger than the frame
        gives a frame of ``fill``.
    fill : float
        Value of what lies outside the frame, with which edge pixels blend; NaN for floats only.
    out : numpy.ndarray or None
        Where the result is written: of the movie's shape and dtype, not overlapping it.
    grid : {"exact", "cv2"}
        Sample at the exact position, or at multiples of 1/32 px as OpenCV 4 does.
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
        Where shapes do not agree, ``out`` overlaps the movie, or the movie's dtype does not hold
        ``fill``.
    """
    array = _check.real_array(movie, "movie", (3,))
    rows = getattr(shifts, "shifts", shifts)
    rows = _check.shift_rows(rows, "shifts", len(array))
    fill = _check.fill(fill, array.dtype)
    _check.choice(grid, "grid", ("exact", "cv2"))
    if out is None:
        out = np.empty(array.shape, array.dtype)
    else:
        check_out(out, array)
    threads = _check.threads(n_threads)
    if array.size:
        translate(array, rows, out, fill=fill, grid=grid, rounding="nearest", n_threads=threads)
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
