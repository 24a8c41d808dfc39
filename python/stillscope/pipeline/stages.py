# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of a run. Each notes what it has done, and goes on from what has been noted."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._source import FrameSource
from ..io.durable import remove, write_bytes
from ..io.motion_file import load_motion, save_motion, write_csv
from ..io.writers import MovieSpec, open_writer
from ..movie import apply_motion, movie_settings, run_estimate
from ..result import MotionEstimate
from .job import Job
from .progress import PassBars, Progress
from .read_ahead import ReadAhead

_SHIFTS, _CSV, _CHECKPOINT = "shifts.zarr", "shifts.csv", "estimate.checkpoint"
_CHECKPOINT_SECONDS = 20.0
_CHECKPOINT_SHARE = 0.05  # of the time, at most


class FileCheckpoint:
    """The state of an estimate, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds = _CHECKPOINT_SECONDS
        self._last = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self._last >= self._seconds

    def save(self, state: memoryview) -> None:
        start = time.monotonic()
        write_bytes(self._path, state)
        self._last = time.monotonic()
        self._seconds = max(self._seconds, (self._last - start) / _CHECKPOINT_SHARE)

    def load(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None


def estimate(
    job: Job,
    frames: Any,
    options: dict[str, Any],
    attributes: dict[str, Any],
    progress: Progress,
    *,
    reads_ahead: bool,
    n_threads: int | None,
) -> MotionEstimate:
    """The motion, which is in the job's folder then; read from there where it is already."""
    if not job.state.get("estimated"):
        with PassBars(progress, frames.shape[0]) as bars:
            with ReadAhead(frames, bars.read, is_ahead=reads_ahead) as movie:
                source = FrameSource(movie, "source")
                settings = movie_settings(source, **options)
                checkpoint = FileCheckpoint(job.path(_CHECKPOINT))
                motion = run_estimate(
                    source, settings, n_threads, checkpoint=checkpoint, stacklevel=5
                )
        save_motion(job.path(_SHIFTS), motion, attributes)
        write_csv(job.path(_CSV), motion)
        job.note(estimated=True)
        remove(job.path(_CHECKPOINT))
    return load_motion(job.path(_SHIFTS))


@dataclass(frozen=True)
class Applying:
    """How frames are moved: the options of `apply_motion`."""

    interpolation: str = "linear"
    border: str = "constant"
    fill: float = 0
    binning: Any = 1.0

    @property
    def options(self) -> dict[str, Any]:
        """Those that do not depend on the movie's size."""
        return {name: value for name, value in vars(self).items() if name != "binning"}

    @classmethod
    def options_in(cls, attributes: dict[str, Any]) -> dict[str, Any]:
        """The same of the run that made a file of shifts with these attributes, or the defaults."""
        try:
            kept = json.loads(attributes.get("applying", "null"))
        except (TypeError, ValueError):  # somebody else's attribute
            kept = None
        kept = kept if isinstance(kept, dict) else {}
        return {name: kept.get(name, value) for name, value in cls().options.items()}

    def __call__(
        self, frames: np.ndarray, shifts: Any, n_threads: int | None = None
    ) -> np.ndarray:
        return apply_motion(
            frames, shifts, self.fill, interpolation=self.interpolation, border=self.border,
            binning=self.binning, n_threads=n_threads,
        )  # fmt: skip


def movie_name(fmt: str | None) -> str:
    """Of the movie while it is made."""
    return "movie" + {"zarr": ".zarr", "tiff": ".tif", "avi": ".avi", None: ""}[fmt]


@dataclass
class MovieStage:
    """The corrected movie, written run by run."""

    job: Job
    spec: MovieSpec
    applying: Applying
    n_threads: int | None
    memory: int
    reads_ahead: bool

    @property
    def path(self) -> Path:
        return self.job.path(movie_name(self.spec.format))

    def __call__(self, frames: Any, motion: MotionEstimate, progress: Progress) -> None:
        if self.job.state.get("finished"):
            return
        writer = open_writer(self.path, self.spec, self.n_threads)
        try:
            if "written" not in self.job.state:
                writer.begin()
                self.job.note(written=0)
            self._write(writer, frames, motion, progress)
            writer.finish(self.memory)
            self.job.note(finished=True)
        finally:
            writer.close()

    def _write(
        self, writer: Any, frames: Any, motion: MotionEstimate, progress: Progress
    ) -> None:
        total, run = self.spec.shape[0], writer.run
        begin = self.job.state["written"]
        pending: Future | None = None
        with (
            progress.stage("write", total) as advance,
            ReadAhead(frames, is_ahead=self.reads_ahead) as movie,
            ThreadPoolExecutor(1, "stillscope-write") as pool,
        ):
            advance(begin)
            while begin < total:
                end = min(begin + run, total)
                part = motion.of_frames(slice(begin, end))
                moved = self.applying(movie[begin:end], part, self.n_threads)
                if pending is not None:
                    pending.result()
                pending = pool.submit(self._write_run, writer, begin, moved, end)
                advance(end - begin)
                begin = end
            if pending is not None:
                pending.result()

    def _write_run(self, writer: Any, begin: int, frames: np.ndarray, end: int) -> None:
        writer.write(begin, frames)
        self.job.note(written=end)


def quietly(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Calls it without the warnings that the same movie has given before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return function(*arguments, **options)
