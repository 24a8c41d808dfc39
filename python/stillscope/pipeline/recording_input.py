# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run reads: files, or an array."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import _check
from .._source import FrameSource
from ..io import Recording, open_movie
from ..io.files import find_files
from . import fingerprint
from .job import Job
from .progress import Progress
from .spool import Spool


@dataclass(frozen=True)
class Opened:
    """A recording that can be read.

    Attributes
    ----------
    frames : array_like
        ``(frame, height, width)``.
    frame_rate, pixel_size
        As in `Recording`.
    missing : list
        ``[file, frame, reason]`` of what could not be decoded.
    """

    frames: Any
    frame_rate: float | None
    pixel_size: tuple[float, float] | None
    missing: list[list[Any]] = field(default_factory=list)

    def close(self) -> None:
        if hasattr(self.frames, "close"):
            self.frames.close()


class RecordingInput:
    """The recording of a run.

    Parameters
    ----------
    source : path, sequence of paths, Recording or array_like
    options : dict
        ``dataset``, ``frame_rate`` and ``pixel_size`` of `open_movie`.
    results : sequence of Path
        Where the run writes to: no file of the recording may be there.
    """

    def __init__(self, source: Any, options: dict[str, Any], results: Sequence[Path] = ()) -> None:
        self.options = options
        self.files: tuple[Path, ...] = ()
        self.is_spooled = False
        array = source
        if isinstance(source, Recording):
            stated = {name: getattr(source, name) for name in options}
            self.options = {k: stated[k] if v is None else v for k, v in options.items()}
            source = source.files
        if _is_paths(source):
            self.files = tuple(find_files(source)[1])
            for result in results:
                for file in self.files:
                    if file.resolve() in (result.resolve(), *result.resolve().parents):
                        raise ValueError(f"destination: {result} is the recording itself")
            # Frames of files that are costly to decode are counted as they are.
            opened = open_movie(list(self.files), check=False, **self.options)
            self.is_spooled = opened.is_costly
            self.shape, self.dtype = opened.shape, opened.dtype
            self.name = opened.name
            self._about = opened.frame_rate, opened.pixel_size
            self._array = None
            opened.close()
        else:
            movie = FrameSource(array, "source")
            self._array = _Frames(array)
            self.shape, self.dtype, self.name = movie.shape, movie.dtype, "movie"
            self._about = options["frame_rate"], options["pixel_size"]
        #: Frames as far as is known before the files are decoded, height, width.
        self.shape = tuple(int(n) for n in self.shape)

    def identity(self) -> dict[str, Any]:
        """What tells it from another."""
        if self._array is not None:
            return {"frames": fingerprint.of_movie(self._array)}
        return {"files": [[file.name, fingerprint.of_file(file)] for file in self.files]}

    def modified(self) -> list[int]:
        """When each file was last written to [ns]."""
        return [fingerprint.modified(file) for file in self.files]

    def open(self, job: Job, progress: Progress, n_threads: int | None) -> Opened:
        """The frames; decoded first, into the job's folder, where that is costly: as many files at
        once as there are threads."""
        if self._array is not None:
            return Opened(self._array, *self._about)
        if not self.is_spooled:
            movie = open_movie(list(self.files), **self.options)
            missing = [[str(m.file), m.frame, m.reason] for m in movie.missing]
            return Opened(movie, movie.frame_rate, movie.pixel_size, missing)
        spool = self._spool(job, n_threads)
        with progress.stage("decode", self.shape[0]) as advance:
            advance(spool.frames_done())
            spool(n_threads or _check.processors(), advance)
        return self._spooled(spool)

    def opened_before(self, job: Job) -> Opened:
        """The same in another process, once it has been opened."""
        if not self.is_spooled:
            return self.open(job, Progress(), None)
        return self._spooled(self._spool(job, None))

    def _spool(self, job: Job, n_threads: int | None) -> Spool:
        options = {"dataset": self.options["dataset"], "n_threads": n_threads}
        return Spool(job, self.files, options)

    def _spooled(self, spool: Spool) -> Opened:
        found = spool.about
        rate, size = self.options["frame_rate"], self.options["pixel_size"]
        return Opened(
            spool.frames(),
            found["frame_rate"] if rate is None else rate,
            found["pixel_size"] if size is None else size,
            found["missing"],
        )


class _Frames:
    """An array in the order (frame, height, width), whatever holds it: runs as NumPy arrays of its
    own dtype."""

    def __init__(self, movie: Any) -> None:
        source = FrameSource(movie, "source")
        self.shape, self.dtype = source.shape, source.dtype
        self._source = source

    def __getitem__(self, run: slice) -> np.ndarray:
        return self._source.read_as_is(run.start, run.stop)


def _is_paths(source: Any) -> bool:
    if isinstance(source, (str, os.PathLike)):
        return True
    if not isinstance(source, (list, tuple)):
        return False
    return all(isinstance(item, (str, os.PathLike)) for item in source)
