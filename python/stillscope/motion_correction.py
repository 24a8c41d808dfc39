# SPDX-License-Identifier: GPL-3.0-or-later
"""A drop-in for ``minian.motion_correction`` (2.0.2): the same names, arguments, dims and answers.

What is ours is keyword-only: ``refine`` and ``engine`` of `estimate_motion`; ``slot_last``,
``registrar`` and ``n_threads`` of `est_motion_chunk` (also through `estimate_motion`); ``grid`` and
``n_threads`` of `apply_transform`, ``grid`` of `transform_perframe`. ``docs/drop-in.md`` lists every
difference.

A shift is ``(height, width)`` in px: the correction, to be added to the content's position.
"""

from __future__ import annotations

import importlib
import inspect
import itertools as itt
import math
import uuid
import warnings
from typing import Any

import numpy as np

try:
    import dask as da
    import dask.array as darr
    import xarray as xr
except ImportError as error:
    raise ImportError(
        f'{__name__} needs xarray and dask: pip install "stillscope[xarray]"'
    ) from error

from . import _check, _core, _mesh, _mesh_tree
from . import accessor as _accessor  # noqa: F401 - movie.stillscope of every DataArray
from ._source import FrameSource as _FrameSource
from .movie import estimate_motion as _estimate_movie
from .movie import estimate_settings as _estimate_settings
from .movie import movie_settings as _movie_settings
from .movie import translate as _translate
from .movie import warn_of as _warn_of
from .nonrigid import transform_frames as _transform_frames

# Names that minian's module has and other code takes from it; imported when they are asked for.
_LAZY = {
    "cv2": ("cv2", None),
    "sitk": ("SimpleITK", None),
    "phase_cross_correlation": ("skimage.registration", "phase_cross_correlation"),
    "xrconcat_recursive": ("minian.utilities", "xrconcat_recursive"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    value = importlib.import_module(module)
    return value if attribute is None else getattr(value, attribute)


# --- the estimate ---------------------------------------------------------------------------------


def estimate_motion(
    varr: xr.DataArray,
    dim: str = "frame",
    npart: int = 3,
    chunk_nfm: int | None = None,
    mesh_size: tuple[int, int] | None = None,
    *,
    refine: int = 0,
    engine: str = "sitk",
    **kwargs: Any,
) -> xr.DataArray:
    """Estimate the motion of every frame of a movie.

    Parameters
    ----------
    varr : xarray.DataArray
        With dims ``dim``, ``height`` and ``width`` in any order, over dask (any chunks) or NumPy;
        further dims are looped over.
    dim : str
        The dim along which frames are registered.
    npart : int or None
        Items merged in a node of the tree, at least 2; None: ``max(3, ceil(sqrt(n / chunk_nfm)))``.
    chunk_nfm : int or None
        Frames a chunk; None: the length of the largest chunk of ``varr`` along ``dim``.
    mesh_size : tuple of int or None
        Estimate a free-form deformation with this many mesh elements, used as ``(x, y)``.
    refine : int
        0: the shifts of minian. Above 0: those of `stillscope.estimate_motion`, bit for bit, with
        so many passes of its fit at most. They are of the movie as a whole and depend on its chunks
        only through ``npart=None``. For a lazy movie this is a single task, which reads the movie
        once for the tree and once a pass, and holds one chunk at a time.
    engine : {"sitk", "native"}
        With ``mesh_size``: minian's method, by SimpleITK (extra ``nonrigid``); or the fields of
        `stillscope.estimate_motion` with ``nonrigid=True``, in the same dims and layout, many times
        faster. Of the movie as a whole, as with ``refine``, of which it then takes at most as many
        passes, 3 where it is 0.
    **kwargs
        ``alt_error`` and the other options of `est_motion_chunk`. With ``refine`` or "native", those
        of `stillscope.estimate_motion`, with its defaults, and ``chunk_nfm`` is its ``chunk``; what
        `est_motion_chunk` has beside them has no effect.

    Returns
    -------
    xarray.DataArray
        float64, dims ``(further dims, dim, "shift_dim")``, px; with ``mesh_size``, dims
        ``(..., dim, "shift_dim", "grid0", "grid1")``, B-spline coefficients whose slot 0 is x. Lazy
        where ``varr`` is.

    Raises
    ------
    TypeError
        Where ``varr`` is no DataArray or an argument has the wrong type or an unknown name.
    ValueError
        Where dims are missing, the movie is empty, an option is out of range, or ``refine`` comes
        with ``mesh_size`` or with further dims.
    """
    if not isinstance(varr, xr.DataArray):
        raise TypeError(f"varr: expected an xarray.DataArray, got {type(varr).__name__}")
    if dim in ("height", "width"):
        raise ValueError(f"dim: expected another dim than 'height' and 'width', got {dim!r}")
    missing = [d for d in (dim, "height", "width") if d not in varr.dims]
    if missing:
        raise ValueError(
            f"varr: expected dims {dim!r}, 'height' and 'width', got {varr.dims} without "
            f"{', '.join(map(repr, missing))}"
        )
    extra = [d for d in varr.dims if d not in (dim, "height", "width")]
    ordered = varr.transpose(*extra, dim, "height", "width")
    if ordered.size == 0:
        raise ValueError(f"varr: expected at least one frame with pixels, got {dict(varr.sizes)}")
    _check.real_dtype(varr.dtype, "varr")
    n = varr.sizes[dim]
    if chunk_nfm is not None:
        chunk_nfm = _check.integer(chunk_nfm, "chunk_nfm", 1)
    if npart is None:
        nfm = chunk_nfm or (max(ordered.chunksizes[dim]) if ordered.chunks else n)
        npart = max(3, math.ceil(math.sqrt(n / nfm)))
    refine = _check.integer(refine, "refine", 0)
    if "nonrigid" in kwargs:
        raise TypeError(
            f"nonrigid: expected mesh_size with engine='native' here, got {kwargs['nonrigid']!r}"
        )
    is_native = _check.choice(engine, "engine", ("sitk", "native")) == "native"
    if is_native and mesh_size is None:
        raise ValueError("mesh_size: expected two whole numbers with engine='native', got None")
    if is_native:
        _mesh.check_side(ordered.shape, "varr")
        mesh_size = _mesh.checked_mesh_size(mesh_size)
        local = {"nonrigid": True, "mesh_size": mesh_size}
        result = _native_mesh_motion(ordered.data, npart, chunk_nfm, refine or 3, kwargs | local)
    elif refine > 0:
        if mesh_size is not None:
            raise ValueError(f"mesh_size: expected None with refine={refine}, got {mesh_size!r}")
        if extra:
            expected = f"{dim!r}, 'height' and 'width' alone with refine={refine}"
            raise ValueError(f"varr: expected dims {expected}, got {varr.dims}")
        result = _refined_motion(ordered.data, npart, chunk_nfm, refine, kwargs)
    else:
        result = _tree_motion(ordered.data, npart, chunk_nfm, mesh_size, kwargs)
    dims = [*extra, dim, "shift_dim"] + (["grid0", "grid1"] if mesh_size is not None else [])
    coords = {
        d: varr.coords[d].variable if d in varr.coords else np.arange(varr.sizes[d])
        for d in [*extra, dim]
    }
    coords["shift_dim"] = ["height", "width"]
    # xarray would take a dask array's key for a name.
    return xr.DataArray(result, dims=dims, coords=coords).rename(None)


def _tree_motion(
    pixels: Any, npart: int, chunk_nfm: int | None, mesh_size: Any, options: dict[str, Any]
) -> Any:
    """The motions of a movie, or of each along the leading axes; on dask where ``pixels`` are."""
    is_lazy = isinstance(pixels, darr.Array)

    def motions(part: darr.Array) -> darr.Array:
        if part.ndim > 3:
            return darr.stack([motions(part[i]) for i in range(len(part))])
        return est_motion_part(part, npart, chunk_nfm, mesh_size=mesh_size, **options)[1]

    result = motions(pixels if is_lazy else darr.from_array(pixels, chunks=-1, name=False))
    # The kernels bring their own threads.
    return result if is_lazy else result.compute(scheduler="synchronous")


class _Opaque:
    """A dask array that goes into a task as it is, rather than computed."""

    def __init__(self, array: darr.Array) -> None:
        self.array = array


def _refined_motion(
    pixels: Any, npart: int, chunk_nfm: int | None, refine: int, options: dict[str, Any]
) -> Any:
    """The refined shifts of a movie, (frame, 2); on dask a single task that reads it by and by."""
    parameters = inspect.signature(_estimate_movie).parameters
    tree_alone = {n: options[n] for n in ("upsample", "niter", "bin_thres") if n in options}
    options = {n: value for n, value in options.items() if n not in tree_alone}
    unknown = sorted(set(options) - (set(parameters) - {"movie", "npart", "chunk"}))
    if unknown:
        raise TypeError(f"estimate_motion() got an unexpected keyword argument {unknown[0]!r}")
    options |= {"npart": npart, "chunk": chunk_nfm, "refine": refine}
    # All of it is checked now, and not on some worker.
    given = {n: p.default for n, p in parameters.items() if n != "movie"} | options
    n_threads = given.pop("n_threads")
    if n_threads is not None:
        _check.integer(n_threads, "n_threads", 1)
    _chunk_options(npart, given["alt_error"], **tree_alone)
    _movie_settings(_FrameSource(pixels, "varr"), **given)
    mesh_size = options.get("mesh_size") if options.get("nonrigid") else None
    if not isinstance(pixels, darr.Array):
        return _refined_shifts(_Opaque(pixels), options)
    # Not a name by which minian's plug-in asks for a worker's memory.
    key = f"estimate_motion_refined-{uuid.uuid4()}"
    shifts = da.delayed(_refined_shifts, pure=False)(_Opaque(pixels), options, dask_key_name=key)
    grid = () if mesh_size is None else (mesh_size[1] + 3, mesh_size[0] + 3)
    return darr.from_delayed(shifts, (pixels.shape[0], 2, *grid), dtype=np.float64)


def _refined_shifts(movie: _Opaque, options: dict[str, Any]) -> np.ndarray:
    """The shifts, or the coefficients where there are any."""
    motion = _estimate_movie(movie.array, **options)
    return motion.shifts if motion.deformation is None else motion.deformation.coefficients


def _native_mesh_motion(
    pixels: Any, npart: int, chunk_nfm: int | None, refine: int, options: dict[str, Any]
) -> Any:
    """The coefficients of a movie, or of each along the leading axes; on dask where ``pixels``
    are."""
    if pixels.ndim > 3:
        parts = [
            _native_mesh_motion(part, npart, chunk_nfm, refine, options) for part in pixels
        ]
        return (darr if isinstance(pixels, darr.Array) else np).stack(parts)
    return _refined_motion(pixels, npart, chunk_nfm, refine, options)


def est_motion_part(
    varr: darr.Array,
    npart: int,
    chunk_nfm: int | None,
    alt_error: float | None = 5,
    mesh_size: tuple[int, int] | None = None,
    **kwargs: Any,
) -> tuple[darr.Array, darr.Array]:
    """Build the graph of the estimate of one movie: every chunk and every node runs exactly once.

    Parameters
    ----------
    varr : dask.array.Array
        ``(frame, height, width)``.
    npart, alt_error, mesh_size, **kwargs
        As in `est_motion_chunk`.
    chunk_nfm : int or None
        Frames a chunk; None: the length of the largest chunk.

    Returns
    -------
    temps : dask.array.Array
        The template: ``(3, height, width)``, or ``(height, width)`` without ``alt_error``.
    shifts : dask.array.Array
        float64 ``(frame, 2)`` px, or ``(frame, 2, grid0, grid1)`` with ``mesh_size``.
    """
    if not isinstance(varr, darr.Array):
        raise TypeError(f"varr: expected a dask array, got {type(varr).__name__}")
    if varr.ndim != 3 or 0 in varr.shape:
        raise ValueError(
            f"varr: expected (frame, height, width) with at least one of each, got {varr.shape}"
        )
    _check.real_dtype(varr.dtype, "varr")
    options = {**kwargs, "mesh_size": mesh_size}
    settings = _chunk_options(npart, alt_error, **options)
    npart = settings["npart"]
    if mesh_size is not None:
        _mesh.check_side(varr.shape, "varr")
    nfm = max(varr.chunks[0]) if chunk_nfm is None else _check.integer(chunk_nfm, "chunk_nfm", 1)
    varr = varr.rechunk((nfm, -1, -1))
    options = {key: value for key, value in options.items() if value is not None}

    # A result stays one (template, shifts) tuple until the very end: were its halves nodes of their
    # own, schedulers would run the kernel once for each. Blocks go in by their keys, uncopied.
    def call(function: Any, name: str, *args: Any) -> Any:
        key = f"{name}-{uuid.uuid4()}"
        return da.delayed(function, pure=False)(*args, dask_key_name=key, **options)

    blocks = varr.to_delayed().ravel()
    results = [
        call(est_motion_chunk, "est_motion_chunk", block, None, npart, alt_error)
        for block in blocks
    ]
    while len(results) > 1:
        results = [
            call(_est_motion_reduce, "_est_motion_reduce", results[i : i + npart], alt_error, npart)
            for i in range(0, len(results), npart)
        ]
    shape = varr.shape[1:] if not alt_error else (3, *varr.shape[1:])
    dtype = _template_dtype(varr.dtype, settings["aggregation"])
    grid = () if mesh_size is None else (mesh_size[1] + 3, mesh_size[0] + 3)
    temps = darr.from_delayed(results[0][0], shape, dtype=dtype)
    shifts = darr.from_delayed(results[0][1], (varr.shape[0], 2, *grid), dtype=np.float64)
    return temps, shifts


def _est_motion_reduce(
    res_grp: list, alt_error: float | None, npart: int, **kwargs: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Merge the ``(template, shifts)`` tuples of consecutive chunks into one.

    Parameters
    ----------
    res_grp : list of tuple
        Results of `est_motion_chunk` or of this function.
    alt_error, npart, **kwargs
        As in `est_motion_chunk`.
    """
    if len(res_grp) == 0:
        raise ValueError("res_grp: expected at least one (template, shifts), got none")
    templates, shifts = zip(*res_grp)
    return est_motion_chunk(np.stack(templates), list(shifts), npart, alt_error, **kwargs)


def est_motion_chunk(
    varr: np.ndarray,
    sh_org: list | None,
    npart: int,
    alt_error: float | None,
    aggregation: str = "mean",
    upsample: int = 100,
    max_sh: int = 100,
    circ_thres: float | None = None,
    mesh_size: tuple[int, int] | None = None,
    niter: int = 100,
    bin_thres: float | None = None,
    *,
    slot_last: str = "second",
    registrar: str = "coarse_to_fine",
    n_threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the motion of a chunk of frames, or of a stack of templates.

    Parameters
    ----------
    varr : numpy.ndarray
        Frames ``(frame, height, width)``, or templates ``(node, 3, height, width)`` with the slots
        first / aggregate / last; any real dtype. It is only read.
    sh_org : list of array_like or None
        For each item the shifts ``(k, 2)`` px that its motion is added to; None: one of zero each.
    npart : int
        Items merged in a node of the tree, at least 2.
    alt_error : float or None
        Disagreement [px] from which the registration through touching slots is considered; None or
        0: templates are single frames.
    aggregation : {"mean", "max"}
        How registered items become a template.
    upsample : int
        With ``mesh_size``, the precision (1 / upsample px) of the initial shift; else ignored, as
        in minian.
    max_sh : int
        Zero border [px] for the circularity test.
    circ_thres : float or None
        Items whose `check_temp` is not above it are not good.
    mesh_size, niter, bin_thres
        Non-rigid: mesh elements ``(x, y)``, iterations, threshold of the masks.
    slot_last : {"second", "last"}
        The good frame that fills a template's last slot: minian 2.0.2 takes the second.
    registrar : {"coarse_to_fine", "fft"}
        Small transforms whose peak is then found at full size, or transforms at full size: the
        reference, with the same shifts, many times slower.
    n_threads : int or None
        Threads; None: STILLSCOPE_NUM_THREADS, else those of the dask worker, else OMP_NUM_THREADS,
        else what the process may use. The result does not depend on it.

    Returns
    -------
    template : numpy.ndarray
        ``(3, height, width)``, or ``(height, width)`` without ``alt_error``. float64 for the mean
        of integers, else of the dtype of ``varr``. NaN where no item has a finite pixel.
    shifts : numpy.ndarray
        float64 ``(sum of k, 2)`` px, centred; NaN for frames without a finite pixel.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was expected and what came.

    Warns
    -----
    UserWarning
        For each group of which less than 90 % is good; for frames with non-finite pixels.
    """
    settings = _chunk_options(
        npart, alt_error, aggregation=aggregation, upsample=upsample, max_sh=max_sh,
        circ_thres=circ_thres, mesh_size=mesh_size, niter=niter, bin_thres=bin_thres,
        slot_last=slot_last, registrar=registrar, n_threads=n_threads,
    )  # fmt: skip
    array = _check.frames(varr, "varr", (3, 4))
    if sh_org is not None:
        if not isinstance(sh_org, (list, tuple, np.ndarray)):
            raise TypeError(f"sh_org: expected a list of arrays or None, got {sh_org!r}")
        if len(sh_org) != len(array):
            expected = f"{len(array)} arrays, one an item"
            raise ValueError(f"sh_org: expected {expected}, got {len(sh_org)}")
    if mesh_size is not None:
        _mesh.check_side(array.shape, "varr")
        return _mesh_tree.est_motion_chunk_mesh(
            array, sh_org, settings["npart"], settings["alt_error"], aggregation=aggregation,
            upsample=upsample, max_sh=max_sh, circ_thres=circ_thres, mesh_size=mesh_size,
            niter=niter, bin_thres=bin_thres, slot_last=slot_last, check_temp=check_temp,
        )  # fmt: skip
    if sh_org is not None:
        sh_org = [_check.real_array(rows, "sh_org", (2,)).astype(np.float64) for rows in sh_org]
    settings["warped_values"] = _check.warped_values(array.dtype)
    result = _core.est_motion_chunk(
        _check.kernel_array(array), sh_org, settings, _check.threads(n_threads)
    )
    if sh_org is not None and (array.ndim == 4 or any(len(rows) != 1 for rows in sh_org)):
        # Templates of chunks: what is wrong with their frames has been said at the chunks.
        result = {**result, "repaired": 0, "dead": 0}
    _warn_of(result, circ_thres)
    dtype = _template_dtype(array.dtype, aggregation)
    return result["template"].astype(dtype, copy=False), result["shifts"]


_CHUNK_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(est_motion_chunk).parameters.items()
    if parameter.default is not parameter.empty
}


def _chunk_options(npart: int, alt_error: float | None, **given: Any) -> dict[str, Any]:
    """Checks the options of `est_motion_chunk`, at the call that names them; those of the tree."""
    unknown = sorted(set(given) - set(_CHUNK_DEFAULTS))
    if unknown:
        raise TypeError(f"est_motion_chunk() got an unexpected keyword argument {unknown[0]!r}")
    options = {**_CHUNK_DEFAULTS, **given}
    tree = ("aggregation", "max_sh", "circ_thres", "slot_last", "registrar")
    settings = _estimate_settings(npart, alt_error, *(options[name] for name in tree))
    if options["n_threads"] is not None:
        _check.integer(options["n_threads"], "n_threads", 1)
    _check.integer(options["upsample"], "upsample", 1)
    _check.integer(options["niter"], "niter", 1)
    _check.optional_number(options["bin_thres"], "bin_thres")
    if options["mesh_size"] is not None:
        _mesh.checked_mesh_size(options["mesh_size"])
    return settings


def _template_dtype(dtype: np.dtype, aggregation: str) -> np.dtype:
    """dtype of a template of frames of ``dtype``."""
    if aggregation == "max" or dtype.kind == "f":
        return dtype.newbyteorder("=")
    return np.dtype(np.float64)


def est_motion_perframe(
    src: np.ndarray,
    dst: np.ndarray,
    upsample: int = 100,
    src_ma: np.ndarray | None = None,
    dst_ma: np.ndarray | None = None,
    mesh_size: tuple[int, int] | None = None,
    niter: int = 100,
    src_fft: np.ndarray | None = None,
    dst_fft: np.ndarray | None = None,
) -> np.ndarray:
    """The motion that brings ``src`` onto ``dst``.

    Parameters
    ----------
    src, dst : numpy.ndarray
        Frames of one shape ``(height, width)``, any real dtype.
    upsample, src_ma, dst_ma, mesh_size, niter
        Used with ``mesh_size`` only: precision of the initial shift, masks, mesh elements (x, y),
        iterations.
    src_fft, dst_fft : numpy.ndarray or None
        ``np.fft.rfft2`` of ``src`` and ``dst``, where the caller has them.

    Returns
    -------
    numpy.ndarray
        float64 ``(2,)``, px; with ``mesh_size`` B-spline coefficients
        ``(2, mesh_size[1] + 3, mesh_size[0] + 3)``.
    """
    src, dst = _check.frames(src, "src", (2,)), _check.frames(dst, "dst", (2,))
    if src.shape != dst.shape:
        raise ValueError(f"dst: expected the shape of src, {src.shape}, got {dst.shape}")
    if mesh_size is not None:
        for mask, name in ((src_ma, "src_ma"), (dst_ma, "dst_ma")):
            if mask is not None and np.shape(mask) != src.shape:
                raise ValueError(f"{name}: expected shape {src.shape}, got {np.shape(mask)}")
        return _mesh.register_mesh(
            src, dst, upsample=upsample, src_mask=src_ma, dst_mask=dst_ma, mesh_size=mesh_size,
            niter=niter,
        )  # fmt: skip
    if src_fft is None:
        src_fft = np.fft.rfft2(_finite(src))
    if dst_fft is None:
        dst_fft = np.fft.rfft2(_finite(dst))
    return -_xcorr_subpixel(src_fft, dst_fft, src.shape) + 0.0  # never minus zero


def _finite(frame: np.ndarray) -> np.ndarray:
    """The frame, its non-finite pixels replaced by the mean of the finite ones; NaN without any."""
    filled = _mesh.fill_gaps(frame)
    return np.full_like(frame, np.nan) if filled is None else filled


def _xcorr_subpixel(
    src_fft: np.ndarray, dst_fft: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Peak of the circular cross-correlation, refined by a parabola: where ``src`` has moved to.

    Parameters
    ----------
    src_fft, dst_fft : numpy.ndarray
        Spectra ``(height, width // 2 + 1)`` in the layout of ``np.fft.rfft2``.
    shape : tuple of int
        ``(height, width)`` of the frames.

    Returns
    -------
    numpy.ndarray
        float64 ``(2,)``, px: minus the correction. NaN where a spectrum is not finite.
    """
    spectra = [np.ascontiguousarray(s, dtype=np.complex128) for s in (src_fft, dst_fft)]
    height, width = (_check.integer(n, "shape", 1) for n in shape)
    for spectrum, name in zip(spectra, ("src_fft", "dst_fft")):
        if spectrum.shape != (height, width // 2 + 1):
            expected = (height, width // 2 + 1)
            raise ValueError(f"{name}: expected shape {expected}, got {spectrum.shape}")
    if not all(np.isfinite(s).all() for s in spectra):
        return np.full(2, np.nan)
    return _core.displacement_from_spectra(*spectra, height, width)


def match_temp(
    src: np.ndarray, dst: np.ndarray, max_sh: int, local: bool, subpixel: bool = False
) -> np.ndarray:
    """Shift that brings ``dst`` onto ``src``, by normalised correlation within ``max_sh``.

    The reverse of `est_motion_perframe`, as in minian.

    Parameters
    ----------
    src, dst : numpy.ndarray
        Frames ``(height, width)``, any real dtype.
    max_sh : int
        The largest shift looked for [px].
    local : bool
        Take the local maximum nearest to no shift rather than the highest.
    subpixel : bool
        Refine by a quadratic fit.

    Returns
    -------
    numpy.ndarray
        float64 ``(2,)``, px; whole numbers without ``subpixel``.
    """
    frames = (
        np.asarray(_check.frames(f, n, (2,)), np.float32) for f, n in ((src, "src"), (dst, "dst"))
    )
    return _core.match_template(
        *frames,
        max_sh=_check.integer(max_sh, "max_sh", 0),
        local=bool(local),
        subpixel=bool(subpixel),
    )


def check_temp(fm: np.ndarray, max_sh: int) -> float:
    """Circularity of the region where a frame resembles itself; near 1 for a good template.

    Parameters
    ----------
    fm : numpy.ndarray
        ``(height, width)``, any real dtype.
    max_sh : int
        Zero border [px] round the frame.

    Returns
    -------
    float
        ``4 pi area / perimeter**2``, or 0 where the region is not one piece.
    """
    frame = _check.kernel_array(_check.frames(fm, "fm", (2,)))
    return _core.circularity(frame, _check.integer(max_sh, "max_sh", 0))


def get_mask(fm: np.ndarray, bin_thres: float, bin_wnd: int) -> np.ndarray:
    """Pixels that exceed the mean of their neighbourhood by more than ``bin_thres``.

    Parameters
    ----------
    fm : numpy.ndarray
        uint8 ``(height, width)``.
    bin_thres : float
        Grey levels.
    bin_wnd : int
        Side of the neighbourhood [px], odd and above 1.

    Returns
    -------
    numpy.ndarray
        bool ``(height, width)``.
    """
    frame = _check.frames(fm, "fm", (2,))
    if frame.dtype != np.uint8:
        raise TypeError(f"fm: expected dtype uint8, got {frame.dtype}")
    window = _check.integer(bin_wnd, "bin_wnd", 3)
    if window % 2 == 0:
        raise ValueError(f"bin_wnd: expected an odd number above 1, got {window}")
    threshold = _check.number(bin_thres, "bin_thres")
    if not math.isfinite(threshold):
        raise ValueError(f"bin_thres: expected a finite number, got {threshold}")
    return _core.adaptive_mask(frame, threshold, window)


# --- applying -------------------------------------------------------------------------------------


def apply_transform(
    varr: xr.DataArray,
    trans: xr.DataArray,
    fill: float = 0,
    mesh_size: tuple[int, int] | None = None,
    *,
    grid: str = "exact",
    n_threads: int | None = None,
) -> xr.DataArray:
    """Apply shifts, or B-spline coefficients, to a movie.

    Parameters
    ----------
    varr : xarray.DataArray
        Over dask or NumPy, with the dims that the labels of ``shift_dim`` name (``height`` and
        ``width``). Its frames need not have the size on which ``trans`` was estimated.
    trans : xarray.DataArray
        As of `estimate_motion`: dim ``shift_dim``, and ``grid0``, ``grid1`` for coefficients. Other
        dims are matched with those of ``varr`` by name and label, or broadcast.
    fill : float
        Value outside the frame; one that the movie's dtype holds.
    mesh_size : tuple of int or None
        For coefficients: taken from their grid where None.
    grid : {"exact", "cv2"}
        Sample at the exact position (as OpenCV 5), or at multiples of 1/32 px (as OpenCV 4).
    n_threads : int or None
        As in `est_motion_chunk`.

    Returns
    -------
    xarray.DataArray
        Lazy, of the name, attributes, coordinates and dtype of ``varr``.

    Raises
    ------
    TypeError, ValueError
        Naming the argument; `xarray.AlignmentError` where labels of a shared dim differ.
    """
    fill = _check_apply(varr, trans, fill, "trans")
    _check.choice(grid, "grid", ("exact", "cv2"))
    if n_threads is not None:
        _check.integer(n_threads, "n_threads", 1)
    spatial = _spatial_dims(varr, trans)
    is_mesh = "grid0" in trans.dims
    if is_mesh:
        core = ["shift_dim", "grid0", "grid1"]
        if "grid1" not in trans.dims:
            raise ValueError(f"trans: expected dims grid0 and grid1, got {trans.dims}")
        mesh_size = _mesh.mesh_size_of_grid(
            tuple(trans.sizes[d] for d in core), mesh_size, "trans"
        )
        options = {"fill": fill, "n_threads": n_threads}
        block = _transform_perframe_mesh
    else:
        core = ["shift_dim"]
        options = {"fill": fill, "grid": grid, "n_threads": n_threads}
        block = _transform_perframe_block
    return _apply_lazily(block, varr, spatial, trans, core, options)


def _check_apply(varr: Any, shifts: Any, fill: Any, name: str) -> float:
    for value, argument in ((varr, "varr"), (shifts, name)):
        if not isinstance(value, xr.DataArray):
            got = type(value).__name__
            raise TypeError(f"{argument}: expected an xarray.DataArray, got {got}")
        _check.real_dtype(value.dtype, argument)
    if "shift_dim" not in shifts.dims or shifts.sizes["shift_dim"] != 2:
        raise ValueError(f"{name}: expected a dim 'shift_dim' of size 2, got {dict(shifts.sizes)}")
    return _check.fill(fill, varr.dtype)


def _spatial_dims(varr: xr.DataArray, shifts: xr.DataArray) -> list[str]:
    """The dims that the two components of a shift move, in their order."""
    labels = shifts.coords["shift_dim"].values if "shift_dim" in shifts.coords else None
    spatial = ["height", "width"] if labels is None else [str(label) for label in labels]
    missing = [d for d in spatial if d not in varr.dims]
    if missing:
        raise ValueError(f"varr: expected dims {spatial}, got {varr.dims} without {missing}")
    if spatial[0] == spatial[1]:
        raise ValueError(f"shift_dim: expected two different labels, got {spatial}")
    if any(varr.sizes[d] == 0 for d in spatial):
        raise ValueError(f"varr: expected frames with pixels, got {dict(varr.sizes)}")
    return spatial


def _apply_lazily(
    block: Any,
    varr: xr.DataArray,
    spatial: list[str],
    shifts: xr.DataArray,
    core: list[str],
    options: dict[str, Any],
) -> xr.DataArray:
    """``block`` over the chunks of ``varr`` and ``shifts``, whose core dims are made one chunk."""
    # The movie keeps its coordinates, whatever those of the shifts.
    shifts = shifts.drop_vars(
        [c for c in shifts.coords if c not in shifts.dims and c not in shifts.xindexes]
    )
    if varr.chunks is None:
        varr = varr.chunk()
    varr = varr.chunk({d: -1 for d in spatial})
    if shifts.chunks is not None:
        shifts = shifts.chunk({d: -1 for d in core})
    result = xr.apply_ufunc(
        block,
        varr,
        shifts,
        input_core_dims=[spatial, core],
        output_core_dims=[spatial],
        dask="parallelized",
        output_dtypes=[varr.dtype],
        join="exact",
        keep_attrs="override",
        kwargs=options,
    )
    # shift_dim is gone from the result; other coordinates of the shifts are none of the movie's.
    result = result.drop_vars(
        [
            c
            for c in result.coords
            if c not in varr.coords and c not in result.dims and c not in result.xindexes
        ]
    )
    return result.assign_attrs(varr.attrs).rename(varr.name)


def _perframe(frames: np.ndarray, shifts: np.ndarray, core: int) -> tuple:
    """``frames`` (..., h, w) and ``shifts`` (..., *core) with broadcast, flattened leading axes."""
    lead = np.broadcast_shapes(frames.shape[:-2], shifts.shape[: shifts.ndim - core])
    tail = shifts.shape[shifts.ndim - core :]
    flat = np.broadcast_to(frames, lead + frames.shape[-2:]).reshape(-1, *frames.shape[-2:])
    return lead, flat, np.broadcast_to(shifts, lead + tail).reshape(-1, *tail)


def _transform_perframe_block(
    frames: np.ndarray, shifts: np.ndarray, fill: float, grid: str, n_threads: int | None
) -> np.ndarray:
    """The rigid warp of a block of frames, in one call."""
    lead, flat, rows = _perframe(frames, shifts, 1)
    out = np.empty(flat.shape, frames.dtype)
    if out.size:
        # Here, not where the graph was built: a worker has threads of its own.
        threads = _check.threads(n_threads)
        _translate(
            flat, rows.astype(np.float64), out, fill=fill, grid=grid, rounding="truncate",
            n_threads=threads,
        )  # fmt: skip
    return out.reshape(lead + frames.shape[-2:])


def _transform_perframe_mesh(
    frames: np.ndarray, coefficients: np.ndarray, fill: float, n_threads: int | None
) -> np.ndarray:
    """The B-spline warp of a block of frames, in one call."""
    lead, flat, grids = _perframe(frames, coefficients, 3)
    out = _transform_frames(flat, grids, fill, n_threads=_check.threads(n_threads))
    return out.reshape(lead + frames.shape[-2:])


def transform_perframe(
    fm: np.ndarray,
    tx_coef: np.ndarray,
    fill: float = 0,
    param: np.ndarray | None = None,
    mesh_size: tuple[int, int] | None = None,
    *,
    grid: str = "exact",
) -> np.ndarray:
    """Warp one frame.

    Parameters
    ----------
    fm : numpy.ndarray
        ``(height, width)``, any real dtype. It is only read.
    tx_coef : numpy.ndarray
        A shift ``(2,)`` px, or B-spline coefficients ``(2, grid0, grid1)``.
    fill : float
        Value outside the frame, with which edge pixels blend.
    param : sequence of float or None
        Fixed parameters as of `get_bspline_param`, for coefficients.
    mesh_size : tuple of int or None
        For coefficients: taken from their grid where None.
    grid : {"exact", "cv2"}
        As in `apply_transform`.

    Returns
    -------
    numpy.ndarray
        Of the shape and dtype of ``fm``; integers are truncated.
    """
    frame = _check.frames(fm, "fm", (2,))
    fill = _check.fill(fill, frame.dtype)
    coefficients = np.asarray(tx_coef)
    if coefficients.ndim > 1:
        mesh_size = _mesh.mesh_size_of_grid(coefficients.shape, mesh_size, "tx_coef")
        _check.real_dtype(coefficients.dtype, "tx_coef")
        if param is not None:
            param = _mesh.checked_param(param, mesh_size)
            if param[6:] != (1.0, 0.0, 0.0, 1.0):
                raise ValueError(f"param: expected the axes of the frame, got {param[6:]}")
        return _transform_frames(frame[None], coefficients[None], fill, param, 1)[0]
    _check.choice(grid, "grid", ("exact", "cv2"))
    shift = _check.shift_rows(coefficients[None], "tx_coef", 1)
    out = np.empty((1, *frame.shape), frame.dtype)
    # One frame: the cost of threads would be more than its own.
    _translate(frame[None], shift, out, fill=fill, grid=grid, rounding="truncate", n_threads=1)
    return out[0]


def apply_shifts(varr: xr.DataArray, shifts: xr.DataArray, fill: float = np.nan) -> xr.DataArray:
    """Roll each frame by its shift, rounded to whole pixels (half to even).

    Parameters
    ----------
    varr, shifts : xarray.DataArray
        As in `apply_transform`.
    fill : float
        Value of vacated pixels; one that the movie's dtype holds.

    Returns
    -------
    xarray.DataArray
        Lazy, as of `apply_transform`. Frames without any number stay so.
    """
    fill = _check_apply(varr, shifts, fill, "shifts")
    spatial = _spatial_dims(varr, shifts)
    options = {"fill": fill}
    return _apply_lazily(_shift_perframe_block, varr, spatial, shifts, ["shift_dim"], options)


def _shift_perframe_block(frames: np.ndarray, shifts: np.ndarray, fill: float) -> np.ndarray:
    lead, flat, rows = _perframe(frames, shifts, 1)
    out = np.empty(flat.shape, frames.dtype)
    for i, (frame, shift) in enumerate(zip(flat, rows)):
        _roll(frame, shift, fill, out[i])
    return out.reshape(lead + frames.shape[-2:])


def shift_perframe(fm: np.ndarray, sh: np.ndarray, fill: float = np.nan) -> np.ndarray:
    """Roll one frame by a shift, rounded to whole pixels (half to even).

    Parameters
    ----------
    fm : numpy.ndarray
        ``(height, width)``. A frame of nothing but NaN comes back as it is.
    sh : numpy.ndarray
        ``(2,)``, px. One that is not finite gives a frame of ``fill``.
    fill : float
        Value of vacated pixels; one that the frame's dtype holds.

    Returns
    -------
    numpy.ndarray
        A new frame of the shape and dtype of ``fm``.
    """
    frame = _check.frames(fm, "fm", (2,))
    out = np.empty(frame.shape, frame.dtype)
    fill = _check.fill(fill, frame.dtype)
    _roll(frame, _check.shift_rows(np.asarray(sh)[None], "sh", 1)[0], fill, out)
    return out


def _roll(frame: np.ndarray, shift: np.ndarray, fill: float, out: np.ndarray) -> None:
    if frame.dtype.kind == "f" and np.isnan(frame).all():
        out[...] = frame
        return
    out[...] = fill
    if not np.isfinite(shift).all():
        return
    source, target = [], []
    for size, step in zip(frame.shape, np.rint(shift)):
        step = int(np.clip(step, -size, size))
        source.append(slice(max(0, -step), size - max(0, step)))
        target.append(slice(max(0, step), size - max(0, -step)))
    out[tuple(target)] = frame[tuple(source)]


def get_bspline_param(img: np.ndarray, mesh_size: tuple[int, int]) -> tuple[float, ...]:
    """Fixed parameters of the B-spline transform over an image, as SimpleITK states them.

    Parameters
    ----------
    img : numpy.ndarray
        ``(height, width)``.
    mesh_size : tuple of int
        Mesh elements ``(x, y)``.
    """
    return _mesh.bspline_param(_check.frames(img, "img", (2,)), mesh_size)


def get_mesh_size(fm: np.ndarray) -> tuple[int, int]:
    """A mesh element for every 100 px of a frame, at least 1, for (height, width)."""
    return _mesh.mesh_size_of(_check.frames(fm, "fm", (2,)))
