# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is going to do, in figures, before it does it."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from ..io.durable import free_bytes, size_on_disk
from .budget import size_text

# Seconds a pixel on one core, measured on frames of 480x752 uint8 (docs/performance.md has today's
# figures); for "about how long", no more.
_DECODE, _TREE, _FIRST_FIT, _FIT, _FILTER, _APPLY = 8e-9, 1.3e-9, 3.2e-9, 1e-9, 5e-9, 0.3e-9
_WRITE = {"zarr": 2e-9, "tiff": 1e-9, "avi": 10e-9}
_REPORT = 2e-9


@dataclass(frozen=True)
class Plan:
    """A run's costs.

    Attributes
    ----------
    frames, height, width : int
        As far as is known: files may hold frames that cannot be decoded.
    dtype : str
    files : int
        0: an array.
    passes : tuple of str
        What is done, in order.
    memory, budget : int
        Bytes that it needs, and that it may take.
    disk_meanwhile, disk_after : int
        Bytes at most, while it runs and in the end.
    disk_free : int
        Bytes of the destination's disk.
    seconds : float
        About.
    """

    frames: int
    height: int
    width: int
    dtype: str
    files: int
    destination: Path
    passes: tuple[str, ...]
    memory: int
    budget: int
    disk_meanwhile: int
    disk_after: int
    disk_free: int
    seconds: float

    def __str__(self) -> str:
        files = f"{self.files} file{'s' * (self.files != 1)}, " if self.files else ""
        minutes = self.seconds / 60
        time = f"{minutes:.0f} min" if minutes >= 1.5 else f"{max(self.seconds, 1):.0f} s"
        return "\n".join((
            f"recording    {files}{self.frames} frames of {self.height}x{self.width}, {self.dtype}",
            f"destination  {self.destination}",
            f"passes       {', '.join(self.passes)}",
            f"memory       {size_text(self.memory)} of {size_text(self.budget)}",
            f"disk         {size_text(self.disk_meanwhile)} while it runs, at most "
            f"{size_text(self.disk_after)} after; {size_text(self.disk_free)} are free",
            f"time         about {time}",
        ))  # fmt: skip

    def check_disk(self, part: Path) -> None:
        """Refuses to begin what would not fit, less what an interrupted run has written."""
        there = size_on_disk(part) if part.exists() else 0
        if self.disk_meanwhile - there > self.disk_free:
            raise OSError(
                errno.ENOSPC,
                f"{self.destination}: {size_text(self.disk_meanwhile)} are needed on its disk "
                f"({self.disk_meanwhile:,} bytes), {size_text(self.disk_free)} are free",
            )


def seconds(
    pixels: int, threads: int, fmt: str | None, *, is_spooled: bool, refine: int, is_filtered: bool,
    has_pattern: bool, has_report: bool, has_estimate: bool,
) -> float:  # fmt: skip
    """About how long a run of so many pixels takes."""
    cost = _DECODE if is_spooled else 0.0
    if has_estimate:
        passes = 1 + (refine > 0) + (refine > 1) + 2 * has_pattern
        cost += _TREE * (1 + has_pattern) + _FIRST_FIT * (refine > 0) + _FIT * (refine > 1)
        cost += _FILTER * passes * is_filtered
    per_core = cost + (_APPLY + _REPORT * has_report if fmt or has_report else 0.0)
    return pixels * (per_core / threads + (_WRITE[fmt] if fmt else 0.0))


def free_for(path: Path) -> int:
    return free_bytes(path.parent)
