# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies in files: ``open_movie`` reads recordings of any kind, a few frames at a time."""

from .open import open_movie
from .parts import MissingFrame
from .recording import Recording

__all__ = ["MissingFrame", "Recording", "open_movie"]
