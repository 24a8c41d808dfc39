# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies out: zarr, TIFF and AVI, written a run of frames at a time, on from any run.

What is written depends on the movie and the specification alone: not on interruptions, nor on who
writes which run.
"""

from __future__ import annotations

from pathlib import Path

from .specification import MovieSpec, MovieWriter

SUFFIXES = {".zarr": "zarr", ".tif": "tiff", ".tiff": "tiff", ".avi": "avi"}

__all__ = ["SUFFIXES", "MovieSpec", "MovieWriter", "check_spec", "open_writer"]


def _writer(spec: MovieSpec) -> type[MovieWriter]:
    if spec.format == "tiff":
        from .tiff import TiffWriter

        return TiffWriter
    if spec.format == "avi":
        from .avi import AviWriter

        return AviWriter
    if spec.chunks is not None and spec.chunks[0] >= spec.shape[0] > 1:
        from .zarr import PixelZarrWriter

        return PixelZarrWriter
    from .zarr import ZarrWriter

    return ZarrWriter


def check_spec(spec: MovieSpec) -> type[MovieWriter]:
    """Refuses what the format can't hold, and a format whose library is missing."""
    writer = _writer(spec)
    writer.check(spec)
    return writer


def open_writer(path: Path, spec: MovieSpec) -> MovieWriter:
    """The writer of a movie; `path` is where it is made, and becomes a movie at its `finish`.

    Opened again, on the same specification, it goes on with what has been written.
    """
    return check_spec(spec)(path, spec)
