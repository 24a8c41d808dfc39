# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the decoder process about one file, whatever it dies of meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from .process import DecoderDied, DecoderProcess

__all__ = ["PersistentDecoder"]

_MOST_DEATHS = 20  # of the process, for one file
_MOST_HANGS = 3


class PersistentDecoder:
    """Goes on behind the frame that the process dies of.

    Parameters
    ----------
    process : DecoderProcess
    file : dict
        What every question says of the file.
    is_careful : bool
        Whether to have the file decoded packet by packet from the start. It is turned on where the
        process dies, so as to know of what.

    Attributes
    ----------
    marks : list or None
        By slot, where a frame is found at once.
    skipped : dict
        What the process died of, by the number of the packet: these are not decoded any more.
    """

    def __init__(self, process: DecoderProcess, file: dict[str, Any], is_careful: bool) -> None:
        self.is_careful = is_careful
        self.marks: list | None = None
        self.skipped: dict[int, str] = {}
        self._process = process
        self._file = file
        self._died_at: Counter = Counter()
        self.forget_deaths()

    @property
    def lock(self) -> Any:
        """To be held for a question and all its answers."""
        return self._process.lock

    def forget_deaths(self) -> None:
        """Be as patient as at first. Frames that the process died of are still left out."""
        self._died_at.clear()
        self._deaths = self._hangs = 0

    def ask(
        self,
        question: dict[str, Any],
        start: int,
        place: Callable[[dict, int], memoryview | None] = lambda head, size: None,
    ) -> Iterator[dict[str, Any]]:
        """Answers about slots from ``start`` on; where it must be given up, the last one says so.

        Raises
        ------
        FileError
            If the file can't be read.
        OSError
            If the process can't be started.
        """
        slot, at = start, None
        while True:
            mark = None
            if self.marks is not None and not self.is_careful and 0 < slot < len(self.marks):
                mark = self.marks[slot]
            asked = {
                **self._file, **question, "start": slot, "mark": mark,
                "careful": self.is_careful, "skip": sorted(self.skipped),
            }  # fmt: skip
            try:
                for head, _ in self._process.ask(asked, place):
                    if "at" in head:
                        at = head["at"]
                        continue
                    if head.get("slot") in self.skipped and head["reason"] is not None:
                        head["reason"] = self.skipped[head["slot"]]
                    yield head
                    if head.get("slot") is not None:
                        slot = head["slot"] + 1
                return
            except DecoderDied as death:
                if not self._may_go_on(death, slot, at):
                    yield {"slot": None, "reason": f"{death}, what follows is not read"}
                    return

    def _may_go_on(self, death, slot, at):
        """Whether to try again, and what to leave out then."""
        self._deaths += 1
        self._hangs += death.is_hang
        if self._deaths > _MOST_DEATHS or self._hangs > _MOST_HANGS:
            return False
        if not self.is_careful:
            # Once may be chance (somebody ended it); at the same frame again it is not.
            self.is_careful = death.is_hang or self._died_at["slot", slot] > 0
            self._died_at["slot", slot] += 1
            return True
        self._died_at["at", at] += 1
        if death.is_hang or self._died_at["at", at] > 1:
            if at is None or at in self.skipped:  # it is not a frame that it dies of
                return False
            self.skipped[at] = str(death)
        return True
