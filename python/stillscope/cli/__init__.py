# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``stillscope correct | estimate | apply | report | info | selftest``."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

from .output import finish, tell, warn
from .parser import make_parser

# Commands that go on where they were interrupted; the others begin anew.
_RESUMED = ("correct", "estimate", "apply")
OK, FAILED, BAD_INPUT, SYSTEM, BUSY, INTERRUPTED = 0, 1, 2, 3, 4, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        0: done. 1: `selftest` failed. 2: the input or an option can't be used. 3: the disk or the
        system failed. 4: another run is writing to the destination. 130: interrupted. The reason is
        on standard error.
    """
    try:
        return _run(argv)
    finally:
        finish()


def _run(argv: Sequence[str] | None) -> int:
    arguments = make_parser().parse_args(argv)
    # Here, so that --help answers at once.
    from . import commands

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _show_warning
        try:
            result = getattr(commands, arguments.command)(arguments)
        except KeyboardInterrupt:
            goes_on = arguments.command in _RESUMED
            warn("interrupted" + ("; the same command goes on from here" if goes_on else ""))
            return INTERRUPTED
        except (ImportError, MemoryError, OSError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error) or type(error).__name__
            if isinstance(error, OSError) and error.strerror and error.filename is None:
                reason = error.strerror
            warn("error: " + " ".join(reason.split()))
            return _status(error)
    if arguments.json:
        tell(json.dumps(result, indent=1, default=str))
    return FAILED if result.get("failed") else OK


def _status(error: Exception) -> int:
    from ..pipeline import BusyError

    if isinstance(error, BusyError):
        return BUSY
    is_input = isinstance(error, (FileNotFoundError, FileExistsError, NotADirectoryError))
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and not is_input):
        return SYSTEM
    return BAD_INPUT


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    warn(f"warning: {message}")
