# SPDX-License-Identifier: GPL-3.0-or-later
"""Optional libraries: imported where they are needed, or an error that says how to install them."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

__all__ = ["import_extra", "is_installed", "require_extra"]

# What is imported: how it is called, and the extra that installs it.
_LIBRARIES = {
    "av": ("PyAV", "video"),
    "tifffile": ("tifffile", "tiff"),
    "zarr": ("zarr", "zarr"),
    "h5py": ("h5py", "hdf5"),
    "xarray": ("xarray", "xarray"),
    "netCDF4": ("netCDF4", "netcdf"),
    "matplotlib": ("Matplotlib", "report"),
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
    if not is_installed(module):
        raise ImportError(_advice(module, doing))


def is_installed(module: str) -> bool:
    """Whether there is such a library, of whatever version."""
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # a module that was made by hand, or is hidden
        return False


def _advice(module, doing):
    library, extra = _LIBRARIES[module]
    return f'{doing} needs {library}: pip install "stillscope[{extra}]"'
