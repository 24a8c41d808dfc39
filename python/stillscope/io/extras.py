# SPDX-License-Identifier: GPL-3.0-or-later
"""Optional libraries: imported where they are needed, or an error that says how to install them."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

__all__ = ["import_extra", "require_extra"]

# What is imported: how it is called, and the extra that installs it.
_LIBRARIES = {
    "av": ("PyAV", "video"),
    "tifffile": ("tifffile", "tiff"),
    "zarr": ("zarr", "zarr"),
    "h5py": ("h5py", "hdf5"),
    "xarray": ("xarray", "xarray"),
    "matplotlib": ("matplotlib", "report"),
    "jinja2": ("Jinja2", "report"),
    "tqdm.auto": ("tqdm", "progress"),
    "distributed": ("distributed", "cluster"),
}


def import_extra(module: str, doing: str) -> ModuleType:
    """Import an optional library.

    Parameters
    ----------
    module : str
        The name it is imported by, such as ``"av"``.
    doing : str
        What needs it, for the error, such as ``"reading video files"``.

    Raises
    ------
    ImportError
        If it is not installed. The message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(_advice(module, doing)) from error


def require_extra(module: str, doing: str) -> None:
    """Check that an optional library is there, without importing it: another process will.

    Raises
    ------
    ImportError
        If it is not installed. The message names the extra.
    """
    try:
        is_there = importlib.util.find_spec(module) is not None
    except ValueError:  # a module that was made by hand, or is hidden
        is_there = False
    if not is_there:
        raise ImportError(_advice(module, doing))


def _advice(module, doing):
    library, extra = _LIBRARIES[module]
    return f'{doing} needs {library}: pip install "stillscope[{extra}]"'
