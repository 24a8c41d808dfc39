# SPDX-License-Identifier: GPL-3.0-or-later
"""The brightness of what libraries decode, in the decoder process."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["grey", "grey_kind", "luma"]

_LUMA = np.array([299, 587, 114], np.uint32)  # per mille of R, G, B (ITU-R BT.601)


def luma(rgb: np.ndarray) -> np.ndarray:
    """The brightness of RGB pixels ``(height, width, 3)`` of uint8 or uint16, rounded.

    It is exact where R = G = B.
    """
    return ((rgb @ _LUMA + 500) // 1000).astype(rgb.dtype)


def grey(frame: Any) -> np.ndarray:
    """The brightness of a frame of PyAV: ``(height, width)``, uint8 or uint16.

    Raises
    ------
    ValueError
        If it has more than 16 bits a sample.
    """
    bits = _bits(frame)
    if frame.format.is_rgb or frame.format.has_palette:
        # Not left to FFmpeg, whose way from RGB to grey is not exact where R = G = B.
        return luma(frame.to_ndarray(format="rgb24" if bits <= 8 else "rgb48le"))
    return frame.to_ndarray(format="gray" if bits <= 8 else f"gray{bits}le")


def grey_kind(frame: Any) -> list:
    """Height, width and dtype (as a string) of what ``grey`` gives."""
    return [frame.height, frame.width, np.dtype("u1" if _bits(frame) <= 8 else "u2").str]


def _bits(frame):
    bits = max(component.bits for component in frame.format.components)
    if bits > 16:
        raise ValueError(f"expected at most 16 bits a sample, got {frame.format.name}")
    return bits
