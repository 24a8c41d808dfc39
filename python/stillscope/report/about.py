# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a recording and of a run, checked before it is shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _check


def recording_of(value: Any) -> dict[str, Any]:
    """``recording`` of `summarise`."""
    about = mapping_of(value, "recording")
    if about.get("frame_rate") is not None:
        _check.number(about["frame_rate"], "recording['frame_rate']")
    if about.get("pixel_size") is not None:
        _check.positive_pair(about["pixel_size"], "recording['pixel_size']")
    for file in _items(about, "files"):
        if not isinstance(file, (str, os.PathLike)):
            raise TypeError(f"recording['files']: expected paths, got {file!r}")
    for item in _items(about, "missing"):
        if not isinstance(item, (tuple, list)) or len(item) != 3:
            raise ValueError(
                f"recording['missing']: expected (file, frame, reason) each, got {item!r}"
            )
    return about


def timings_of(value: Any) -> dict[str, float]:
    """``timings`` of `summarise`."""
    about = mapping_of(value, "timings")
    return {name: _check.number(time, f"timings[{name!r}]") for name, time in about.items()}


def outputs_of(value: Any) -> dict[str, Any]:
    """``outputs`` of `summarise`."""
    about = mapping_of(value, "outputs")
    for role, path in about.items():
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"outputs[{role!r}]: expected a path, got {path!r}")
    return about


def mapping_of(value: Any, name: str) -> dict[str, Any]:
    """A mapping or None as a dict of its own."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: expected a dict or None, got {value!r}")
    return dict(value)


def _items(about: dict[str, Any], name: str) -> Any:
    items = about.get(name)
    if items is not None and not isinstance(items, (tuple, list, np.ndarray)):
        raise TypeError(f"recording[{name!r}]: expected a list, got {items!r}")
    return () if items is None else items
