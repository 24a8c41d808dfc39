# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that are costly to decode, in plain files: decoded once, read several times.

Each file of the recording has one of its own, so that several are decoded at once, and each is gone
on with where it was interrupted.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

from ..io import Recording, open_movie
from ..io.durable import naming, sync_descriptor, write_at
from .job import Job

_NOTE_BYTES = 1 << 28  # between two notes of what is on the disk
_RUN_BYTES = 8 << 20


class RawFrames:
    """Frames in plain files, C order, one file behind the other. They are read, not mapped: pages of
    a mapped file would count as memory in use."""

    def __init__(
        self, files: Sequence[tuple[Path, int]], frame: tuple[int, int], dtype: np.dtype
    ) -> None:
        self.dtype = np.dtype(dtype)
        self._files = [path for path, count in files if count]
        self._ends = np.cumsum([count for _, count in files if count])
        self.shape = (int(self._ends[-1]), *frame)
        self._frame_bytes = int(np.prod(frame)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, run: slice) -> np.ndarray:
        begin, end, _ = run.indices(self.shape[0])
        frames = np.empty((max(end - begin, 0), *self.shape[1:]), self.dtype)
        at = begin
        while at < end:
            index = int(np.searchsorted(self._ends, at, side="right"))
            first = int(self._ends[index - 1]) if index else 0
            until = min(end, int(self._ends[index]))
            self._read(self._files[index], at - first, frames[at - begin : until - begin])
            at = until
        return frames

    def _read(self, path: Path, first: int, frames: np.ndarray) -> None:
        rest = memoryview(frames).cast("B")
        with naming(path), open(path, "rb", buffering=0) as file:
            file.seek(first * self._frame_bytes)
            while rest:
                count = file.readinto(rest)
                if not count:
                    raise OSError(f"{path}: expected {len(rest):,} more bytes, the file ends here")
                rest = rest[count:]


class Spool:
    """Decodes the files of a recording into the folder of a job, whose state says how far each is:
    ``spool``, by the file's number."""

    def __init__(self, job: Job, files: Sequence[Path], options: dict[str, Any]) -> None:
        self._job = job
        self._files = files
        self._options = options
        self._lock = threading.Lock()  # of the job's state
        self._stop = threading.Event()

    def state(self, index: int) -> dict[str, Any]:
        """What is known of a file."""
        return dict(self._job.state.get("spool", {}).get(str(index), {}))

    def frames_done(self) -> int:
        return sum(self.state(index).get("frames", 0) for index in range(len(self._files)))

    def __call__(self, at_once: int, on_frames: Callable[[int], None]) -> None:
        """Decodes what is not decoded yet, so many files at once."""
        left = [k for k in range(len(self._files)) if not self.state(k).get("is_done")]
        with ThreadPoolExecutor(max(1, min(at_once, len(left))), "stillscope-decode") as pool:
            futures = [pool.submit(self._decode, index, on_frames) for index in left]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            finally:
                self._stop.set()
                for future in futures:
                    future.cancel()
        self._check_agreement()

    def frames(self) -> RawFrames:
        """Of all files, decoded."""
        states = [self.state(index) for index in range(len(self._files))]
        if not any(state["frames"] for state in states):
            raise ValueError(f"{self._files[0]}: expected at least one frame, got 0")
        return RawFrames(
            [(self._path(index), state["frames"]) for index, state in enumerate(states)],
            tuple(states[0]["frame"]), np.dtype(states[0]["dtype"]),
        )  # fmt: skip

    @property
    def about(self) -> dict[str, Any]:
        """``frame_rate`` and ``pixel_size`` of the first file, and all that is ``missing``."""
        states = [self.state(index) for index in range(len(self._files))]
        missing = [item for state in states for item in state["missing"]]
        return {**states[0], "missing": missing}

    def _path(self, index: int) -> Path:
        return self._job.path(f"frames{index:05d}.raw")

    def _decode(self, index: int, on_frames: Callable[[int], None]) -> None:
        """One file, from where its state says on."""
        path = self._path(index)
        state = {"frames": 0, "bytes": 0, "missing": [], **self.state(index)}
        noted = state["bytes"]
        with naming(path, 0):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            with naming(path, 0):
                os.truncate(descriptor, state["bytes"])
            with open_movie(self._files[index], check=False, **self._options) as part:
                state.update(_about(part))
                run = max(1, _RUN_BYTES // max(_frame_bytes(part), 1))
                passed = 0
                for frames in part.blocks(run):
                    if self._stop.is_set():
                        return
                    fresh = frames[max(0, min(state["frames"] - passed, len(frames))) :]
                    passed += len(frames)
                    if len(fresh) == 0:
                        continue
                    with naming(path, fresh.nbytes):
                        write_at(descriptor, fresh, state["bytes"])
                    state["frames"] += len(fresh)
                    state["bytes"] += fresh.nbytes
                    on_frames(len(fresh))
                    if state["bytes"] - noted >= _NOTE_BYTES:
                        self._note(index, state, descriptor)
                        noted = state["bytes"]
                state["missing"] = [[str(m.file), m.frame, m.reason] for m in part.missing]
            state["is_done"] = True
            self._note(index, state, descriptor)
        finally:
            os.close(descriptor)

    def _note(self, index: int, state: dict[str, Any], descriptor: int) -> None:
        sync_descriptor(descriptor, self._path(index), state["bytes"])
        with self._lock:
            self._job.note(spool={**self._job.state.get("spool", {}), str(index): dict(state)})

    def _check_agreement(self) -> None:
        """All files have frames of one size and type."""
        first = self.state(0)
        for index, file in enumerate(self._files):
            state = self.state(index)
            for key, name in (("frame", "frames of"), ("dtype", "pixels of")):
                if state[key] != first[key]:
                    raise ValueError(
                        f"{file}: expected {name} {first[key]} as those before, got {state[key]}"
                    )


def _about(part: Recording) -> dict[str, Any]:
    return {
        "frame": list(part.shape[1:]), "dtype": part.dtype.str, "frame_rate": part.frame_rate,
        "pixel_size": part.pixel_size,
    }  # fmt: skip


def _frame_bytes(part: Recording) -> int:
    return int(np.prod(part.shape[1:])) * part.dtype.itemsize
