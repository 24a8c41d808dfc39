# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run may take of memory, and what of it goes where."""

from __future__ import annotations

import math
import numbers
import os
import re
from dataclasses import dataclass

import numpy as np

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)
_TREE_PIXELS = 1 << 26  # of a chunk of the tree (`default_chunk` of the C++ library)
_LIBRARIES = 110 << 20  # bytes of code that is loaded on the way: codecs, plots


def byte_count(value: int | float | str, name: str) -> int:
    """Bytes, from a number or a text such as ``"2GB"`` or ``"1.5 GiB"``."""
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name}: expected a number of bytes above 0, got {value!r}")
        return int(value)
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected bytes or a text such as '2GB', got {value!r}")
    match = _NUMBER.fullmatch(value)
    if match is None or float(match[1]) == 0:
        raise ValueError(f"{name}: expected bytes or a text such as '2GB', got {value!r}")
    unit = match[2].lower()
    return int(float(match[1]) * (_BINARY[unit] if match[3] and unit else _UNITS[unit]))


def size_text(size: float) -> str:
    """``"1.3 GB"``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def resident_bytes() -> int:
    """What the process holds now."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 200 << 20


def tree_chunk(frames: int, area: int) -> int:
    """Frames that the tree reads at once."""
    return min(frames, max(16, min(256, _TREE_PIXELS // area)))


@dataclass(frozen=True)
class Budget:
    """Where the memory goes.

    Attributes
    ----------
    least : int
        Bytes without which the run cannot be made.
    reads_ahead : bool
        Whether there is room for a second run of frames.
    for_writing : int
        Bytes for what a writer gathers.
    """

    least: int
    reads_ahead: bool
    for_writing: int


def plan_memory(
    memory: int, shape: tuple[int, int, int], itemsize: int, run: int, *, is_filtered: bool,
    has_tree: bool = True, chunk: int | None = None, spacing: float | None = None,
) -> Budget:  # fmt: skip
    """Shares `memory` bytes out, or raises `ValueError`.

    `itemsize`: of the pixels that the kernels see. `run`: frames that are written together.
    `spacing`: px between the control points of fields; None: there are none.
    """
    frames, height, width = shape
    area = height * width
    base = resident_bytes() + _LIBRARIES
    block = (chunk or tree_chunk(frames, area)) * area * itemsize
    filtered = (chunk or tree_chunk(frames, area)) * area * 4 if is_filtered else 0
    # Planes of the estimate (templates, sums, means, filters), and what is known of each frame.
    state = 200 * area * 4 + 1200 * frames
    if spacing is not None:
        points = math.prod(side / spacing + 4 for side in (height, width))
        state += int(4 * 16 * points) * frames  # as they are made, returned, stored and read
    estimate = block + filtered + state if has_tree else 0
    # A run as it is read, the next one, two that have been moved, and copies that codecs make.
    writing = 6 * run * area * itemsize
    least = base + max(estimate, writing)
    if least > memory:
        raise ValueError(
            f"memory: expected at least {size_text(math.ceil(least / 1e7) * 1e7)} for frames of "
            f"{height}x{width}, got {size_text(memory)}"
        )
    return Budget(
        least=least,
        reads_ahead=least + (block if has_tree else 0) <= memory,
        for_writing=memory - base,
    )
