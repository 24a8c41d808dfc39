# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame rate and pixel size as the programs state them that write TIFF files."""

from __future__ import annotations

import math
import xml.etree.ElementTree
from typing import Any

__all__ = ["stated_numbers"]

_SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "min": 60.0, "µs": 1e-6, "μs": 1e-6, "us": 1e-6}
_MICROMETRES = {
    "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "\\u00b5m": 1.0,
    "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6,
}  # fmt: skip


def stated_numbers(tif: Any) -> dict[str, Any]:
    """What the file states, of an open ``tifffile.TiffFile``.

    Returns
    -------
    dict
        ``frame_rate`` [Hz] and ``pixel_size`` (height, width) [um]; None where it is not stated.
    """
    about: dict[str, Any] = {"frame_rate": None, "pixel_size": None}
    for stated in (_imagej, _ome, _scanimage, _shaped):
        try:
            found = stated(tif)
        except Exception:  # damaged, or of a form not seen before: as if nothing was stated
            continue
        for name, value in (found or {}).items():
            values = value if isinstance(value, tuple) else (value,)
            if about[name] is None and all(v and v > 0 and math.isfinite(v) for v in values):
                about[name] = value
    return about


def _imagej(tif):
    if not tif.is_imagej:
        return None
    stated = tif.imagej_metadata or {}
    about = {}
    if stated.get("finterval"):
        unit = _SECONDS.get(str(stated.get("tunit", "s")).casefold(), None)
        if unit:
            about["frame_rate"] = 1 / (float(stated["finterval"]) * unit)
    elif stated.get("fps"):
        about["frame_rate"] = float(stated["fps"])
    unit = _MICROMETRES.get(str(stated.get("unit", "")).casefold())
    tags = tif.pages[0].tags
    if unit and "XResolution" in tags and "YResolution" in tags:
        x, y = (tags[name].value for name in ("XResolution", "YResolution"))
        about["pixel_size"] = (unit * y[1] / y[0], unit * x[1] / x[0])
    return about


def _ome(tif):
    if not tif.is_ome:
        return None
    root = xml.etree.ElementTree.fromstring(tif.ome_metadata)
    pixels = next(node for node in root.iter() if node.tag.rpartition("}")[2] == "Pixels")
    about = {}
    step = pixels.get("TimeIncrement")
    unit = _SECONDS.get(pixels.get("TimeIncrementUnit", "s"))
    if step and unit:
        about["frame_rate"] = 1 / (float(step) * unit)
    sizes = []
    for axis in "YX":
        size = pixels.get(f"PhysicalSize{axis}")
        unit = _MICROMETRES.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        if size and unit:
            sizes.append(float(size) * unit)
    if len(sizes) == 2:
        about["pixel_size"] = tuple(sizes)
    return about


def _scanimage(tif):
    if not tif.is_scanimage:
        return None
    rate = (tif.scanimage_metadata or {}).get("FrameData", {}).get("SI.hRoiManager.scanFrameRate")
    return {"frame_rate": float(rate)} if rate else None


def _shaped(tif):
    """As tifffile keeps what it is given, stillscope's own files among them."""
    stated = (tif.shaped_metadata or ({},))[0]
    about = {}
    if stated.get("fps"):
        about["frame_rate"] = float(stated["fps"])
    elif stated.get("finterval"):
        about["frame_rate"] = 1 / float(stated["finterval"])
    sizes = [stated.get(f"PhysicalSize{axis}") for axis in "YX"]
    if all(sizes):
        about["pixel_size"] = tuple(float(size) for size in sizes)
    return about
