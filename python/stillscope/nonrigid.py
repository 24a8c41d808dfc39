# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion that differs across the frame: cubic B-spline fields in the layout of ITK.

A field says where a frame is *sampled*: ``registered(p) = frame(p + u(p))``. Its coefficients
``(frame, 2, gy, gx)`` are displacements of control points in px, slot 0 along the width (ITK's x),
slot 1 along the height. The correction, which is added to the content's position as a shift is, is
``-u``, and `Deformation.field` returns it as ``(height, width)``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import _check, _core, _mesh

__all__ = ["Deformation", "mesh_geometry"]

_LEAST_SPACING = 8.0  # px


@dataclass(frozen=True, eq=False)
class Deformation:
    """The fields of a movie's frames.

    Attributes
    ----------
    coefficients : numpy.ndarray
        float64 ``(frame, 2, gy, gx)``, px: ITK's, as the drop-in's ``mesh_size`` results. Where the
        frame is sampled, so minus the correction; slot 0 is x. They hold all of the motion, the
        shift included.
    frame_shape : tuple of int
        ``(height, width)`` of the frames on which they were estimated, which the mesh covers.
    origin, spacing : tuple of float
        px, ``(height, width)``: the first control point, and from one to the next.
    size : float
        px: root mean square deviation of a frame's field from its shift on which two halves of the
        pixels agree.
    is_rigid : bool
        The movie deforms by too little to tell. Fields are the shifts, but for frames that clearly
        deform.
    frame_size : numpy.ndarray
        float64 ``(frame,)``, px: root mean square of each field less its mean.
    similarity : numpy.ndarray
        float64 ``(frame,)``: correlation of the deformed frame with the template, robust.
    from_patches : numpy.ndarray
        bool ``(frame,)``: the field was found by way of patches.
    interpolated : numpy.ndarray
        bool ``(frame,)``: the frame deviates from its shift as its neighbours do.
    uncertainty : numpy.ndarray
        float64 ``(rows, columns)``, px: the standard error of a usual frame's field that noise
        makes likely, at the corners of the mesh's cells (`corners`). Large where the template is
        too flat to tell.
    """

    coefficients: np.ndarray
    frame_shape: tuple[int, int]
    origin: tuple[float, float]
    spacing: tuple[float, float]
    size: float
    is_rigid: bool
    frame_size: np.ndarray
    similarity: np.ndarray
    from_patches: np.ndarray
    interpolated: np.ndarray
    uncertainty: np.ndarray

    @property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns [px] of the corners of the mesh's cells."""
        return tuple(
            first + step * np.arange(1, size + 1)
            for first, step, size in zip(self.origin, self.spacing, self.uncertainty.shape)
        )

    def field(self, y: Any, x: Any) -> np.ndarray:
        """Corrections at positions of the template.

        Parameters
        ----------
        y, x : array_like
            px: rows and columns. Those beyond the mesh, 5/8 px outside the frame, have none: 0.

        Returns
        -------
        numpy.ndarray
            float64 ``(frame, len(y), len(x), 2)``, px, ``(height, width)``, to be added to the
            content's position.
        """
        rows, columns = positions(y, "y"), positions(x, "x")
        field = _core.spline_field(self.coefficients, self.origin, self.spacing, rows, columns)
        return np.negative(field, out=field)

    def of_frames(self, frames: Any) -> Deformation:
        """The fields of some frames: a slice, or indices."""
        each = ("coefficients", "frame_size", "similarity", "from_patches", "interpolated")
        return replace(self, **{name: getattr(self, name)[frames] for name in each})

    def __repr__(self) -> str:
        frames, _, rows, columns = self.coefficients.shape
        kind = "rigid" if self.is_rigid else f"{self.size:.2f} px"
        return f"Deformation({frames} frames, {rows}x{columns} control points, {kind})"


def mesh_geometry(
    shape: tuple[int, int], mesh: tuple[int, int]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where the control points of a mesh of cells lie over a frame, as ITK has it.

    Parameters
    ----------
    shape, mesh : tuple of int
        ``(height, width)`` of the frame [px]; cells along them.

    Returns
    -------
    origin, spacing : tuple of float
        px, ``(height, width)``.
    """
    return _core.control_grid(*shape, *mesh)


def nonrigid_settings(
    nonrigid: Any, spacing: Any, mesh_size: Any, deformation: Any
) -> dict[str, Any] | None:
    """The options of `stillscope.estimate_motion`, checked, as the extension takes them."""
    if isinstance(nonrigid, str):
        method = _check.choice(nonrigid, "nonrigid", ("patches",))
    elif _check.boolean(nonrigid, "nonrigid"):
        method = "spline"
    else:
        method = None
    spacing = _check.number(spacing, "spacing")
    if not _LEAST_SPACING <= spacing < np.inf:
        raise ValueError(f"spacing: expected a finite number of at least 8 px, got {spacing}")
    deformation = _check.optional_number(deformation, "deformation")
    if deformation is not None and not 0 < deformation < np.inf:
        raise ValueError(
            f"deformation: expected None or a finite number above 0 px, got {deformation}"
        )
    cells = None if mesh_size is None else _mesh.checked_mesh_size(mesh_size)[::-1]
    if method is None:
        return None
    return {"method": method, "spacing": spacing, "expected": deformation, "cells": cells}


def deformation_of(
    result: dict[str, Any] | None, shape: tuple[int, int]
) -> Deformation | None:
    """From what the extension returns."""
    return None if result is None else Deformation(frame_shape=shape, **result)


def deform(
    movie: np.ndarray,
    deformation: Deformation,
    out: np.ndarray,
    *,
    fill: float,
    rounding: str,
    binning: tuple[float, float],
    n_threads: int | None,
    **how: Any,
) -> None:
    """The applier of fields for checked arguments, into ``out`` of the movie's dtype."""
    frames = len(deformation.coefficients)
    if len(movie) != frames:
        raise ValueError(f"movie: expected {frames} frames, one a field, got {len(movie)}")
    covered = [size / side for size, side in zip(deformation.frame_shape, binning)]
    if any(abs(n - m) >= 1 for n, m in zip(movie.shape[1:], covered)):
        expected = " x ".join(f"{m:g}" for m in covered)
        raise ValueError(
            f"movie: expected frames of about {expected} px with binning={binning}, on which the "
            f"deformation was estimated, got {movie.shape[1:]}"
        )
    options = {"fill": fill, "rounding": rounding, "binning": binning, "n_threads": n_threads}
    if movie.size:
        _check.through_kernels(
            movie, out, rounding,
            lambda a, b: _core.apply_deformation(
                a, deformation.coefficients, deformation.origin, deformation.spacing, b,
                **options, **how,
            ),
        )  # fmt: skip


def transform_frames(
    frames: np.ndarray,
    coefficients: np.ndarray,
    fill: float,
    param: Any = None,
    n_threads: int | None = None,
) -> np.ndarray:
    """What ``SimpleITK.Resample`` makes of frames by B-splines, linearly, for checked arguments.

    Parameters
    ----------
    frames : numpy.ndarray
        ``(n, height, width)``, any real dtype. They are only read.
    coefficients : numpy.ndarray
        float64 ``(n, 2, gy, gx)``, px, slot 0 is x.
    fill : float
        Value of what is sampled more than half a pixel outside the frame, and of all of a frame
        without a finite field.
    param : sequence of float or None
        Fixed parameters (`_mesh.bspline_param`); None: the mesh covers the frame.
    n_threads : int or None
        As in `stillscope.estimate_motion`.

    Returns
    -------
    numpy.ndarray
        Of the shape and dtype of ``frames``; integers are truncated.
    """
    out = np.empty(frames.shape, frames.dtype)
    if not frames.size:
        return out
    mesh = tuple(n - _mesh.SPLINE_ORDER for n in coefficients.shape[2:])
    if param is None:
        origin, spacing = mesh_geometry(frames.shape[1:], mesh)
    else:
        origin, spacing = tuple(param[3:1:-1]), tuple(param[5:3:-1])
    coefficients = np.ascontiguousarray(coefficients, np.float64)
    _check.through_kernels(
        frames, out, "truncate",
        lambda a, b: _core.apply_deformation(
            a, coefficients, origin, spacing, b, fill=fill, rounding="truncate",
            border="half_pixel", n_threads=n_threads,
        ),
    )  # fmt: skip
    return out


def positions(values: Any, name: str) -> np.ndarray:
    """Rows or columns [px] as float64, checked."""
    array = np.atleast_1d(np.asarray(values))
    if array.ndim != 1:
        raise ValueError(f"{name}: expected one dimension, got shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got dtype {array.dtype}")
    array = array.astype(np.float64)
    is_finite = np.isfinite(array)
    if not is_finite.all():
        raise ValueError(f"{name}: expected finite numbers, got {array[~is_finite][0]}")
    return array
