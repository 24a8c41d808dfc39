# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..io import Recording, open_movie
from ..io.motion_file import load_motion
from ..result import MotionEstimate


@dataclass(frozen=True, eq=False)
class Correction:
    """The results of a run, on disk.

    Attributes
    ----------
    movie : Path or None
        The corrected movie; None where there was only an estimate.
    shifts : Path or None
        The estimate's file: `stillscope.load_motion`, ``xarray.open_zarr``. None where shifts were
        given.
    csv : Path or None
        The same as a table.
    report : Path or None
        The page to look at.
    preview : Path or None
        Before and after, side by side.
    missing : tuple
        ``(file, frame, reason)`` of each frame that could not be decoded and is not in the movie.
    timings : dict
        Seconds of each stage that this run made.
    """

    movie: Path | None
    shifts: Path | None
    csv: Path | None = None
    report: Path | None = None
    preview: Path | None = None
    missing: tuple[Any, ...] = ()
    timings: dict[str, float] | None = None

    @property
    def motion(self) -> MotionEstimate:
        """The estimate, read from its file."""
        if self.shifts is None:
            raise ValueError("motion: expected a run that made an estimate, got one without")
        return load_motion(self.shifts)

    def open(self) -> Recording:
        """The corrected movie, which is read as it is needed."""
        if self.movie is None:
            raise ValueError("movie: expected a run that wrote a movie, got an estimate alone")
        return open_movie(self.movie)

    def _repr_html_(self) -> str | None:
        return self.motion._repr_html_() if self.shifts is not None else None
