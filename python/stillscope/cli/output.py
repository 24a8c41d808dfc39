# SPDX-License-Identifier: GPL-3.0-or-later
"""What is printed. Who reads it may stop early, as ``head`` does: the rest then goes nowhere, and
the command and its exit status are as always."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def tell(text: str = "") -> None:
    """A line of results."""
    write(text + "\n", sys.stdout)


def note(text: str) -> None:
    """A line for people, on standard error."""
    write(text + "\n", sys.stderr)


def warn(text: str) -> None:
    """What went wrong, or may."""
    note(f"stillscope: {text}")


def finish() -> None:
    """Brings what is still held to those who read."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except BrokenPipeError:
                _let_go(stream)


def write(text: str, stream: TextIO) -> None:
    """Text as it is."""
    try:
        stream.write(text)
    except BrokenPipeError:
        _let_go(stream)


def _let_go(stream: TextIO) -> None:
    """What is left in it must go somewhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
