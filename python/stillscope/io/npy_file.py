# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies in .npy files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from .arrays import ArrayPart
from .parts import MissingFrame, Part, RawPart

__all__ = ["open_npy"]


def open_npy(file: Path) -> Part:
    """Open a movie in a .npy file. Of a file that was cut off, the frames that are whole.

    Raises
    ------
    ValueError
        If the file is no .npy file, its array has not three dimensions, or it was cut off so that
        no frame is whole.
    """
    with open(file, "rb") as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read_header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, is_fortran, dtype = read_header(stream)
        except ValueError as error:
            raise ValueError(f"{file}: expected a .npy file, can't open it ({error})") from error
        begin = stream.tell()
    if len(shape) != 3:
        raise ValueError(f"{file}: expected (frame, height, width), got shape {shape}")
    if dtype.hasobject or dtype.kind not in "biuf":
        raise ValueError(f"{file}: expected real numbers, got {dtype}")
    frame_bytes = math.prod(shape[1:]) * dtype.itemsize
    if frame_bytes == 0:
        raise ValueError(f"{file}: expected frames with pixels, got shape {shape}")
    size = file.stat().st_size - begin
    if is_fortran and shape[0] > 0:
        if size < shape[0] * frame_bytes:
            raise ValueError(
                f"{file}: expected {shape[0] * frame_bytes:,} bytes of pixels, got {size:,}: the "
                "file is cut off, and as its frames do not lie together, none is whole"
            )
        return _FortranPart(file, None, np.load(file, mmap_mode="r"), (0, 1, 2))
    there = min(shape[0], size // frame_bytes)
    missing = []
    if there < shape[0]:
        reason = f"the file is cut off: frames {there} to {shape[0]} are not in it"
        missing.append(MissingFrame(file, None, reason))
    offsets = begin + np.arange(there, dtype=np.int64) * frame_bytes
    return RawPart(file, offsets, shape[1:], dtype, missing=missing)


class _FortranPart(ArrayPart):
    """An array whose frames do not lie together: NumPy maps it."""

    def _open(self):
        return np.load(self.file, mmap_mode="r"), None
