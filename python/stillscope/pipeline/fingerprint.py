# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a recording, or an argument, is still the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

_SAMPLES = 64
_SAMPLE_BYTES = 1 << 16


def _places(size: int, sample: int) -> np.ndarray:
    """Where samples begin: evenly spaced, the first and the last included."""
    count = min(_SAMPLES, -(-size // sample))
    return np.unique(np.linspace(0, max(size - sample, 0), max(count, 1)).astype(np.int64))


def of_file(path: Path) -> str:
    """Digest of a file's size and of 64 samples of it; of a folder, of all files in it."""
    digest = hashlib.blake2b(digest_size=16)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    sampled = set(_places(len(files), 1).tolist())  # of many chunks, some
    for index, file in enumerate(files):
        size = file.stat().st_size
        name = file.relative_to(path).as_posix() if path.is_dir() else ""
        digest.update(f"{name}:{size};".encode())
        if index not in sampled and size > _SAMPLE_BYTES:
            continue
        with open(file, "rb") as stream:
            for place in _places(size, _SAMPLE_BYTES):
                stream.seek(int(place))
                digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def modified(path: Path) -> int:
    """When a file, or anything in a folder, was last written to [ns]."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return max(file.stat().st_mtime_ns for file in files)


def of_movie(movie: Any) -> str:
    """Digest of a movie's shape and dtype and of 64 of its frames."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{tuple(movie.shape)}:{np.dtype(movie.dtype).str};".encode())
    for place in _places(movie.shape[0], 1):
        frame = np.ascontiguousarray(movie[int(place) : int(place) + 1])
        digest.update(memoryview(frame).cast("B"))
    return digest.hexdigest()


def of_value(value: Any) -> str:
    """Digest of what JSON can hold."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def plain(value: Any) -> Any:
    """An argument as JSON can hold it; an array by its digest."""
    if isinstance(value, slice):
        return [value.start, value.stop]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    array = np.ascontiguousarray(value)
    content = hashlib.blake2b(memoryview(array).cast("B"), digest_size=16).hexdigest()
    return {"shape": list(array.shape), "dtype": array.dtype.str, "digest": content}
