# SPDX-License-Identifier: GPL-3.0-or-later
"""The xarray accessor: ``movie.stillscope`` of every DataArray, once this module is imported.

``import stillscope.accessor`` is all it takes; ``stillscope.motion_correction`` and
``stillscope.install()`` import it too. (``import stillscope`` alone imports no xarray.)

A corrected movie carries the shifts that it was moved by as coordinates along its frames:
``shift_height`` and ``shift_width`` [px], and ``flagged`` (bool) where the estimate has flags. They
follow its frames through selections, and to zarr and netCDF files and back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _check
from ._source import FrameSource
from .io.extras import import_extra
from .movie import apply_motion, estimate_motion
from .nonrigid import Deformation
from .residual import residual_motion
from .result import FrameMotion, MotionEstimate

if TYPE_CHECKING:
    import xarray as xr
else:
    xr = import_extra("xarray", __name__)

_AXES = ("height", "width")
_SHIFTS = {axis: f"shift_{axis}" for axis in _AXES}  # the coordinates' names


@xr.register_dataarray_accessor("stillscope")
class MovieAccessor:
    """Registration of a movie: a DataArray with dims ``frame``, ``height`` and ``width``, in any
    order, over NumPy or dask. The movie is only read."""

    def __init__(self, movie: xr.DataArray) -> None:
        self._movie = movie

    def estimate(
        self, *, dim: str = "frame", progress: Any = None, **options: Any
    ) -> MotionEstimate:
        """Estimate the motion of every frame.

        The estimate is made at the call. A dask movie is read a few frames at a time and once a
        pass, as in `stillscope.estimate_motion`; the result does not depend on its chunks. (dask's
        own ``ProgressBar`` shows every chunk's computation as one of its own; the cluster's
        dashboard works as usual.)

        Parameters
        ----------
        dim : str
            The dim along which frames are registered.
        progress : bool or None
            A bar for each reading of the movie (tqdm), on standard error or in the notebook; None:
            where somebody can see it.
        **options
            Those of `stillscope.estimate_motion`: ``preset``, ``max_shift``, ``n_threads``, ...
            ``mask`` may be a DataArray.

        Returns
        -------
        MotionEstimate

        Raises
        ------
        TypeError
            Where an argument has the wrong type or an unknown name, or the movie no real dtype.
        ValueError
            Where the movie has other dims or no pixels, or an option is out of range.
        """
        if "mask" in options:
            options["mask"] = _plane(options["mask"])
        with self._watched(dim, progress, "estimate") as movie:
            return estimate_motion(movie, **options)

    def apply(
        self,
        motion: Any,
        *,
        dim: str = "frame",
        fill: float = 0,
        grid: str = "exact",
        interpolation: str = "linear",
        border: str = "constant",
        binning: float | tuple[float, float] = 1.0,
        n_threads: int | None = None,
    ) -> xr.DataArray:
        """Move every frame by its shift: lazily where the movie is lazy.

        Parameters
        ----------
        motion : MotionEstimate, xarray.DataArray, xarray.Dataset or array_like
            Shifts ``(frame, 2)`` in px, ``(height, width)``. Those of a DataArray (dims ``dim`` and
            ``shift_dim``, as minian's) go by its labels, which must be the movie's; a Dataset is
            one of `MotionEstimate.to_xarray`, whose fields count too. What is lazy among them is
            computed at the call.
        dim : str
            The dim of the frames.
        fill, grid, interpolation, border, binning, n_threads
            As in `stillscope.apply_motion`.

        Returns
        -------
        xarray.DataArray
            Of the name, attributes, coordinates, dtype and order of dims of the movie, with the
            coordinates ``shift_height`` and ``shift_width``: by how many of its own pixels each
            frame was moved; and ``flagged`` where ``motion`` is an estimate with flags. They take
            the place of those of an earlier correction.

        Raises
        ------
        TypeError
            As `stillscope.apply_motion`.
        ValueError
            Where the movie has other dims, the shifts are of other frames, or an option is out of
            range: at the call, also where the movie is lazy.
        """
        movie = self._frames_first(dim)
        _check.real_dtype(movie.dtype, "movie")
        moves = self._moves_of(motion, dim)
        how = {
            "fill": fill, "grid": grid, "interpolation": interpolation, "border": border,
            "binning": binning, "n_threads": n_threads,
        }  # fmt: skip
        apply_motion(np.zeros((1, 1, 1), movie.dtype), np.zeros((1, 2)), **how)  # its checks
        if movie.chunks is None:
            data = apply_motion(movie.data, moves, **how)
        elif moves.deformation is None:
            data = _apply_lazily(movie.data, moves.shifts, how)
        else:
            data = _deform_lazily(movie.data, moves, how)
        moved = movie.copy(data=data).transpose(*self._movie.dims)
        if all(name in moved.coords for name in _SHIFTS.values()):
            moved = moved.drop_vars([*_SHIFTS.values(), "flagged"], errors="ignore")
        moved.encoding = {}  # chunks of the file that the movie came from do not fit these
        moved_by = moves.shifts / np.array(_check.positive_pair(binning, "binning"))
        return moved.assign_coords(_coords_of(motion, moved_by, dim))

    def correct(
        self,
        *,
        dim: str = "frame",
        fill: float = 0,
        grid: str = "exact",
        interpolation: str = "linear",
        border: str = "constant",
        progress: Any = None,
        n_threads: int | None = None,
        **options: Any,
    ) -> xr.DataArray:
        """Take the motion out: `estimate`, at the call, and `apply`, lazy where the movie is.

        Parameters
        ----------
        dim, fill, grid, interpolation, border, n_threads
            As in `apply`.
        progress, **options
            As in `estimate`.

        Returns
        -------
        xarray.DataArray
            As of `apply`. To have the estimate too, call the two by themselves.

        Raises
        ------
        TypeError, ValueError
            As `estimate` and `apply`.

        Examples
        --------
        >>> import stillscope.accessor
        >>> corrected = movie.stillscope.correct(preset="miniscope", max_shift=30)
        >>> corrected.to_zarr("corrected.zarr")
        >>> corrected.stillscope.motion.plot.line(x="frame")
        """
        how = {"fill": fill, "grid": grid, "interpolation": interpolation, "border": border}
        apply_motion(np.zeros((1, 1, 1), self._movie.dtype), np.zeros((1, 2)), **how)  # its checks
        motion = self.estimate(dim=dim, progress=progress, n_threads=n_threads, **options)
        return self.apply(motion, dim=dim, n_threads=n_threads, **how)

    @property
    def motion(self) -> xr.DataArray:
        """The shifts that this movie was moved by, from its coordinates.

        float64 ``(frame, shift_dim)``, px, named ``motion``: as minian's, `apply` and
        ``apply_transform`` take it. `ValueError` where the movie has not been corrected.
        """
        missing = [name for name in _SHIFTS.values() if name not in self._movie.coords]
        if missing:
            raise ValueError(
                f"movie: expected coordinates {', '.join(_SHIFTS.values())}, as a corrected movie "
                f"has, got none of the name {missing[0]}"
            )
        parts = [self._movie.coords[name] for name in _SHIFTS.values()]
        along = parts[0].drop_vars([*_SHIFTS.values(), "flagged"], errors="ignore").coords
        return xr.DataArray(
            np.stack([part.values for part in parts], axis=-1),
            {**along, "shift_dim": list(_AXES)},
            (*parts[0].dims, "shift_dim"),
            "motion",
            {"units": "px", "long_name": "shift"},
        )

    def residual_motion(
        self,
        motion: Any = None,
        *,
        dim: str = "frame",
        template: Any = None,
        binning: int | None = None,
        progress: Any = None,
        n_threads: int | None = None,
    ) -> xr.DataArray:
        """How far each frame lies from the template, by optical flow: `stillscope.residual_motion`.

        Parameters
        ----------
        motion : as in `apply`, or None
            None: the frames as they are.
        template : array_like, xarray.DataArray or None
            ``(height, width)``. None: that of a MotionEstimate, else the mean of the moved frames.
        dim, progress
            As in `estimate`.
        binning, n_threads
            As in `stillscope.residual_motion`.

        Returns
        -------
        xarray.DataArray
            float64 ``(frame,)``, px, with the coordinates of the frames.

        Raises
        ------
        TypeError, ValueError
            As `stillscope.residual_motion`.
        """
        if motion is not None and not isinstance(motion, MotionEstimate):
            motion = self._moves_of(motion, dim)
        with self._watched(dim, progress, "residual") as movie:
            values = residual_motion(
                movie, motion, template=_plane(template), binning=binning, n_threads=n_threads
            )
        along = {k: c for k, c in self._movie.coords.items() if c.dims in ((), (dim,))}
        about = {"units": "px", "long_name": "residual motion"}
        return xr.DataArray(values, along, (dim,), "residual_motion", about)

    def _frames_first(self, dim: str) -> xr.DataArray:
        """The movie as ``(dim, height, width)``."""
        movie = self._movie
        if dim in _AXES:
            raise ValueError(f"dim: expected another dim than 'height' and 'width', got {dim!r}")
        if set(movie.dims) != {dim, *_AXES}:
            raise ValueError(f"movie: expected dims {(dim, *_AXES)} in any order, got {movie.dims}")
        return movie.transpose(dim, *_AXES)

    @contextmanager
    def _watched(self, dim: str, progress: Any, name: str) -> Iterator[Any]:
        """The movie, whose readings are shown."""
        from .pipeline.progress import PassBars, as_progress  # here: it imports what reads files

        source = FrameSource(self._frames_first(dim))
        with PassBars(as_progress(progress), len(source), name) as bars:
            yield _Watched(source, bars.read)

    def _moves_of(self, motion: Any, dim: str) -> FrameMotion:
        """How the frames of this movie move."""
        local = None
        if isinstance(motion, xr.Dataset):
            if "motion" not in motion:
                raise ValueError(f"motion: expected a variable 'motion', got {list(motion)}")
            local = _fields_of(motion)
            motion = motion["motion"]
        elif not isinstance(motion, xr.DataArray):
            local = getattr(motion, "deformation", None)
            motion = getattr(motion, "shifts", motion)
        if isinstance(motion, xr.DataArray):
            if set(motion.dims) != {dim, "shift_dim"}:
                raise ValueError(f"motion: expected dims {(dim, 'shift_dim')}, got {motion.dims}")
            if "shift_dim" in motion.indexes:
                labels = [str(label) for label in motion.indexes["shift_dim"]]
                if sorted(labels) != sorted(_AXES):
                    raise ValueError(f"motion: expected shift_dim {list(_AXES)}, got {labels}")
                motion = motion.sel(shift_dim=list(_AXES))
            ours, theirs = (x.indexes.get(dim) for x in (self._movie, motion))
            if ours is not None and theirs is not None and not ours.equals(theirs):
                raise ValueError(
                    f"motion: expected the movie's labels of {dim!r} ({_range_of(ours)}), "
                    f"got {_range_of(theirs)}"
                )
            motion = motion.transpose(dim, "shift_dim").values
        frames = self._movie.sizes.get(dim, 0)
        return FrameMotion(_check.shift_rows(motion, "motion", frames), local)


def _fields_of(motion: xr.Dataset) -> Deformation | None:
    """Of a Dataset that `MotionEstimate.to_xarray` made."""
    from .io.motion_file import FIELDS, deformation_in

    names = {f"nonrigid_{name}": dims for name, dims in FIELDS.items()}
    if not set(names) <= set(motion.variables):
        return None
    values = {
        name: motion[name].transpose(..., *(dim for dim in dims if dim != "frame")).values
        for name, dims in names.items()
    }
    return deformation_in(values, motion.attrs)


def _deform_lazily(movie: Any, motion: FrameMotion, how: dict[str, Any]) -> Any:
    """A dask movie's chunks of frames, each with its fields."""

    def moved(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        begin, end = block_info[0]["array-location"][0]
        return apply_motion(block, motion.of_frames(slice(begin, end)), **how)

    whole = movie.rechunk({1: -1, 2: -1})
    return whole.map_blocks(moved, dtype=movie.dtype, meta=np.empty((0, 0, 0), movie.dtype))


class _Watched:
    """A movie that says what is read of it."""

    def __init__(self, source: FrameSource, on_read: Any) -> None:
        self.shape, self.dtype = source.shape, source.dtype
        self._source, self._on_read = source, on_read

    def __getitem__(self, run: slice) -> np.ndarray:
        begin, end, _ = run.indices(self.shape[0])
        self._on_read(begin, end)
        return self._source.read_as_is(begin, end)


def _apply_lazily(movie: Any, shifts: np.ndarray, how: dict[str, Any]) -> Any:
    """A dask movie's chunks of frames, each with its shifts."""
    import dask.array as da

    movie = movie.rechunk({1: -1, 2: -1})
    rows = da.from_array(shifts, chunks=(movie.chunks[0], 2))
    return da.blockwise(
        _moved, "fhw", movie, "fhw", rows, "fs", concatenate=True, dtype=movie.dtype,
        meta=np.empty((0, 0, 0), movie.dtype), token="stillscope_apply", **how,
    )  # fmt: skip


def _moved(frames: np.ndarray, shifts: np.ndarray, **how: Any) -> np.ndarray:
    return apply_motion(frames, shifts, **how)


def _coords_of(motion: Any, shifts: np.ndarray, dim: str) -> dict[str, xr.Variable]:
    """What a movie says of its own correction."""
    coords = {
        name: xr.Variable(dim, shifts[:, k].copy(), {"units": "px", "long_name": f"shift, {axis}"})
        for k, (axis, name) in enumerate(_SHIFTS.items())
    }
    quality = getattr(motion, "quality", None)
    if quality is not None:
        coords["flagged"] = xr.Variable(dim, quality.flagged)
    return coords


def _plane(value: Any) -> Any:
    """A plane of pixels, ``(height, width)`` whatever the order of its dims."""
    if isinstance(value, xr.DataArray) and set(value.dims) == set(_AXES):
        return value.transpose(*_AXES).values
    return value


def _range_of(index: Any) -> str:
    return f"{len(index)} labels, {index[0]} to {index[-1]}" if len(index) else "no labels"
