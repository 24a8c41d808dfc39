# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that are read while others are worked on."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np


class ReadAhead:
    """A movie that reads the run after the one that was asked for, in a thread of its own.

    Parameters
    ----------
    movie : array_like
        With `shape`, `dtype` and runs of frames; read by one thread at a time.
    on_read : callable or None
        Called with ``(begin, end)`` of every run that is asked for.
    """

    def __init__(self, movie: Any, on_read: Any = None, *, is_ahead: bool = True) -> None:
        self.shape, self.dtype = tuple(movie.shape), movie.dtype
        self._movie = movie
        self._on_read = on_read
        self._pool = ThreadPoolExecutor(1, "stillscope-read") if is_ahead else None
        self._next: tuple[int, int, Future] | None = None

    def __getitem__(self, run: slice) -> np.ndarray:
        begin, end, _ = run.indices(self.shape[0])
        if self._on_read is not None:
            self._on_read(begin, end)
        if self._pool is None:
            return np.asarray(self._movie[begin:end])
        if self._next is not None and self._next[:2] == (begin, end):
            frames = self._next[2].result()
        else:
            self._drop()
            frames = self._pool.submit(self._read, begin, end).result()
        # After the last run a movie is read again from its first frame.
        follows = end if end < self.shape[0] else 0
        until = min(follows + end - begin, self.shape[0])
        self._next = (follows, until, self._pool.submit(self._read, follows, until))
        return frames

    def _read(self, begin: int, end: int) -> np.ndarray:
        return np.asarray(self._movie[begin:end])

    def _drop(self) -> None:
        if self._next is not None:
            self._next[2].cancel()
            if not self._next[2].cancelled():
                self._next[2].exception()  # waits; what went wrong there was not asked for
            self._next = None

    def close(self) -> None:
        """Waits for the last reading, and drops it."""
        self._drop()
        if self._pool is not None:
            self._pool.shutdown()

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
