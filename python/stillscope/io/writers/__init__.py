# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies out: zarr, TIFF and AVI, written a run of frames at a time, on from any run.

What is written depends on the movie and the specification alone: not on interruptions, nor on who
writes which run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ... import _check
from ..durable import checked_path, naming, replacing
from .specification import MovieSpec, MovieWriter

SUFFIXES = {".zarr": "zarr", ".tif": "tiff", ".tiff": "tiff", ".avi": "avi"}

__all__ = ["SUFFIXES", "MovieSpec", "MovieWriter", "check_spec", "open_writer", "write_movie"]


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


def open_writer(path: Path, spec: MovieSpec, n_threads: int | None = None) -> MovieWriter:
    """The writer of a movie; `path` is where it is made, and becomes a movie at its `finish`.

    Opened again, on the same specification, it goes on with what has been written.
    """
    return check_spec(spec)(path, spec, n_threads)


def write_movie(
    path: str | os.PathLike,
    movie: Any,
    *,
    frame_rate: float | None = None,
    pixel_size: float | tuple[float, float] | None = None,
    chunks: tuple[int, int, int] | None = None,
) -> None:
    """Write a movie in memory to a file; what is there is replaced once it is complete.

    Parameters
    ----------
    path : path
        ``.zarr``, ``.tif`` or ``.avi`` (uint8 and uint16), in a folder that exists.
    movie : array_like
        ``(frame, height, width)``, at least one frame with pixels.
    frame_rate : float or None
        Hz; AVI takes 20 for None.
    pixel_size : float, (height, width) or None
        Micrometres.
    chunks : (int, int, int) or None
        Of zarr: frames, height and width of a chunk; None: whole frames.

    Raises
    ------
    ImportError
        Where the format's library is missing.
    OSError
        Where it can't be written: with the path and the bytes.
    TypeError, ValueError
        Where the format can't hold the movie, the suffix is unknown, or an argument is not as
        stated above.
    """
    path = checked_path(path, *SUFFIXES)
    kind = SUFFIXES[path.suffix.lower()]
    if frame_rate is not None:
        frame_rate = _check.positive(frame_rate, "frame_rate")
    if pixel_size is not None:
        pixel_size = _check.positive_pair(pixel_size, "pixel_size")
    if chunks is not None:
        if kind != "zarr":
            raise ValueError(f"chunks: expected None for another format than zarr, got {chunks!r}")
        chunks = _check.chunk_sides(chunks)
    movie = _check.frames(movie, "movie")
    spec = MovieSpec(
        kind, movie.shape, movie.dtype, frame_rate, pixel_size, chunks,
        path.stem,
    )  # fmt: skip
    with naming(path, spec.nbytes), replacing(path) as new:
        writer = open_writer(new, spec)
        try:
            writer.begin()
            for begin in range(0, len(movie), writer.run):
                writer.write(begin, movie[begin : begin + writer.run])
            writer.finish(spec.nbytes)
        finally:
            writer.close()
