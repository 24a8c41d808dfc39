# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be written, and what all writers have in common."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_RUN_BYTES = 16 << 20  # of frames that are written together


@dataclass(frozen=True)
class MovieSpec:
    """A movie to be written.

    Attributes
    ----------
    format : {"zarr", "tiff", "avi"}
    shape : (int, int, int)
        Frames, height, width.
    dtype : numpy.dtype
    frame_rate : float or None
        Hz.
    pixel_size : (float, float) or None
        Height and width of a pixel in micrometres.
    chunks : (int, int, int) or None
        Of zarr: frames, height and width of a chunk; None: whole frames, about 16 MiB.
    variable : str
        Of zarr: the array's name.
    """

    format: str
    shape: tuple[int, int, int]
    dtype: np.dtype
    frame_rate: float | None = None
    pixel_size: tuple[float, float] | None = None
    chunks: tuple[int, int, int] | None = None
    variable: str = "movie"

    @property
    def frame_bytes(self) -> int:
        return int(np.prod(self.shape[1:])) * self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Of all frames, uncompressed."""
        return self.shape[0] * self.frame_bytes

    def default_run(self) -> int:
        """Frames that are written together."""
        return int(np.clip(_RUN_BYTES // max(self.frame_bytes, 1), 1, max(self.shape[0], 1)))


class MovieWriter(abc.ABC):
    """Writes a movie in runs of `run` frames, in any order, each whole (the last may be shorter).

    Runs may be written by several writers of the same path at once, in as many processes, as long
    as no run is written by two. Errors of the system name the file.
    """

    run: int

    def __init__(self, path: Path, spec: MovieSpec, n_threads: int | None = None) -> None:
        self.path = path
        self.spec = spec
        self.n_threads = n_threads  # of a codec; None: as many as there are processors
        self.run = self.run_of(spec)

    @staticmethod
    def check(spec: MovieSpec) -> None:
        """Raises what stands in the way of writing this."""

    @staticmethod
    def run_of(spec: MovieSpec) -> int:
        """Frames of a run."""
        return spec.default_run()

    @staticmethod
    def disk_bytes(spec: MovieSpec) -> int:
        """What is needed at most, all in all, while the movie is made."""
        return spec.nbytes

    @abc.abstractmethod
    def begin(self) -> None:
        """Makes what runs are written to; once, before the first one."""

    @abc.abstractmethod
    def write(self, begin: int, frames: np.ndarray) -> None:
        """Brings the run that begins at frame `begin` to the disk."""

    def finish(self, memory: int) -> None:
        """Makes the movie of all runs, which have been written, with about `memory` bytes. May be
        interrupted and called again."""

    def close(self) -> None:
        """Gives back what is open."""
