# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a recording: which kind they are, and in which order they are joined."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from .record import results_in

__all__ = ["KINDS", "find_files", "kind_of"]

KINDS = {
    "video": (
        ".avi", ".m4v", ".mj2", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".webm", ".wmv",
    ),
    "TIFF": (".tif", ".tiff"),
    "zarr": (".zarr",),
    "HDF5": (".h5", ".hdf5", ".nwb", ".mat"),
    "npy": (".npy",),
}  # fmt: skip
_KIND_OF = {suffix: kind for kind, suffixes in KINDS.items() for suffix in suffixes}
# What a camera writes comes first: a folder often holds results of other programs beside it.
_CAMERA = ("video", "TIFF")
_ZARR_MARKS = (".zarray", ".zgroup", "zarr.json")


def kind_of(path: Path) -> str | None:
    """The kind of a file or of a zarr folder, a key of ``KINDS``; None where there is none."""
    if path.is_dir():
        is_zarr = any((path / mark).is_file() for mark in _ZARR_MARKS)
        return "zarr" if is_zarr else None
    kind = _KIND_OF.get(path.suffix.lower())
    return None if kind == "zarr" else kind  # zarr is a folder; a zipped one is not read


def find_files(source: Any) -> tuple[str, list[Path]]:
    """List the files of a recording in natural order (msCam2 before msCam10).

    Parameters
    ----------
    source : path or sequence of paths
        Files, zarr folders, and other folders, of which all movies are taken (not those of their
        subfolders). Where a folder holds several kinds, videos or TIFF files are the recording.

    Returns
    -------
    kind : str
        A key of ``KINDS``, the same for all files.
    files : list of Path
        The files, sorted by their whole path with numbers compared as numbers.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    TypeError
        If the source is no path, nor a sequence of paths.
    ValueError
        If there is no path, a folder holds no movie, a file is named twice or is of an unknown
        kind, or the files are of several kinds.
    """
    paths = [source] if isinstance(source, (str, os.PathLike)) else source
    try:
        paths = [Path(path) for path in paths]
    except TypeError:
        raise TypeError(f"source: expected a path or paths, got {source!r}") from None
    if not paths:
        raise ValueError("source: expected at least one recording, got none")
    found: list[tuple[str, Path]] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        kind = kind_of(path)
        if kind:
            found.append((kind, path))
        elif path.is_dir():
            found += _inside(path)
        else:
            raise ValueError(f"{path}: expected a file whose name ends in {_known()}")
    found.sort(key=lambda item: _natural(item[1]))
    _refuse_twice([file for _, file in found])
    kinds = {kind: file for kind, file in reversed(found)}
    if len(kinds) > 1:
        given = ", ".join(f"{kind} ({file.name})" for kind, file in kinds.items())
        raise ValueError(f"source: expected files of one kind, got {given}")
    return found[0][0], [file for _, file in found]


def _inside(folder):
    """The movies of a folder with their kind, without those that stillscope has made (a name with a
    leading dot is the system's own)."""
    made = results_in(folder)
    found = [
        (kind, path)
        for path in folder.iterdir()
        if path.name[0] != "." and path.name not in made and (kind := kind_of(path))
    ]
    camera = [item for item in found if item[0] in _CAMERA]
    found = camera or found
    if not found:
        raise ValueError(f"{folder}: expected a folder with movies, found none ({_known()})")
    return found


def _refuse_twice(files):
    seen = set()
    for file in files:
        real = file.resolve()
        if real in seen:
            raise ValueError(f"source: expected every file once, got {file} twice")
        seen.add(real)


def _known():
    return ", ".join(_KIND_OF)


def _natural(path):
    """Sort key: text and numbers in turn, numbers by value."""
    parts = re.split(r"([0-9]+)", str(path))
    return [int(p) if k % 2 else p.casefold() for k, p in enumerate(parts)], str(path)
