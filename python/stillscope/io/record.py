# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files stillscope has made: ``<name>.run.json`` beside the results of a run lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .durable import read_json

__all__ = ["RECORD", "make_record", "names_in", "read_record", "results_in"]

RECORD = ".run.json"
_FORMAT = "stillscope run"


def read_record(path: Path) -> dict[str, Any] | None:
    """What is known of the run that wrote it: ``request``, a digest; ``results``, a digest by name of
    each file that it has made; ``kept``, names of what runs before it have. None where there is
    none, or something else."""
    try:
        record = read_json(path)
    except (OSError, ValueError):
        return None
    is_ours = isinstance(record, dict) and record.get("format") == _FORMAT
    return record if is_ours and isinstance(record.get("results"), dict) else None


def make_record(
    request: str, results: dict[str, str | None], kept: list[str]
) -> dict[str, Any]:
    """What `read_record` reads."""
    return {"format": _FORMAT, "request": request, "results": results, "kept": kept}


def names_in(record: dict[str, Any]) -> set[str]:
    """Of all files that stillscope has made."""
    return {*record.get("results", ()), *record.get("kept", ())}


def results_in(folder: Path) -> set[str]:
    """Names of the files of a folder that stillscope has made."""
    names: set[str] = set()
    for path in folder.glob("*" + RECORD):
        record = read_record(path)
        if record is not None:
            names |= {path.name} | names_in(record)
    return names
