# SPDX-License-Identifier: GPL-3.0-or-later
"""stillscope: registers calcium-imaging movies.

``estimate_motion`` and ``apply_motion`` work on NumPy arrays; ``stillscope.motion_correction`` is a
drop-in for ``minian.motion_correction`` on xarray and dask, and ``install`` puts it in its place.

Shifts are ``(height, width)`` in pixels: the correction, what must be added to the content's
position to register it (positive = toward larger row / column).
"""

from ._core import __version__
from ._install import install, uninstall
from .filters import filter_movie
from .movie import apply_motion, estimate_motion
from .nonrigid import Deformation
from .residual import ResidualMotion, residual_motion
from .result import FrameQuality, MotionEstimate

__all__ = [
    "Deformation",
    "FrameQuality",
    "MotionEstimate",
    "ResidualMotion",
    "__version__",
    "apply_motion",
    "estimate_motion",
    "filter_movie",
    "install",
    "residual_motion",
    "uninstall",
]
