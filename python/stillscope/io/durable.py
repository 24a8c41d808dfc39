# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all, after a crash or a power failure too."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def sync_file(path: Path) -> None:
    """Has the system bring a file to the disk."""
    with naming(path, path.stat().st_size if path.is_file() else 0):
        _sync(path)


def _sync(path: Path) -> None:
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
    """The same for a file, or for a folder and all that is in it; who calls it names it."""
    if path.is_dir():
        for folder, _, names in os.walk(path):
            for name in (*names, "."):
                _sync(Path(folder, name))
    else:
        _sync(path)


def write_at(descriptor: int, array: np.ndarray, at: int) -> None:
    """Writes an array's pixels, C order, to their place in an open file."""
    rest = memoryview(np.ascontiguousarray(array)).cast("B")
    while rest:
        count = os.pwrite(descriptor, rest, at)
        rest, at = rest[count:], at + count


def checked_path(path: Any, *suffixes: str) -> Path:
    """``path`` as that of a file to be made: in a folder that exists, with one of these suffixes in
    lower or upper case, where there are any."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path: expected a path, got {path!r}")
    path = Path(path)
    if suffixes and path.suffix.lower() not in suffixes:
        raise ValueError(f"path: expected the suffix {' or '.join(suffixes)}, got {path}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path: {path.parent}: no such folder")
    return path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside ``path``: the file or folder that is made there takes its place once all of it
    is on the disk. When something fails it is removed, and all whose names begin so."""
    new = _beside(path)
    try:
        yield new
        with naming(path, size_on_disk(new)):
            sync_tree(new)
            replace(new, path)
            sync_file(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            for made in new.parent.glob(glob.escape(new.name) + "*"):
                remove(made)
        raise


def replace(new: Path, path: Path, aside: Path | None = None) -> None:
    """Moves a file or a folder to its place. What is there goes: in one step if both are files,
    else it is called ``aside`` for a moment, by default something hidden beside it."""
    old = None
    if path.exists() and (path.is_dir() or new.is_dir()):
        old = aside or _beside(path)
        remove(old)
        os.replace(path, old)
    try:
        os.replace(new, path)
    except BaseException:
        if old is not None:
            os.replace(old, path)
        raise
    if old is not None:
        remove(old)


def _beside(path: Path) -> Path:
    """A name that nothing has; a hidden one, which nobody takes for a recording."""
    return path.with_name(f".{path.stem[:100]}-{secrets.token_hex(4)}{path.suffix}")


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Replaces a file at once: what was there stays until all that comes is on the disk."""
    write_pieces(path, [data])


def write_pieces(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """The same from pieces, which need not be in memory together."""
    size = 0
    with naming(path, size), replacing(path) as new, open(new, "wb") as file:
        for piece in pieces:
            size += len(piece)
            with naming(path, size):
                file.write(piece)
        with naming(path, size):
            file.flush()


def write_json(path: Path, value: Any) -> None:
    """`write_bytes` of JSON, the same text for the same value."""
    text = json.dumps(value, sort_keys=True, indent=1)
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
