# SPDX-License-Identifier: GPL-3.0-or-later
"""Free-form (B-spline) registration: the ``mesh_size`` path of the minian drop-in.

A *mesh* motion is an array of cubic B-spline coefficients, float64 ``(2, gy, gx)``, in pixels:
slot 0 displaces along x (columns), slot 1 along y (rows), and ``(gx, gy)`` is ``mesh_size + 3``.
The spline ``u`` says where to *sample*: ``registered(x) = frame(x + u(x))``. Its sign is
therefore the opposite of a rigid shift, which is added to the content's position.
``mesh_size`` is ``(x, y)``, whatever the name of an argument elsewhere says. Both conventions
are minian's and are kept because saved coefficients depend on them.

The motion model is the free-form deformation of Rueckert et al. (1999), IEEE Trans. Med. Imaging
18:712-721; its optimiser and metric are ITK's (Avants et al. 2014, Front. Neuroinform. 8:44),
started from the sub-pixel phase correlation of Guizar-Sicairos et al. (2008), Opt. Lett.
33:156-158. SimpleITK and scikit-image are imported only when a function needs them.
"""

from __future__ import annotations

import importlib
import math
import numbers
from collections.abc import Sequence
from types import ModuleType

import numpy as np

from . import _check, _core

__all__ = [
    "bspline_param",
    "mesh_size_of",
    "register_mesh",
    "transform_mesh",
]

SPLINE_ORDER = 3
LEARNING_RATE = 0.1
CONVERGENCE_MINIMUM = 1e-5

# ITK sums the metric in as many parts as it has work units, and the rounding of that sum follows
# the number of parts. A fixed number makes results bit-identical on machines of any core count.
WORK_UNITS = 8

# ITK smooths along each axis with a recursive filter that refuses shorter lines.
MIN_FRAME_SIDE = 4

PIXELS_PER_CELL = 100
_FLOAT32_MAX = float(np.finfo(np.float32).max)


# --------------------------------------------------------------------------------------------------
# Geometry
# --------------------------------------------------------------------------------------------------


def mesh_size_of(frame: np.ndarray) -> tuple[int, int]:
    """Default number of B-spline cells of a frame: one per 100 px on each axis.

    Parameters
    ----------
    frame : array, shape (height, width)
        Only its shape is used.

    Returns
    -------
    (int, int)
        ``size / 100`` of the height and of the width, rounded half to even, at least 1.
        `register_mesh` reads the pair as ``(x, y)``, so that the count of the height runs along
        the width. This is minian's order; on frames that are not square pass your own.

    Raises
    ------
    ValueError
        If the frame is not two-dimensional.
    """
    shape = _frame_shape(frame, "frame")
    return tuple(max(1, round(n / PIXELS_PER_CELL)) for n in shape)


def bspline_param(image: np.ndarray, mesh_size: Sequence[int]) -> tuple[float, ...]:
    """Fixed parameters of the B-spline whose mesh covers an image.

    Parameters
    ----------
    image : array, shape (height, width)
        Only its shape is used.
    mesh_size : (int, int)
        Cells along ``(x, y)``, each at least 1.

    Returns
    -------
    tuple of 10 floats
        ITK's order: grid size, origin [px] and spacing [px] as ``(x, y)`` pairs, then the 2x2
        direction matrix.

    Raises
    ------
    ValueError, TypeError
        If the image is not two-dimensional, or `mesh_size` is not two whole numbers of at least 1.
    """
    shape = _frame_shape(image, "image")
    mesh = checked_mesh_size(mesh_size)
    origin, spacing = _core.control_grid(*shape, *mesh[::-1])
    points = (float(n + SPLINE_ORDER) for n in mesh)
    return (*points, *origin[::-1], *spacing[::-1], 1.0, 0.0, 0.0, 1.0)


def grid_shape(mesh_size: tuple[int, int]) -> tuple[int, int, int]:
    """Shape of the coefficients, ``(2, gy, gx)``, of a mesh of ``(x, y)`` cells."""
    return 2, mesh_size[1] + SPLINE_ORDER, mesh_size[0] + SPLINE_ORDER


# --------------------------------------------------------------------------------------------------
# One pair of frames
# --------------------------------------------------------------------------------------------------


def register_mesh(
    src: np.ndarray,
    dst: np.ndarray,
    *,
    upsample: float = 100,
    src_mask: np.ndarray | None = None,
    dst_mask: np.ndarray | None = None,
    mesh_size: Sequence[int],
    niter: int = 100,
) -> np.ndarray:
    """B-spline coefficients that register `src` to `dst`.

    Parameters
    ----------
    src, dst : array, shape (height, width), any real dtype
        Moving and fixed frame, both at least 4 px on each side. Pixels that are not finite are
        replaced by the mean of the frame's finite ones. Never written to.
    upsample : float
        The initial whole-frame shift is found on a grid of ``1 / upsample`` px; at least 1.
    src_mask, dst_mask : bool array, shape (height, width), optional
        Pixels that the metric may use; all of them by default. The initial shift uses all.
    mesh_size : (int, int)
        Cells along ``(x, y)``, each at least 1.
    niter : int
        Largest number of gradient-descent iterations; 0 returns the initial shift alone.

    Returns
    -------
    float64 array, shape (2, mesh_size[1] + 3, mesh_size[0] + 3)
        Coefficients [px], slot 0 is x; apply with `transform_mesh`. All NaN if a frame has no
        finite pixel, zero if one is flat: nothing can be measured on it.

    Raises
    ------
    ValueError, TypeError
        If a shape, dtype or setting is unusable; the message names it.
    ImportError
        If SimpleITK or scikit-image is missing.

    Notes
    -----
    Free-form deformation (Rueckert et al. 1999): the correlation of the two frames is maximised
    by gradient descent over the coefficients, on top of the shift from phase correlation. The
    pixels are compared in single precision.
    """
    mesh = checked_mesh_size(mesh_size)
    niter = _check.integer(niter, "niter", 0)
    upsample = checked_upsample(upsample)
    src, dst = _real_frame(src, "src"), _real_frame(dst, "dst")
    _check_pair(src, dst)
    src_mask = _checked_mask(src_mask, "src_mask", src.shape)
    dst_mask = _checked_mask(dst_mask, "dst_mask", dst.shape)

    moving, fixed = fill_gaps(src), fill_gaps(dst)
    if moving is None or fixed is None:
        return np.full(grid_shape(mesh), np.nan)
    if _is_flat(moving) or _is_flat(fixed):
        return np.zeros(grid_shape(mesh))
    moving, fixed = moving.astype(np.float64), fixed.astype(np.float64)
    shift = _initial_shift(moving, fixed, upsample)
    coefficients = _refine(moving, fixed, shift, src_mask, dst_mask, mesh, niter)
    return coefficients + np.array(shift)[:, np.newaxis, np.newaxis]


def _initial_shift(moving: np.ndarray, fixed: np.ndarray, upsample: float) -> tuple[float, float]:
    """Displacement ``(x, y)`` [px] at which `moving` must be sampled to match `fixed`."""
    registration = _require("skimage.registration")
    shift = registration.phase_cross_correlation(
        moving, fixed, upsample_factor=upsample, normalization=None
    )[0]
    return float(shift[1]), float(shift[0])


def _refine(
    moving: np.ndarray,
    fixed: np.ndarray,
    shift: tuple[float, float],
    moving_mask: np.ndarray | None,
    fixed_mask: np.ndarray | None,
    mesh_size: tuple[int, int],
    niter: int,
) -> np.ndarray:
    """Coefficients [px] that remain after `shift`, by ITK's gradient descent."""
    empty = any(mask is not None and not mask.any() for mask in (moving_mask, fixed_mask))
    if niter == 0 or empty:  # no step, or no pixel to take one by (ITK would complain on stderr)
        return np.zeros(grid_shape(mesh_size))
    sitk = _require("SimpleITK")
    fixed_image = sitk.GetImageFromArray(fixed.astype(np.float32))
    moving_image = sitk.GetImageFromArray(moving.astype(np.float32))
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfWorkUnits(WORK_UNITS)
    method.SetMovingInitialTransform(sitk.TranslationTransform(2, shift))
    method.SetInitialTransform(
        sitk.BSplineTransformInitializer(fixed_image, mesh_size, SPLINE_ORDER)
    )
    method.SetMetricAsCorrelation()
    if moving_mask is not None:
        method.SetMetricMovingMask(sitk.GetImageFromArray(moving_mask.astype(np.uint8)))
    if fixed_mask is not None:
        method.SetMetricFixedMask(sitk.GetImageFromArray(fixed_mask.astype(np.uint8)))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsGradientDescent(
        LEARNING_RATE, niter, convergenceMinimumValue=CONVERGENCE_MINIMUM
    )
    parameters = method.Execute(fixed_image, moving_image).GetParameters()
    return np.array(parameters).reshape(grid_shape(mesh_size))


# --------------------------------------------------------------------------------------------------
# Applying
# --------------------------------------------------------------------------------------------------


def transform_mesh(
    frame: np.ndarray,
    coefficients: np.ndarray,
    fill: float,
    param: Sequence[float] | None = None,
    mesh_size: Sequence[int] | None = None,
) -> np.ndarray:
    """Warp one frame by B-spline coefficients, with linear interpolation.

    Parameters
    ----------
    frame : array, shape (height, width), any real dtype
        Never written to. Its size may differ from that of the estimate if `param` is given.
    coefficients : array, shape (2, gy, gx), ``gy`` and ``gx`` at least 4
        Displacement of the sampling position [px], slot 0 is x, as `register_mesh` returns it.
    fill : float
        Value of pixels that are sampled outside the frame. Whole-number frames need a finite
        fill within their range; its fraction is dropped.
    param : 10 floats, optional
        Where the grid lies, from `bspline_param`; by default the mesh covers `frame`. Outside the
        mesh nothing is displaced.
    mesh_size : (int, int), optional
        Cells along ``(x, y)``. The grid determines it (``size - 3``), so it is only checked.

    Returns
    -------
    array, shape (height, width), dtype of `frame`
        Whole-number dtypes truncate towards zero. Filled with `fill` throughout if a coefficient
        is not finite.

    Raises
    ------
    ValueError, TypeError
        If a shape, a dtype or `fill` is unusable, or if `mesh_size` or `param` contradicts the
        grid of `coefficients`.
    ImportError
        If SimpleITK is missing.
    """
    frame = _real_frame(frame, "frame")
    mesh = mesh_size_of_grid(np.shape(coefficients), mesh_size, "coefficients")
    coefficients = _check.real_array(coefficients, "coefficients", (3,)).astype(np.float64)
    fill = _check.fill(fill, frame.dtype)
    param = bspline_param(frame, mesh) if param is None else checked_param(param, mesh)
    if not np.isfinite(coefficients).all():
        return np.full(frame.shape, fill, dtype=frame.dtype)
    return _resample(frame, coefficients, fill, param)


def _resample(
    frame: np.ndarray, coefficients: np.ndarray, fill: float, param: tuple[float, ...]
) -> np.ndarray:
    """`transform_mesh` on checked arguments."""
    sitk = _require("SimpleITK")
    transform = sitk.BSplineTransform(2, SPLINE_ORDER)
    transform.SetFixedParameters(param)
    transform.SetParameters(coefficients.ravel().tolist())
    image = sitk.GetImageFromArray(_itk_pixels(frame))
    warped = sitk.GetArrayFromImage(sitk.Resample(image, transform, sitk.sitkLinear, fill))
    with np.errstate(over="ignore"):  # a fill beyond float16 becomes inf there, as it does in NumPy
        return warped.astype(frame.dtype, copy=False)


def _itk_pixels(frame: np.ndarray) -> np.ndarray:
    """The frame in the nearest dtype that SimpleITK can hold, in native byte order."""
    if frame.dtype.kind == "b":
        return frame.astype(np.uint8)
    if frame.dtype == np.float16:
        return frame.astype(np.float32)
    return frame.astype(frame.dtype.newbyteorder("="), copy=False)


# --------------------------------------------------------------------------------------------------
# Pixels that are not finite
# --------------------------------------------------------------------------------------------------


def fill_gaps(frame: np.ndarray) -> np.ndarray | None:
    """The frame with the finite mean in place of pixels that are not finite.

    The frame itself if there are none; None if no pixel is finite. Values beyond single precision
    count as infinite, because that is what the registration would turn them into.
    """
    if frame.dtype.kind != "f":
        return frame
    usable = np.isfinite(frame)
    if frame.dtype.itemsize > 4:
        usable &= np.abs(frame) <= _FLOAT32_MAX
    if usable.all():
        return frame
    if not usable.any():
        return None
    return np.where(usable, frame, frame[usable].mean(dtype=np.float64)).astype(frame.dtype)


def _is_flat(frame: np.ndarray) -> bool:
    return frame.min() == frame.max()


# --------------------------------------------------------------------------------------------------
# Checks of arguments
# --------------------------------------------------------------------------------------------------


def _require(module: str) -> ModuleType:
    """Import an optional dependency, or say how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"mesh_size needs {module.partition('.')[0]}, which could not be imported ({error}); "
            'install it with: pip install "stillscope[nonrigid]"'
        ) from error


def checked_upsample(upsample: float) -> float:
    if not (isinstance(upsample, numbers.Real) and 1 <= upsample < math.inf):
        raise ValueError(f"upsample: expected a finite number of at least 1, got {upsample!r}")
    return upsample


def checked_mesh_size(mesh_size: Sequence[int]) -> tuple[int, int]:
    """``mesh_size`` as two ints ``(x, y)`` of at least 1."""
    try:
        cells = tuple(mesh_size)
    except TypeError:
        raise TypeError(f"mesh_size: expected two whole numbers, got {mesh_size!r}") from None
    if len(cells) != 2:
        raise ValueError(f"mesh_size: expected two whole numbers (x, y), got {mesh_size!r}")
    return tuple(_check.integer(n, "mesh_size", 1) for n in cells)


def _frame_shape(frame: np.ndarray, name: str) -> tuple[int, int]:
    shape = np.shape(frame)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"{name}: expected a (height, width) frame, got shape {shape}")
    return shape


def _real_frame(frame: np.ndarray, name: str) -> np.ndarray:
    return _check.frames(frame, name, (2,))


def _check_pair(src: np.ndarray, dst: np.ndarray) -> None:
    if src.shape != dst.shape:
        raise ValueError(f"dst: expected the shape of src, {src.shape}, got {dst.shape}")
    check_side(src.shape, "src")


def check_side(shape: tuple[int, ...], name: str) -> None:
    """Refuses a shape whose frames are too small for a mesh."""
    if min(shape[-2:]) < MIN_FRAME_SIDE:
        raise ValueError(
            f"{name}: expected frames of at least {MIN_FRAME_SIDE} px on each side with "
            f"mesh_size, got shape {tuple(shape)}"
        )


def _checked_mask(
    mask: np.ndarray | None, name: str, shape: tuple[int, int]
) -> np.ndarray | None:
    if mask is None:
        return None
    mask = np.asarray(mask)
    if mask.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {mask.shape}")
    return mask.astype(bool)


def mesh_size_of_grid(
    shape: tuple[int, ...], mesh_size: Sequence[int] | None, name: str
) -> tuple[int, int]:
    """The mesh size ``(x, y)`` that coefficients of a shape imply, and ``mesh_size`` must equal."""
    if len(shape) != 3 or shape[0] != 2 or min(shape[1:]) <= SPLINE_ORDER:
        raise ValueError(
            f"{name}: expected shape (2, gy, gx) with gy and gx at least {SPLINE_ORDER + 1}, "
            f"got {tuple(shape)}"
        )
    implied = (shape[2] - SPLINE_ORDER, shape[1] - SPLINE_ORDER)
    if mesh_size is not None and checked_mesh_size(mesh_size) != implied:
        raise ValueError(
            f"mesh_size: expected {implied}, which the grid of {name} {tuple(shape)} implies, "
            f"got {tuple(mesh_size)}"
        )
    return implied


def checked_param(param: Sequence[float], mesh_size: tuple[int, int]) -> tuple[float, ...]:
    """``param`` as of `bspline_param` for a mesh of these cells ``(x, y)``."""
    values = tuple(float(value) for value in param)
    grid = tuple(n + SPLINE_ORDER for n in mesh_size)
    if len(values) != 10 or values[:2] != grid:
        raise ValueError(
            f"param: expected the 10 values of bspline_param for a grid of {grid} (x, y) "
            f"coefficients, got {values}"
        )
    return values
