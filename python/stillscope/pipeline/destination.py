# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..io.record import RECORD
from ..io.writers import SUFFIXES

_DEFAULT = "corrected"


@dataclass(frozen=True)
class Destination:
    """The results of a run, side by side.

    Attributes
    ----------
    main : Path
        The corrected movie, or what stands for the run where there is none.
    format : str or None
        Of the movie; None: there is none.
    """

    main: Path
    format: str | None

    @property
    def stem(self) -> str:
        return self.main.stem.removesuffix(".shifts")

    @property
    def variable(self) -> str:
        """Of the movie in zarr: the file's name, by which minian calls the array."""
        return self.stem

    def beside(self, ending: str) -> Path:
        return self.main.with_name(self.stem + ending)

    @property
    def shifts(self) -> Path:
        return self.beside(".shifts.zarr")

    @property
    def csv(self) -> Path:
        return self.beside(".shifts.csv")

    @property
    def report(self) -> Path:
        return self.beside(".report.html")

    @property
    def preview(self) -> Path:
        return self.beside(".preview.mp4")

    @property
    def record(self) -> Path:
        return self.beside(RECORD)

    @property
    def part(self) -> Path:
        """Of runs that are not finished: one of a name at a time, since they share what is beside."""
        return self.beside(".part")

    def all(self) -> tuple[Path, ...]:
        return (self.main, self.shifts, self.csv, self.report, self.preview, self.record)

    @classmethod
    def of(cls, destination: Any) -> Destination:
        """From a path: a movie's by its suffix, else a folder for ``corrected.zarr`` and the rest."""
        if not isinstance(destination, (str, os.PathLike)):
            raise TypeError(f"destination: expected a path, got {destination!r}")
        path = Path(destination)
        suffix = path.suffix.lower()
        if suffix in SUFFIXES:
            if SUFFIXES[suffix] != "zarr" and path.is_dir():
                raise ValueError(f"destination: expected a file, {path} is a folder")
            return cls(path, SUFFIXES[suffix])
        if suffix[1:].isalpha() and not path.is_dir():
            known = ", ".join(SUFFIXES)
            raise ValueError(
                f"destination: expected a folder, or a path that ends in {known}, got {path}"
            )
        if path.exists() and not path.is_dir():
            raise ValueError(f"destination: expected a folder, {path} is a file")
        return cls(path / f"{_DEFAULT}.zarr", "zarr")

    @classmethod
    def of_shifts(cls, destination: Any) -> Destination:
        """Of an estimate alone: a folder, or the path of the shifts' file."""
        if not isinstance(destination, (str, os.PathLike)):
            raise TypeError(f"destination: expected a path, got {destination!r}")
        path = Path(destination)
        if path.suffix == ".zarr":
            name = path.name.removesuffix(".zarr").removesuffix(".shifts")
            return cls(path.with_name(name + ".shifts.zarr"), None)
        if path.suffix[1:].isalpha() and not path.is_dir():
            raise ValueError(
                f"destination: expected a folder, or a path that ends in .shifts.zarr, got {path}"
            )
        return cls(path / f"{_DEFAULT}.shifts.zarr", None)
