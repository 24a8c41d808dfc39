# SPDX-License-Identifier: GPL-3.0-or-later
"""What no program that corrects files gets below: decoding, disk and memory, each alone.

Each function is called before the clock starts and returns what is timed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

Run = Callable[[], object]

_RUN_BYTES = 8 << 20  # read or written at once


def decode(files: Sequence[Path]) -> Run:
    """All these files at once, a thread each (PyAV lets go of the GIL); gives their frames' number.

    The files come from the disk, not from memory.
    """
    for path in files:
        forget(path)

    def run() -> int:
        with ThreadPoolExecutor(len(files)) as pool:
            return sum(pool.map(_decode, files))

    return run


def _decode(path: Path) -> int:
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def write(path: Path, movie: np.ndarray) -> Run:
    """The bytes of the movie into a new file, and onto the disk."""
    path.unlink(missing_ok=True)

    def run() -> None:
        rest = memoryview(movie).cast("B")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest[:_RUN_BYTES]) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    return run


def read(path: Path, out: np.ndarray, *, is_cached: bool) -> Run:
    """The same bytes back, from the system's memory or from the disk."""

    def run() -> None:
        rest = memoryview(out).cast("B")
        with open(path, "rb", buffering=0) as file:
            while rest:
                rest = rest[file.readinto(rest[:_RUN_BYTES]) :]

    if is_cached:
        run()
    else:
        forget(path)
    return run


def copy(movie: np.ndarray, out: np.ndarray) -> Run:
    """memcpy, frame by frame."""

    def run() -> None:
        for target, frame in zip(out, movie):
            np.copyto(target, frame)

    return run


def forget(path: Path) -> None:
    """Drop what the system keeps of a file in memory, once it is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
