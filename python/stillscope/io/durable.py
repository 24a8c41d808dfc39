# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all, after a crash or a power failure too."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def sync_file(path: Path) -> None:
    """Has the system bring a file to the disk."""
    with naming(path, path.stat().st_size if path.is_file() else 0):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_descriptor(descriptor: int, path: Path, size: int) -> None:
    """The same for `size` bytes that have been written to an open file."""
    with naming(path, size):
        os.fdatasync(descriptor)


def sync_tree(path: Path) -> None:
    """The same for a file, or for a folder and all that is in it."""
    if path.is_dir():
        for folder, _, names in os.walk(path):
            for name in names:
                sync_file(Path(folder, name))
            sync_file(Path(folder))
    else:
        sync_file(path)


def write_at(descriptor: int, array: np.ndarray, at: int) -> None:
    """Writes an array's pixels, C order, to their place in an open file."""
    rest = memoryview(np.ascontiguousarray(array)).cast("B")
    while rest:
        count = os.pwrite(descriptor, rest, at)
        rest, at = rest[count:], at + count


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Replaces a file at once: what was there stays until all that comes is on the disk."""
    write_pieces(path, [data])


def write_pieces(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """The same from pieces, which need not be in memory together."""
    part = path.with_name(path.name + ".new")
    size = 0
    with naming(path, size), open(part, "wb") as file:
        for piece in pieces:
            size += len(piece)
            with naming(path, size):
                file.write(piece)
        with naming(path, size):
            file.flush()
            os.fsync(file.fileno())
    with naming(path, size):
        os.replace(part, path)
        sync_file(path.parent)


def write_json(path: Path, value: Any) -> None:
    """`write_bytes` of JSON, the same text for the same value."""
    text = json.dumps(value, sort_keys=True, indent=1, allow_nan=True)
    write_bytes(path, text.encode() + b"\n")


def read_json(path: Path) -> Any:
    """What `write_json` wrote; None where there is no such file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None


def remove(path: Path) -> None:
    """Removes a file or a folder with all that is in it; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def free_bytes(path: Path) -> int:
    """What is free on the disk of a path that exists or is to be made."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def size_on_disk(path: Path) -> int:
    """Bytes that a file, or a folder with all that is in it, takes."""
    files = [path] if path.is_file() else (p for p in path.rglob("*") if p.is_file())
    return sum(file.stat().st_blocks * 512 for file in files)


@contextlib.contextmanager
def naming(path: Path, size: int | None = None) -> Iterator[None]:
    """Errors of the system within say which file they befell, and how many bytes were to be
    written, where any were."""
    try:
        yield
    except OSError as error:
        if getattr(error, "is_named", False):
            raise
        reason = os.strerror(error.errno) if error.errno else str(error)
        text = f"{reason}: {path}"
        if size is not None:
            text += f", {size:,} bytes to be written"
        if error.errno in _FULL:
            with contextlib.suppress(OSError):
                text += f", {free_bytes(path):,} bytes free"
        named = type(error)(error.errno, text) if error.errno else type(error)(text)
        named.is_named = True
        raise named from error
