# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that are costly to decode, in a plain file: decoded once, read several times."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..io import Recording, open_movie
from ..io.durable import naming, sync_descriptor
from .job import Job

_NOTE_BYTES = 1 << 28  # between two notes of what is on the disk
_RUN_BYTES = 16 << 20


class RawFrames:
    """Frames in a plain file, C order: read by `pread`, so that they do not count as memory."""

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: np.dtype) -> None:
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self._path = path
        self._frame_bytes = int(np.prod(shape[1:])) * self.dtype.itemsize
        self._descriptor = os.open(path, os.O_RDONLY)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, run: slice) -> np.ndarray:
        begin, end, _ = run.indices(self.shape[0])
        frames = np.empty((max(end - begin, 0), *self.shape[1:]), self.dtype)
        rest, at = memoryview(frames).cast("B"), begin * self._frame_bytes
        with naming(self._path, 0):
            while rest:
                count = os.preadv(self._descriptor, [rest], at)
                if count == 0:
                    raise OSError(f"{self._path}: expected {self.shape[0]} frames, got fewer")
                rest, at = rest[count:], at + count
        return frames

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def spool(
    job: Job, files: tuple[Path, ...], options: dict[str, Any], on_frames: Callable[[int], None]
) -> RawFrames:
    """Decodes all files into the job's ``frames.raw``; goes on where that was interrupted.

    What was found is in the job's state: ``shape``, ``dtype``, ``frame_rate``, ``pixel_size`` and
    ``missing``.
    """
    path = job.path("frames.raw")
    found = job.state.get("spool") or {"file": 0, "frames": 0, "bytes": 0, "missing": []}
    if found["file"] < len(files):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            with naming(path, 0):
                os.truncate(descriptor, found["bytes"])
            for index in range(found["file"], len(files)):
                _spool_file(job, files[index], options, descriptor, found, on_frames)
                found |= {"file": index + 1, "within": 0}
                _note(job, descriptor, found)
        finally:
            os.close(descriptor)
    if found["frames"] == 0:
        raise ValueError(f"{files[0]}: expected at least one frame that can be decoded, got 0")
    return RawFrames(path, (found["frames"], *found["frame"]), np.dtype(found["dtype"]))


def _spool_file(
    job: Job,
    file: Path,
    options: dict[str, Any],
    descriptor: int,
    found: dict[str, Any],
    on_frames: Callable[[int], None],
) -> None:
    """Appends one file's frames."""
    within, noted = found.get("within", 0), found["bytes"]
    with open_movie(file, check=False, **options) as part:
        _agree(part, file, found)
        run = max(1, _RUN_BYTES // max(int(np.prod(part.shape[1:])) * part.dtype.itemsize, 1))
        passed = 0
        for frames in part.blocks(run):
            fresh = frames[max(0, min(within - passed, len(frames))) :]
            passed += len(frames)
            if len(fresh) == 0:
                continue
            with naming(job.path("frames.raw"), fresh.nbytes):
                _write(descriptor, fresh, found["bytes"])
            found["frames"] += len(fresh)
            found["bytes"] += fresh.nbytes
            found["within"] = passed
            on_frames(len(fresh))
            if found["bytes"] - noted >= _NOTE_BYTES:
                _note(job, descriptor, found)
                noted = found["bytes"]
        found["missing"] += [[str(m.file), m.frame, m.reason] for m in part.missing]


def _write(descriptor: int, frames: np.ndarray, at: int) -> None:
    rest = memoryview(np.ascontiguousarray(frames)).cast("B")
    while rest:
        count = os.pwrite(descriptor, rest, at)
        rest, at = rest[count:], at + count


def _agree(part: Recording, file: Path, found: dict[str, Any]) -> None:
    """All files have frames of one size and type."""
    about = {"frame": list(part.shape[1:]), "dtype": part.dtype.str}
    if "dtype" not in found:
        found.update(about, frame_rate=part.frame_rate, pixel_size=part.pixel_size)
    for key, name in (("frame", "frames of"), ("dtype", "pixels of")):
        if found[key] != about[key]:
            raise ValueError(
                f"{file}: expected {name} {found[key]} as those before, got {about[key]}"
            )


def _note(job: Job, descriptor: int, found: dict[str, Any]) -> None:
    sync_descriptor(descriptor, job.path("frames.raw"), found["bytes"])
    job.note(spool=dict(found))
