# SPDX-License-Identifier: GPL-3.0-or-later
"""Does this installation work? A recording with known motion, corrected and compared."""

from __future__ import annotations

import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

import stillscope

from ..io.extras import is_installed
from ..simulate import residual_motion, simulate_movie
from .output import tell

_LARGEST_ERROR = 0.05  # px, root mean square; measured 0.011
_LIBRARIES = {
    "video files": "av", "TIFF files": "tifffile", "zarr": "zarr", "HDF5 files": "h5py",
    "shifts as netCDF": "netCDF4", "xarray and dask": "xarray", "reports": "jinja2",
    "progress bars": "tqdm",
}  # fmt: skip


def run(arguments: Namespace) -> dict[str, Any]:
    """Correct a simulated recording; through files where zarr is installed."""
    start = time.perf_counter()
    movie, displacement = simulate_movie(100, 200, 300)
    motion = stillscope.estimate_motion(movie, n_threads=arguments.threads)
    corrected = stillscope.apply_motion(movie, motion, n_threads=arguments.threads)
    checks = {}
    error, _ = residual_motion(motion.shifts, displacement)
    checks["the estimate agrees with the known motion"] = error < _LARGEST_ERROR
    checks["correction makes the mean image crisper"] = bool(motion.helps)
    extras = {name: is_installed(library) for name, library in _LIBRARIES.items()}
    if extras["zarr"]:
        with tempfile.TemporaryDirectory() as folder:
            result = stillscope.correct(
                movie, Path(folder) / "corrected.zarr", report=False, progress=False,
                n_threads=arguments.threads,
            )  # fmt: skip
            same = np.array_equal(result.open()[:], corrected)
            checks["a corrected file holds the same movie"] = bool(same)
            same = np.array_equal(result.motion.shifts, motion.shifts)
            checks["a file of shifts holds the same shifts"] = bool(same)
    seconds = time.perf_counter() - start
    if not arguments.json:
        for check, holds in checks.items():
            tell(f"{'ok    ' if holds else 'FAILED'}  {check}")
        tell(f"        error {error:.3f} px (root mean square), {seconds:.1f} s")
        there = ", ".join(name for name, is_there in extras.items() if is_there) or "none"
        missing = ", ".join(name for name, is_there in extras.items() if not is_there)
        tell(f"installed: {there}")
        if missing:
            tell(f'not installed: {missing} (pip install "stillscope[all]" has everything)')
    return {
        "failed": not all(checks.values()), "version": stillscope.__version__, "error": error,
        "seconds": seconds, "checks": checks, "installed": extras,
    }  # fmt: skip
