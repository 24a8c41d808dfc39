# SPDX-License-Identifier: GPL-3.0-or-later
"""What zarr and HDF5 have in common: arrays in a file, one of which is the movie."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from .parts import Part

__all__ = ["ArrayPart", "axis_order", "choose_array", "stated", "stated_numbers"]

_HEIGHTS, _WIDTHS = ("height", "y", "row", "rows"), ("width", "x", "column", "columns", "col")


class ArrayPart(Part):
    """Frames of an array that a library reads, opened where it is needed.

    Derived classes have ``_open()``, which gives the array, and what is to be closed.

    Parameters
    ----------
    file : path
    array : array_like
        The movie, to take its shape and dtype from; it is not kept.
    order : tuple of int
        The array's axes of frames, height and width.
    """

    def __init__(self, file, dataset, array, order, **about):
        super().__init__(file, [array.shape[axis] for axis in order], array.dtype, **about)
        self._dataset = dataset
        self._order = tuple(order)
        self._lock = threading.Lock()
        self._opened: tuple[int, Any, Any] | None = None  # process, array, what to close

    def _open(self) -> tuple[Any, Any]:
        raise NotImplementedError

    def read(self, begin: int, end: int) -> np.ndarray:
        key = [slice(None)] * 3
        key[self._order[0]] = slice(begin, end)
        try:
            with self._lock:
                # A forked process may not go on with the file of its parent.
                if self._opened is None or self._opened[0] != os.getpid():
                    self._opened = (os.getpid(), *self._open())
                array = self._opened[1]
            frames = np.asarray(array[tuple(key)])
        except Exception as error:  # the libraries' own, of many kinds
            reason = " ".join(str(error).split()) or type(error).__name__
            raise OSError(
                f"{self.file}: frames {begin} to {end} can't be read ({reason})"
            ) from error
        return np.ascontiguousarray(frames.transpose(self._order), self.dtype)

    def close(self) -> None:
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None and opened[2] is not None and opened[0] == os.getpid():
            opened[2].close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "_opened": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


def choose_array(file, arrays: dict[str, Any], dataset: str | None) -> str:
    """The name of the movie among the arrays of a file.

    Parameters
    ----------
    file : path
        For errors.
    arrays : dict
        All arrays by name.
    dataset : str or None
        The name that was asked for; None: the only one with three dimensions.

    Raises
    ------
    ValueError
        If there is none, or more than one: the message lists them.
    """
    if dataset is not None:
        name = dataset.strip("/")
        if name not in arrays:
            raise ValueError(
                f"dataset: expected an array of {file} ({_listed(arrays)}), got {dataset!r}"
            )
        if len(arrays[name].shape) != 3:
            raise ValueError(
                f"dataset: expected 3 dimensions, got {dataset!r} of shape {arrays[name].shape}"
            )
        return name
    movies = [name for name, array in arrays.items() if len(array.shape) == 3]
    if len(movies) == 1:
        return movies[0]
    if not movies:
        raise ValueError(f"{file}: expected an array with 3 dimensions, got {_listed(arrays)}")
    several = _listed({name: arrays[name] for name in movies})
    raise ValueError(f"{file}: expected one movie, choose by dataset=; got {several}")


def axis_order(dimensions: Any) -> tuple[int, int, int]:
    """Which axes are frames, height and width, by the names of the dimensions if they tell."""
    names = [str(name).casefold() for name in dimensions or ()]
    heights = [axis for axis, name in enumerate(names) if name in _HEIGHTS]
    widths = [axis for axis, name in enumerate(names) if name in _WIDTHS]
    if len(names) != 3 or len(heights) != 1 or len(widths) != 1:
        return (0, 1, 2)
    return (3 - heights[0] - widths[0], heights[0], widths[0])


def stated_numbers(file, attributes) -> dict[str, Any]:
    """Frame rate [Hz] and pixel size [um] of an array, where its attributes state them."""
    if {"scale_factor", "add_offset"} & set(attributes):
        raise ValueError(
            f"{file}: expected plain values, got packed ones (scale_factor, add_offset); "
            "open it with xarray, whose arrays are taken too"
        )
    about: dict[str, Any] = {}
    for name in ("frame_rate", "fps", "fr"):
        rate = stated(attributes.get(name), 1)
        if rate:
            about["frame_rate"] = rate[0]
            break
    size = stated(attributes.get("pixel_size"), 2)
    if size:
        about["pixel_size"] = size
    return about


def stated(value, count):
    """What a file states, as a tuple of ``count`` floats; None where it is not so many finite
    numbers above 0. (Text is none, be it of digits.)"""
    try:
        values = np.ravel(value)
    except ValueError:  # ragged
        return None
    if values.dtype.kind not in "iuf" or len(values) != count:
        return None
    good = np.isfinite(values).all() and (values > 0).all()
    return tuple(values.astype(np.float64).tolist()) if good else None


def _listed(arrays):
    few = [f"{name} {tuple(array.shape)}" for name, array in sorted(arrays.items())[:20]]
    return ", ".join(few) + (", ..." if len(arrays) > 20 else "") if few else "no arrays"
