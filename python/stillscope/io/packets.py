# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage to a video's packets that FFmpeg does not tell, or tells in its log alone."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["data_fault", "jpeg_size", "read_log"]

_LENGTHLESS = {0x01, *range(0xD0, 0xD9)}  # JPEG markers without a length behind them
_START_OF_SCAN, _END = 0xDA, 0xD9
_DAMAGED = "its JPEG header is damaged"
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def data_fault(packet: Any, codec: str) -> str | None:
    """Why a packet can't be a frame, None if it can, as far as it is easily seen.

    FFmpeg makes frames of such packets, out of memory that holds whatever was there before: they
    differ from one reading to the next.
    """
    if codec == "ffv1":
        data = memoryview(packet)
        # The checksum of zeros is right.
        return "all of it is zero" if not any(data[:16]) and not any(data) else None
    return _jpeg_header(memoryview(packet))[0] if codec == "mjpeg" else None


def jpeg_size(data: Any) -> tuple[int, int] | None:
    """Height and width that a JPEG picture states; None where its header is damaged."""
    return _jpeg_header(memoryview(data))[1]


def _jpeg_header(data):
    """Why it can't be a JPEG picture, and its size: one of them is None.

    Size and components must be stated before the pixels.
    """
    if bytes(data[:2]) != b"\xff\xd8":
        return "it does not begin as a JPEG picture", None
    at, size, components = 2, None, None
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF or marker in _LENGTHLESS:  # 0xFF: padding
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        segment = bytes(data[at + 4 : at + 2 + length])
        if marker in _FRAME_HEADERS:
            size = int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")
            components = set(segment[6::3])
        elif marker == _START_OF_SCAN:
            scanned = set(segment[1 : 1 + 2 * segment[0] : 2]) if segment else {None}
            is_good = components and scanned <= components
            return (None, size) if is_good else (_DAMAGED, None)
        elif marker == _END:
            break
        at += 2 + length
    return _DAMAGED, None


def read_log() -> str:
    """What was written to standard error, a file, since it was last read here."""
    try:
        if not os.fstat(2).st_size:
            return ""
        text = os.pread(2, 4096, 0).decode(errors="replace")
        os.ftruncate(2, 0)
        os.lseek(2, 0, os.SEEK_SET)
    except OSError:  # no file
        return ""
    return text
