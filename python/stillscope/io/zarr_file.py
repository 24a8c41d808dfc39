# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies in zarr arrays and groups, of version 2 and 3 (extra ``zarr``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .arrays import ArrayPart, axis_order, choose_array, stated_numbers
from .extras import import_extra
from .parts import Part

__all__ = ["open_zarr"]


def open_zarr(file: Path, dataset: str | None) -> Part:
    """Open a movie in a zarr array, or in a group, as xarray and minian save it.

    Parameters
    ----------
    file : Path
        The folder.
    dataset : str or None
        The array of a group; None: the only one with three dimensions.

    Raises
    ------
    ImportError
        If zarr is not installed.
    ValueError
        If it can't be opened, or holds no movie, or several.
    """
    from .motion_file import is_motion  # which imports what an estimate is

    node = _node(file)
    if hasattr(node, "shape"):
        name, array = None, node
        if len(array.shape) != 3:
            raise ValueError(f"{file}: expected (frame, height, width), got shape {array.shape}")
        if dataset is not None:
            raise ValueError(f"dataset: expected None for a single array, got {dataset!r}")
    elif is_motion(file):
        raise ValueError(f"{file}: expected a movie, got shifts: stillscope.load_motion reads them")
    else:
        arrays = dict(_arrays(node, ""))
        name = choose_array(file, arrays, dataset)
        array = arrays[name]
    attributes = {**dict(node.attrs), **dict(array.attrs)}
    about = stated_numbers(file, attributes)
    return _ZarrPart(file, name, array, axis_order(_dimensions(array)), **about)


class _ZarrPart(ArrayPart):
    def _open(self):
        node = _node(self.file)
        return (node if self._dataset is None else node[self._dataset]), None


def _node(file):
    zarr = import_extra("zarr", "reading zarr files")
    try:
        return zarr.open(str(file), mode="r")
    except Exception as error:  # of many kinds, by version
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{file}: expected a zarr folder, can't open it ({reason})") from error


def _arrays(group: Any, prefix: str):
    for name, array in group.arrays():
        yield prefix + name, array
    for name, inner in group.groups():
        yield from _arrays(inner, f"{prefix}{name}/")


def _dimensions(array):
    """The names of the dimensions: an attribute that xarray sets, or zarr 3's own."""
    names = array.attrs.get("_ARRAY_DIMENSIONS")
    return names or getattr(getattr(array, "metadata", None), "dimension_names", None)
