# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files stillscope has made: ``<name>.run.json`` beside the results of a run lists them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .durable import read_json

__all__ = ["RECORD", "read_record", "results_in"]

RECORD = ".run.json"
_FORMAT = "stillscope run"


def read_record(path: Path) -> dict[str, Any] | None:
    """What is known of the run that wrote it: ``request``, a digest, and ``results``, a digest by
    name of each file beside it; None where there is none, or something else."""
    try:
        record = read_json(path)
    except (OSError, ValueError):
        return None
    is_ours = isinstance(record, dict) and record.get("format") == _FORMAT
    return record if is_ours and isinstance(record.get("results"), dict) else None


def make_record(request: str, results: dict[str, str | None]) -> dict[str, Any]:
    """What `read_record` reads."""
    return {"format": _FORMAT, "request": request, "results": results}


def results_in(folder: Path) -> Iterator[str]:
    """Names of the files of a folder that stillscope has made, and of what goes with them."""
    for path in folder.glob("*" + RECORD):
        record = read_record(path)
        if record is not None:
            yield path.name
            yield from record["results"]
