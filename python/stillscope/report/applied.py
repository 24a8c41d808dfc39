# SPDX-License-Identifier: GPL-3.0-or-later
"""How frames are moved for what is shown: as they were for what was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..movie import apply_motion

_OPTIONS = ("fill", "grid", "interpolation", "border")


def applying_options(value: Any, dtype: np.dtype) -> dict[str, Any]:
    """``applying``, options of `apply_motion` for frames of this dtype, checked; none for None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(
            f"applying: expected a mapping of options of apply_motion, got {value!r}"
        )
    unknown = [name for name in value if name not in _OPTIONS]
    if unknown:
        raise ValueError(
            f"applying: expected options of {', '.join(_OPTIONS)}, got {unknown[0]!r}"
        )
    apply_motion(np.zeros((1, 1, 1), dtype), np.zeros((1, 2)), **value)  # its checks
    return dict(value)
