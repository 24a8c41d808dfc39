# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run takes, seen from beside it: processor time of its stages, memory of its decoders."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_EVERY_S = 0.2  # looks at the processes; a high-water mark loses little in between
_MB_PER_KIB = 1024 / 1e6


def status_mb(field: str, process: int | str = "self") -> float:
    """A field of a process's status [MB of 10^6 bytes], such as its high-water mark ``VmHWM``.

    Raises
    ------
    OSError
        If there is no such process, or no such field.
    """
    with open(f"/proc/{process}/status") as file:
        for line in file:
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * _MB_PER_KIB
    raise OSError(f"the status of process {process} has no {field}")


class Decoders:
    """Looks at the decoders that this process starts, as long as the ``with`` lasts.

    Attributes
    ----------
    peak_mb : float
        The highest high-water mark of one of them [MB].
    at_once : int
        How many there were at once.
    """

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self.at_once = 0
        self._others: set[str] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Decoders:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
        found = 0
        there = {entry for entry in os.listdir("/proc") if entry.isdigit()}
        self._others &= there
        for process in there - self._others:
            try:
                if not _is_child(process):
                    self._others.add(process)
                elif _is_decoder(process):
                    self.peak_mb = max(self.peak_mb, status_mb("VmHWM", process))
                    found += 1
            except OSError:  # it has ended
                continue
        self.at_once = max(self.at_once, found)


def _is_child(process: str) -> bool:
    stat = Path(f"/proc/{process}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1]) == os.getpid()


def _is_decoder(process: str) -> bool:
    """Before it runs its own program, it has its parent's memory."""
    return b"stillscope.io.decoder" in Path(f"/proc/{process}/cmdline").read_bytes()


def stage_meter():
    """A progress for ``stillscope.correct`` that shows nothing and measures.

    Returns
    -------
    Progress
        Its ``processor_s`` has the processor time [s] of this process and those that it waited for,
        its ``begun`` how often it began: both by stage. The estimate begins at each reading.
    """
    from stillscope.pipeline.progress import Progress

    class Meter(Progress):
        def __init__(self) -> None:
            self.processor_s: Counter[str] = Counter()
            self.begun: Counter[str] = Counter()

        @contextmanager
        def stage(self, name: str, frames: int) -> Iterator:
            start = _processor_s()
            yield lambda count: None
            kind = name.split()[0]
            self.processor_s[kind] += _processor_s() - start
            self.begun[kind] += 1

    return Meter()


def _processor_s() -> float:
    return sum(os.times()[:4])
