# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command lines of the comparisons have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from .environments import ROOT, EnvironmentFailed
from .output import Output

_FAILED = 1  # exit status


def parser(command: str, description: str, *, quick: str) -> argparse.ArgumentParser:
    """A parser with ``--quick``, which does what `quick` says, and ``--page``."""
    made = argparse.ArgumentParser(
        prog=command,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--quick", action="store_true", help=f"{quick}, docs is left alone")
    made.add_argument(
        "--page", action="store_true", help="measure nothing: draw and write the page again"
    )
    return made


def run(
    arguments: argparse.Namespace,
    name: str,
    pictures: str,
    build: Path,
    measure: Callable[[Output], None],
    render: Callable[..., str],
) -> int:
    """Measure what was asked for and write the page.

    Parameters
    ----------
    arguments : argparse.Namespace
        What the command line says.
    name, pictures : str
        The page's name and the folder of its pictures, below ``docs``.
    build : Path
        Where ``--quick`` writes, in a folder of that name.
    measure, render : callable
        What fills the output, and makes the page's text of it.

    Returns
    -------
    int
        0, or 1 where nothing could be measured; the reason is on stderr.
    """
    output = Output(name, build / "quick" if arguments.quick else ROOT / "docs", pictures)
    try:
        if not arguments.page:
            measure(output)
        output.write_page(render)
    except EnvironmentFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return _FAILED
    return 0
