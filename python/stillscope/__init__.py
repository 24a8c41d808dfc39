# SPDX-License-Identifier: GPL-3.0-or-later
"""stillscope: registers calcium-imaging movies.

``correct`` takes the motion out of a recording on disk, in bounded memory; ``estimate`` and
``apply`` are its halves. ``estimate_motion`` and ``apply_motion`` work on arrays. ``open_movie``
opens files, ``load_motion`` what an estimate has written. ``stillscope.motion_correction`` is a
drop-in for ``minian.motion_correction`` on xarray and dask, and ``install`` puts it in its place.

Shifts are ``(height, width)`` in pixels: the correction, what must be added to the content's
position to register it (positive = toward larger row / column).
"""

import importlib
from typing import TYPE_CHECKING

from ._core import __version__
from ._install import install, uninstall
from .filters import filter_movie
from .movie import apply_motion, estimate_motion
from .nonrigid import Deformation
from .residual import ResidualMotion, residual_motion
from .result import FrameQuality, MotionEstimate

if TYPE_CHECKING:
    from .io import Recording, open_movie
    from .io.motion_file import load_motion, save_motion
    from .pipeline import Correction, apply, correct, estimate

__all__ = [
    "Correction",
    "Deformation",
    "FrameQuality",
    "MotionEstimate",
    "Recording",
    "ResidualMotion",
    "__version__",
    "apply",
    "apply_motion",
    "correct",
    "estimate",
    "estimate_motion",
    "filter_movie",
    "install",
    "load_motion",
    "open_movie",
    "residual_motion",
    "save_motion",
    "uninstall",
]

# What works on files is imported where it is used first: notebooks that do not, do not wait for it.
_LAZY = {
    "Correction": "pipeline",
    "Recording": "io",
    "apply": "pipeline",
    "correct": "pipeline",
    "estimate": "pipeline",
    "load_motion": "io.motion_file",
    "open_movie": "io",
    "save_motion": "io.motion_file",
}


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
