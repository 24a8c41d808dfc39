# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that can be interrupted anywhere: its folder of unfinished parts, and how they become
results.

The parts of ``corrected.zarr`` lie in ``corrected.part/`` until all of them are there. Then the
folder's ``commit.json`` says so, and they are moved to their places; a run that finds such a folder
goes on from there.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..io.durable import naming, read_json, remove, replace, sync_file, write_json
from .fingerprint import of_value

_LOCK = "lock"
_REQUEST = "request.json"
_STATE = "state.json"
_COMMIT = "commit.json"
_OF_DECODING = ("version", "recording", "dataset", "modified")  # parts of a request


class BusyError(RuntimeError):
    """Another run writes to this destination."""


class Job:
    """The unfinished parts of a destination, which no other run can open meanwhile.

    Parameters
    ----------
    folder : Path
        Where the parts are made; results go beside it.
    request : mapping
        All that the results depend on, by name: values that JSON can hold.
    restart : bool
        Whether to throw away what an interrupted run of another request has left.

    Raises
    ------
    BusyError
        Where another run is at it.
    ValueError
        Where an interrupted run was of another request: the first difference is named.
    """

    def __init__(
        self, folder: Path, request: Mapping[str, Any], *, restart: bool = False
    ) -> None:
        self.folder = folder
        self._lock = -1
        with naming(self.folder, 0):
            self._acquire()
        try:
            self._open(dict(request), restart)
        except BaseException:
            self.release()
            raise

    @classmethod
    def attach(cls, folder: Path) -> Job:
        """The job that another process holds, which waits for this one."""
        self = cls.__new__(cls)
        self.folder = folder
        self._lock = -1
        self.reload()
        return self

    def reload(self) -> None:
        """Takes over what others have noted."""
        self.state: dict[str, Any] = read_json(self.folder / _STATE) or {}

    def _acquire(self) -> None:
        import fcntl

        path = self.folder / _LOCK
        while True:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except (FileNotFoundError, FileExistsError):
                if os.path.lexists(self.folder) and not self.folder.is_dir():
                    raise
                continue  # a run that has finished took the folder away meanwhile
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The run that held it may have finished, and taken the folder away, meanwhile.
                if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(descriptor)):
                    self._lock = descriptor
                    return
            except OSError as error:
                os.close(descriptor)
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                raise BusyError(
                    f"another run is writing to this destination ({path} is locked)"
                ) from None
            os.close(descriptor)

    def _open(self, request: dict[str, Any], restart: bool) -> None:
        for entry in self.folder.glob(".*-????????*"):  # was being written when a run was killed
            remove(entry)
        if is_committed(self.folder):
            self._move()  # A run that was interrupted when all was there.
            self._clear()
        found = read_json(self.folder / _REQUEST)
        self.reload()
        is_same = found is not None and of_value(found) == of_value(request)  # also where it has NaN
        if found is not None and not is_same and not restart:
            if not self.state.get("failed"):
                raise ValueError(
                    f"{self.folder}: an interrupted run is here, with another "
                    f"{_difference(found, request)}; go on with the same, or begin anew with "
                    "restart=True"
                )
            # That run could not have gone on: what was decoded is of use if it is the same.
            if all(found.get(name) == request.get(name) for name in _OF_DECODING):
                self.state = {"spool": self.state.get("spool", {})}
                for entry in self.folder.iterdir():
                    if entry.name not in (_LOCK, _REQUEST, _STATE) and entry.suffix != ".raw":
                        remove(entry)
                write_json(self.folder / _STATE, self.state)
                write_json(self.folder / _REQUEST, request)
                is_same = True
        if restart or not is_same:
            self._clear()
            write_json(self.folder / _REQUEST, request)
        self.reload()
        #: Whether an interrupted run has left something to go on from.
        self.is_resumed = bool(self.state)

    def path(self, name: str) -> Path:
        """Where a part of this name is made."""
        return self.folder / name

    def note(self, **state: Any) -> None:
        """Keeps what has been done, for a run that goes on from here, beside what others who work on
        it have noted."""
        self.reload()
        self.state.update(state)
        write_json(self.folder / _STATE, self.state)

    def commit(self, results: Mapping[str, Path]) -> None:
        """Moves all parts, by name, to their places: older results are replaced now."""
        write_json(self.folder / _COMMIT, {name: str(path.name) for name, path in results.items()})
        self._move()
        self.discard()

    def discard(self) -> None:
        """Takes the folder away with all parts."""
        with naming(self.folder, 0):
            self._clear()
            remove(self.folder / _LOCK)
            with contextlib.suppress(OSError):  # the next run may be in it already
                self.folder.rmdir()
        self.release()

    def _move(self) -> None:
        """Each part is moved at once; what has been moved is no longer here."""
        for name, final in read_json(self.folder / _COMMIT).items():
            part, path = self.folder / name, self.folder.parent / final
            with naming(path, 0):
                if part.exists():
                    replace(part, path, self.folder / f"old.{name}")
        sync_file(self.folder.parent)

    def _clear(self) -> None:
        """Leaves the lock alone. The request goes first: a folder without it holds nothing."""
        for name in (_REQUEST, _COMMIT):
            remove(self.folder / name)
            sync_file(self.folder)
        for entry in self.folder.iterdir():
            if entry.name != _LOCK:
                remove(entry)

    def release(self) -> None:
        """Lets others at it; the parts stay."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *_: Any) -> None:
        self.release()


def _difference(found: dict[str, Any], request: dict[str, Any]) -> str:
    """The first one: its name, what was found and what came."""
    names = {**request, **found}
    name = next(k for k in names if of_value(found.get(k)) != of_value(request.get(k)))
    old, new = found.get(name), request.get(name)
    if isinstance(old, dict) and isinstance(new, dict):
        return f"{name}: {_difference(old, new)}"
    return f"{name}: expected {old!r}, got {new!r}"


def is_unfinished(folder: Path) -> bool:
    """Whether an interrupted run has left parts there."""
    return (folder / _REQUEST).exists()


def is_committed(folder: Path) -> bool:
    """Whether all parts were there when a run was interrupted, and are to be moved."""
    return (folder / _COMMIT).exists()
