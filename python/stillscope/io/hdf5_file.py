# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies in HDF5 files: plain ones, NWB, and MATLAB's from version 7.3 (extra ``hdf5``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .arrays import ArrayPart, axis_order, choose_array, stated, stated_numbers
from .extras import import_extra
from .parts import Part

__all__ = ["open_hdf5"]

_MICROMETRES = {"meters": 1e6, "meter": 1e6, "m": 1e6, "micrometers": 1.0, "um": 1.0, "mm": 1e3}


def open_hdf5(file: Path, dataset: str | None) -> Part:
    """Open a movie in an HDF5 file.

    MATLAB saves an array ``(height, width, frame)`` with its axes turned round; they are turned
    back.

    Parameters
    ----------
    file : Path
    dataset : str or None
        The path of the dataset in the file; None: the only one with three dimensions.

    Raises
    ------
    ImportError
        If h5py is not installed.
    ValueError
        If the file is no HDF5 file, or holds no movie, or several.
    """
    h5py = import_extra("h5py", "reading HDF5 files")
    with _file(h5py, file) as root:
        arrays = {}
        root.visititems(lambda name, node: _collect(h5py, arrays, name, node))
        name = choose_array(file, arrays, dataset)
        array = arrays[name]
        if file.suffix.lower() == ".mat" or "MATLAB_class" in array.attrs:
            order = (0, 2, 1)
        else:
            order = axis_order([dimension.label for dimension in array.dims])
        about = _nwb_numbers(root, name)
        about |= stated_numbers(file, {**dict(root.attrs), **dict(array.attrs)})
        return _Hdf5Part(file, name, array, order, **about)


class _Hdf5Part(ArrayPart):
    def _open(self):
        root = _file(import_extra("h5py", "reading HDF5 files"), self.file)
        return root[self._dataset], root


def _file(h5py, file):
    try:
        return h5py.File(file, "r")
    except OSError as error:
        expected = "a MATLAB file of version 7.3" if file.suffix.lower() == ".mat" else "HDF5"
        raise ValueError(f"{file}: expected {expected}, can't open it ({error})") from error


def _collect(h5py, arrays, name, node):
    if isinstance(node, h5py.Dataset) and node.shape is not None and node.dtype.kind in "biuf":
        arrays[name] = node


def _nwb_numbers(root, name):
    """Frame rate [Hz] and pixel size [um] beside the data of an NWB image series, where they are
    numbers that can be."""
    series = root[name].parent
    if "starting_time" in series and "rate" in series["starting_time"].attrs:
        rate = stated(series["starting_time"].attrs["rate"], 1)
    else:
        step = _median_step(series.get("timestamps"))
        rate = step and stated(1 / step, 1)
    about: dict = {"frame_rate": rate[0]} if rate else {}
    spacing = series.get("imaging_plane/grid_spacing")
    if getattr(spacing, "shape", None) in ((2,), (3,)):  # x, y and maybe z
        unit = spacing.attrs.get("unit", "meters")
        unit = unit.decode(errors="replace") if isinstance(unit, bytes) else unit
        scale = _MICROMETRES.get(unit) if isinstance(unit, str) else None
        sides = stated(spacing[:2], 2)
        if scale and sides:
            about["pixel_size"] = (sides[1] * scale, sides[0] * scale)
    return about


def _median_step(times):
    """Between timestamps [s]; None where they do not tell."""
    if getattr(times, "ndim", 0) != 1 or times.dtype.kind not in "iuf":
        return None
    first = times[:1000].astype(np.float64)
    if len(first) < 2 or not np.isfinite(first).all():
        return None
    step = float(np.median(np.diff(first)))
    return step if step > 0 else None
