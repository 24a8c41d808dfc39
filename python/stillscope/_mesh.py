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
import operator
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

__all__ = [
    "bspline_param",
    "est_motion_chunk_mesh",
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
GOOD_SHARE_EXPECTED = 0.9
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
    ImportError
        If SimpleITK is missing.
    """
    sitk = _require("SimpleITK")
    height, width = _frame_shape(image, "image")
    geometry = sitk.Image([width, height], sitk.sitkUInt8)
    mesh = _checked_mesh_size(mesh_size)
    transform = sitk.BSplineTransformInitializer(geometry, mesh, SPLINE_ORDER)
    return tuple(transform.GetFixedParameters())


def _grid_shape(mesh_size: tuple[int, int]) -> tuple[int, int, int]:
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
    mesh = _checked_mesh_size(mesh_size)
    niter = _whole_number(niter, "niter", least=0)
    upsample = _checked_upsample(upsample)
    src, dst = _real_frame(src, "src"), _real_frame(dst, "dst")
    _check_pair(src, dst)
    src_mask = _checked_mask(src_mask, "src_mask", src.shape)
    dst_mask = _checked_mask(dst_mask, "dst_mask", dst.shape)

    moving, fixed = _fill_gaps(src), _fill_gaps(dst)
    if moving is None or fixed is None:
        return np.full(_grid_shape(mesh), np.nan)
    if _is_flat(moving) or _is_flat(fixed):
        return np.zeros(_grid_shape(mesh))
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
        return np.zeros(_grid_shape(mesh_size))
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
    return np.array(parameters).reshape(_grid_shape(mesh_size))


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
    coefficients, mesh = _checked_coefficients(coefficients)
    if mesh_size is not None and _checked_mesh_size(mesh_size) != mesh:
        raise ValueError(
            f"mesh_size: expected {mesh}, which the grid of coefficients {coefficients.shape} "
            f"implies, got {tuple(mesh_size)}"
        )
    fill = _checked_fill(fill, frame.dtype)
    param = bspline_param(frame, mesh) if param is None else _checked_param(param, mesh)
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
    if frame.dtype.kind == "f" and frame.dtype.itemsize > 8:
        return frame.astype(np.float64)
    return frame.astype(frame.dtype.newbyteorder("="), copy=False)


# --------------------------------------------------------------------------------------------------
# A chunk: groups of items, level by level
# --------------------------------------------------------------------------------------------------


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
    npart = _whole_number(npart, "npart", least=2)
    settings = _GroupSettings(
        alt_error=alt_error or None,
        aggregation=_one_of(aggregation, "aggregation", ("mean", "max")),
        upsample=_checked_upsample(upsample),
        max_sh=max_sh,
        circ_thres=circ_thres,
        mesh_size=_checked_mesh_size(mesh_size),
        niter=_whole_number(niter, "niter", least=0),
        bin_thres=bin_thres,
        slot_last=_one_of(slot_last, "slot_last", ("second", "last")),
        check_temp=check_temp,
    )
    if circ_thres is not None and not callable(check_temp):
        raise TypeError(f"check_temp: expected a callable with circ_thres, got {check_temp!r}")
    rows = _checked_incoming(incoming, len(items), settings.mesh_size)
    items, alive, n_repaired = _repair_items(items)
    if incoming is None:
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
    motions = np.full((n, *_grid_shape(settings.mesh_size)), np.nan)
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


# --------------------------------------------------------------------------------------------------
# Pixels that are not finite
# --------------------------------------------------------------------------------------------------


def _fill_gaps(frame: np.ndarray) -> np.ndarray | None:
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


def _repair_items(items: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Fill the gaps of a chunk, on a copy, and only if it has some.

    Returns the items, whether each of them (all of its slots) has a finite pixel, and how many
    were changed. Dead items are left as they are and must not be looked at again.
    """
    repaired, alive = items, np.ones(len(items), dtype=bool)
    changed = np.zeros(len(items), dtype=bool)
    for index in np.ndindex(items.shape[:-2]):
        frame = items[index]
        filled = _fill_gaps(frame)
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


def _one_of(value: str, name: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{name}: expected one of {allowed}, got {value!r}")
    return value


def _whole_number(value: int, name: str, *, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected a whole number, got {value!r}") from None
    if number < least:
        raise ValueError(f"{name}: expected at least {least}, got {number}")
    return number


def _checked_upsample(upsample: float) -> float:
    if not (isinstance(upsample, numbers.Real) and 1 <= upsample < math.inf):
        raise ValueError(f"upsample: expected a finite number of at least 1, got {upsample!r}")
    return upsample


def _checked_mesh_size(mesh_size: Sequence[int]) -> tuple[int, int]:
    try:
        cells = tuple(mesh_size)
    except TypeError:
        raise TypeError(f"mesh_size: expected two whole numbers, got {mesh_size!r}") from None
    if len(cells) != 2:
        raise ValueError(f"mesh_size: expected two whole numbers (x, y), got {mesh_size!r}")
    return tuple(_whole_number(n, "mesh_size", least=1) for n in cells)


def _frame_shape(frame: np.ndarray, name: str) -> tuple[int, int]:
    shape = np.shape(frame)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"{name}: expected a (height, width) frame, got shape {shape}")
    return shape


def _real_array(array: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected a real dtype, got {array.dtype}")
    return array


def _real_frame(frame: np.ndarray, name: str) -> np.ndarray:
    frame = _real_array(frame, name)
    _frame_shape(frame, name)
    return frame


def _check_pair(src: np.ndarray, dst: np.ndarray) -> None:
    if src.shape != dst.shape:
        raise ValueError(f"dst: expected the shape of src, {src.shape}, got {dst.shape}")
    _check_side(src, "src")


def _check_side(array: np.ndarray, name: str) -> None:
    if min(array.shape[-2:]) < MIN_FRAME_SIDE:
        raise ValueError(
            f"{name}: expected frames of at least {MIN_FRAME_SIDE} px on each side with "
            f"mesh_size, got shape {array.shape}"
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


def _checked_coefficients(coefficients: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Coefficients as float64, and the mesh size ``(x, y)`` that their grid implies."""
    array = _real_array(coefficients, "coefficients").astype(np.float64, copy=False)
    if array.ndim != 3 or array.shape[0] != 2 or min(array.shape[1:]) <= SPLINE_ORDER:
        raise ValueError(
            f"coefficients: expected shape (2, gy, gx) with gy and gx at least {SPLINE_ORDER + 1}, "
            f"got {array.shape}"
        )
    return array, (array.shape[2] - SPLINE_ORDER, array.shape[1] - SPLINE_ORDER)


def _checked_param(param: Sequence[float], mesh_size: tuple[int, int]) -> tuple[float, ...]:
    values = tuple(float(value) for value in param)
    grid = tuple(n + SPLINE_ORDER for n in mesh_size)
    if len(values) != 10 or values[:2] != grid:
        raise ValueError(
            f"param: expected the 10 values of bspline_param for a grid of {grid} (x, y) "
            f"coefficients, got {values}"
        )
    return values


def _checked_fill(fill: float, dtype: np.dtype) -> float:
    try:
        fill = float(fill)
    except (TypeError, ValueError):
        raise TypeError(f"fill: expected a number, got {fill!r}") from None
    if dtype.kind == "f":
        return fill
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if not math.isfinite(fill) or not low <= int(fill) <= high:
        raise ValueError(f"fill: expected a value that fits {dtype} [{low}, {high}], got {fill}")
    return fill


def _checked_items(items: np.ndarray) -> np.ndarray:
    items = _real_array(items, "items")
    if items.ndim not in (3, 4) or 0 in items.shape or (items.ndim == 4 and items.shape[1] != 3):
        raise ValueError(
            "items: expected a non-empty (frame, height, width) or (node, 3, height, width) "
            f"array, got shape {items.shape}"
        )
    _check_side(items, "items")
    return items.astype(items.dtype.newbyteorder("="), copy=False)


def _checked_incoming(
    incoming: Sequence[np.ndarray] | None, n: int, mesh_size: tuple[int, int]
) -> list[np.ndarray]:
    """Motions of the level below, one array an item; zero for an item that is one frame."""
    grid = _grid_shape(mesh_size)
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
