# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings in, corrected recordings out, in bounded memory, and nothing lost on the way."""

from .correct import apply, correct, estimate
from .correction import Correction
from .job import BusyError

__all__ = ["BusyError", "Correction", "apply", "correct", "estimate"]
