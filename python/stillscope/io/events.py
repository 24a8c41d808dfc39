# SPDX-License-Identifier: GPL-3.0-or-later
"""What the decoder process finds in a file, in order."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["BadFile", "Event", "MOST_PIXELS", "ODD_SIZE"]

ODD_SIZE = "its size is "
MOST_PIXELS = 1 << 28  # of a frame; more is taken for a lie of the header


class BadFile(Exception):
    """The file can't be read at all; the message is for the user, who knows which file it is."""


class Event(NamedTuple):
    """A frame, or why there is none.

    Attributes
    ----------
    slot : int or None
        The frame's number in the file, counted with those that are missing; None for what is
        wrong with the file at no frame in particular.
    frame : object or None
        What the library gave.
    reason : str or None
        Why there is no frame.
    mark : object
        How the frame is found again.
    make : callable
        Gives the pixels of ``frame``.
    size : callable
        Gives height, width and dtype of these pixels.
    """

    slot: int | None
    frame: Any = None
    reason: str | None = None
    mark: Any = None
    make: Any = None
    size: Any = None

    def pixels(self) -> np.ndarray:
        """The frame's brightness: ``(height, width)``, contiguous, in native byte order."""
        return np.ascontiguousarray(self.make(self.frame))

    def kind(self) -> list:
        """Height, width, dtype (as a string) of the pixels."""
        return self.size(self.frame)
