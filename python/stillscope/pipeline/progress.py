# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run is: bars by tqdm, in a terminal and in notebooks."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from ..io.extras import import_extra


class Progress:
    """Says nothing: the base of those that do."""

    def line(self, text: str) -> None:
        """A line of text."""

    @contextlib.contextmanager
    def stage(self, name: str, frames: int) -> Iterator[Callable[[int], None]]:
        """A stage of so many frames; yields what is called with the number of those just done."""
        yield lambda count: None

    @contextlib.contextmanager
    def reading(self, name: str, frames: int) -> Iterator[Callable[[int, int], None]]:
        """The same for what tells how many frames are done so far, and of how many."""
        done = 0
        with self.stage(name, frames) as advance:

            def reached(count: int, total: int) -> None:
                nonlocal done
                advance(count - done)
                done = count

            yield reached


class Bars(Progress):
    """A bar a stage, on standard error or in the notebook."""

    def __init__(self) -> None:
        self._bar = import_extra("tqdm.auto", "a progress bar").tqdm

    def line(self, text: str) -> None:
        self._bar.write(text, file=sys.stderr)

    @contextlib.contextmanager
    def stage(self, name: str, frames: int) -> Iterator[Callable[[int], None]]:
        with self._bar(total=frames, desc=f"{name:10}", unit="fr", leave=True) as bar:
            yield bar.update


def as_progress(value: Any) -> Progress:
    """`progress=` as such: True, False, None (bars where somebody can see them) or a `Progress`."""
    if isinstance(value, Progress):
        return value
    if value is None:
        is_seen = "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
        if not is_seen:
            return Progress()
        try:
            return Bars()
        except ImportError:
            return Progress()
    if value is True:
        return Bars()
    if value is False:
        return Progress()
    raise TypeError(f"progress: expected True, False or None, got {value!r}")


class PassBars:
    """A bar for each reading of a movie, which is told what is read.

    Parameters
    ----------
    progress : Progress
    frames : int
        Of the movie.
    name : str
        Of the bars, which are numbered.
    """

    def __init__(self, progress: Progress, frames: int, name: str = "estimate") -> None:
        self._progress, self._frames, self._name = progress, frames, name
        self._passes = 0
        self._stage: Any = None
        self._advance: Callable[[int], None] = lambda count: None
        self._at = -1

    def read(self, begin: int, end: int) -> None:
        """Frames `begin` to `end` (excluded) are read. Going back begins another reading."""
        if self._stage is None or begin < self._at:
            self._close()
            self._passes += 1
            self._stage = self._progress.stage(f"{self._name} {self._passes}", self._frames)
            self._advance = self._stage.__enter__()
            self._advance(begin)
        self._at = end
        self._advance(end - begin)

    def _close(self) -> None:
        if self._stage is not None:
            self._stage.__exit__(None, None, None)
            self._stage = None

    def __enter__(self) -> PassBars:
        return self

    def __exit__(self, *_: Any) -> None:
        self._close()
