# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments, checked at the call: the argument's name, what was expected, and what came."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

# What the kernels compute on; other real types are converted to one that holds their values.
_KERNEL_TYPES = {
    "b1": "u1",
    "i1": "i2",
    "u1": "u1",
    "i2": "i2",
    "u2": "u2",
    "i4": "f8",
    "u4": "f8",
    "i8": "f8",
    "u8": "f8",
    "f2": "f4",
    "f4": "f4",
    "f8": "f8",
}


def integer(value: Any, name: str, minimum: int) -> int:
    """``value`` as an int of at least ``minimum``."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected an integer, got {value!r}")
    value = operator.index(value)
    if value < minimum:
        raise ValueError(f"{name}: expected at least {minimum}, got {value}")
    return value


def number(value: Any, name: str) -> float:
    """``value`` as a float."""
    if not isinstance(value, (numbers.Real, np.bool_)):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    return float(value)


def optional_number(value: Any, name: str) -> float | None:
    """``value`` as a float, or None."""
    return None if value is None else number(value, name)


def positive(value: Any, name: str) -> float:
    """``value`` as a finite float above 0."""
    value = number(value, name)
    if not 0 < value < math.inf:
        raise ValueError(f"{name}: expected a finite number above 0, got {value}")
    return value


def positive_pair(value: Any, name: str) -> tuple[float, float]:
    """``value``, a number above 0 or ``(height, width)`` of such, as a pair of floats."""
    is_sequence = isinstance(value, (tuple, list, np.ndarray))
    is_pair = is_sequence and len(np.atleast_1d(np.asarray(value, object))) == 2
    if is_sequence and not is_pair:
        raise ValueError(f"{name}: expected a number or (height, width), got {value!r}")
    pair = tuple(number(side, name) for side in (value if is_pair else (value, value)))
    if not all(side > 0 and math.isfinite(side) for side in pair):
        raise ValueError(f"{name}: expected finite numbers above 0, got {value!r}")
    return pair


def boolean(value: Any, name: str) -> bool:
    """``value`` as a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def of_type(value: Any, name: str, kind: type) -> Any:
    """``value``, which must be of this class."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: expected a {kind.__name__}, got {type(value).__name__}")
    return value


def choice(value: Any, name: str, choices: tuple[str, ...]) -> str:
    """``value``, one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        expected = " or ".join(map(repr, choices))
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
    return value


def threads(value: Any) -> int | None:
    """``n_threads`` as the kernels take it: the argument, else the environment's
    STILLSCOPE_NUM_THREADS (None: the kernels read it), else a dask worker's number of threads."""
    if value is not None:
        return integer(value, "n_threads", 1)
    import os
    import sys

    worker = sys.modules.get("distributed.worker")
    if worker is None or os.environ.get("STILLSCOPE_NUM_THREADS"):
        return None
    try:
        return worker.get_worker().state.nthreads
    except ValueError:  # not on a worker
        return None


def processors() -> int:
    """Those that the process may use."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def chunk_sides(value: Any) -> tuple[int, int, int]:
    """``chunks`` of a zarr array as three ints."""
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise ValueError(f"chunks: expected frames, height and width, got {value!r}")
    return tuple(integer(side, "chunks", 1) for side in value)


def real_dtype(dtype: np.dtype, name: str) -> None:
    """Refuses what is no real dtype that the kernels can take."""
    if dtype.str[1:] not in _KERNEL_TYPES:
        raise TypeError(f"{name}: expected a real dtype of at most 8 bytes, got {dtype}")


def real_array(value: Any, name: str, dims: tuple[int, ...]) -> np.ndarray:
    """``value`` as an array of a real dtype with one of these numbers of dimensions."""
    try:
        array = np.asarray(value)
    except ValueError as error:  # ragged lists
        raise ValueError(f"{name}: expected an array, got {value!r} ({error})") from None
    real_dtype(array.dtype, name)
    if array.ndim not in dims:
        expected = " or ".join(map(str, dims))
        raise ValueError(f"{name}: expected {expected} dimensions, got shape {array.shape}")
    return array


def kernel_array(array: np.ndarray) -> np.ndarray:
    """A real array as the kernels take it: itself where they know its type and its items are
    aligned, else a converted copy. It is only ever read."""
    dtype = np.dtype(_KERNEL_TYPES[array.dtype.str[1:]])
    strides = (stride % array.itemsize for stride in array.strides)
    if array.dtype == dtype and array.flags.aligned and not any(strides):
        return array
    return array.astype(dtype, order="C")


def through_kernels(
    movie: np.ndarray,
    out: np.ndarray,
    rounding: str,
    kernel: Callable[[np.ndarray, np.ndarray], None],
) -> None:
    """``kernel(movie, out)`` for every real dtype, ``out`` being of the movie's: ``kernel`` rounds
    the types that it knows; others are computed in floats, then brought back like these."""
    dtype = movie.dtype
    source = kernel_array(movie)
    if source.dtype == dtype and source.dtype == out.dtype and out.flags.aligned:
        kernel(source, out)
        return
    source = source.astype(np.float64 if dtype.kind in "iu" and dtype.itemsize > 2 else np.float32)
    warped = np.empty(source.shape, source.dtype)
    kernel(source, warped)
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


def warped_values(dtype: np.dtype) -> str:
    """What the kernels do with warped pixels of ``dtype``, which they may hold in another type."""
    if dtype.kind == "b":
        return "binary"
    return "whole" if dtype.kind in "iu" else "by_type"


def frames(value: Any, name: str, dims: tuple[int, ...] = (3,)) -> np.ndarray:
    """``value`` as a real array of frames, with at least one pixel."""
    array = real_array(value, name, dims)
    if 0 in array.shape:
        raise ValueError(f"{name}: expected at least one frame with pixels, got {array.shape}")
    return array


def fill(value: Any, dtype: np.dtype, name: str = "fill") -> float:
    """``value`` as the fill of frames of ``dtype``, which must hold it."""
    value = number(value, name)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        if not info.min <= value <= info.max:
            raise ValueError(
                f"{name}: expected a number from {info.min} to {info.max} for {dtype} frames, "
                f"got {value}"
            )
    elif dtype.kind == "b" and value not in (0, 1):
        raise ValueError(f"{name}: expected 0 or 1 for boolean frames, got {value}")
    return value


def shift_rows(value: Any, name: str, n: int) -> np.ndarray:
    """``value`` as ``n`` shifts, float64 ``(n, 2)``."""
    array = real_array(value, name, (2,))
    if array.shape != (n, 2):
        raise ValueError(f"{name}: expected shape {(n, 2)}, one shift a frame, got {array.shape}")
    return array.astype(np.float64)
