# SPDX-License-Identifier: GPL-3.0-or-later
"""TIFF files, in the decoder process (tifffile)."""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import tifffile

from stillscope.io.events import MOST_PIXELS, BadFile, Event
from stillscope.io.pixels import luma
from stillscope.io.tiff_numbers import stated_numbers

__all__ = ["TiffMovie"]

_REAL_KINDS = "biuf"


class TiffMovie:
    """The frames of a TIFF file: its pages, or one axis of a hyperstack.

    Pages are found here, not by tifffile, so that the end of a damaged chain of them is told from
    the end of the file.
    """

    worth_a_seek = 0  # every frame is found at once

    def __init__(self, request: dict[str, Any], alive) -> None:
        self._file = request["file"]
        self._skip = set(request["skip"])
        self._alive = alive
        self._size = os.path.getsize(self._file)
        self._notes: list[str] = []
        try:
            self._tif = tifffile.TiffFile(self._file, _multifile=False)
            self._pages = self._find_pages()
            self._first = next((page for page in self._pages if not isinstance(page, str)), None)
            if self._first is None:
                raise BadFile("expected a TIFF file with at least one page, got none that is whole")
            self._check_kind()
            self._offsets = self._find_frames(request["select"])
        except BadFile:
            raise
        except Exception as error:  # tifffile's own, of many kinds
            raise BadFile(f"expected a TIFF file, can't open it ({error})") from error

    def close(self) -> None:
        self._tif.close()

    def describe(self) -> tuple[dict[str, Any], np.ndarray]:
        """Shape, dtype and what is stated; where each frame's pixels lie as they are, or -1."""
        height, width = self._first.shape[:2]
        about = {
            "frames": len(self._frames),
            "shape": [height, width],
            "dtype": self._tif.byteorder + self._first.dtype.str[1:],
            "notes": self._notes,
            "is_careful": True,
            **stated_numbers(self._tif),
        }
        return about, np.asarray(self._offsets, np.int64)

    def events(self, start: int, mark, announce) -> Iterator[Event]:
        """Events from frame ``start`` on."""
        for slot in range(start, len(self._frames)):
            self._alive()
            page = self._frames[slot]
            if slot in self._skip:
                page = "the decoder failed on it"
            if isinstance(page, str):
                yield Event(slot, reason=page)
                continue
            announce(slot)
            try:
                pixels = self._decode(page, slot)
            except Exception as error:
                text = " ".join(str(error).split())
                yield Event(slot, reason=(text or type(error).__name__)[:200])
            else:
                yield Event(slot, pixels, None, None, _itself, _size)

    def _decode(self, page, slot):
        if self._offsets[slot] >= 0:  # as it is
            count = math.prod(self._first.shape)
            with open(self._file, "rb") as stream:
                stream.seek(int(self._offsets[slot]))
                data = stream.read(count * self._first.dtype.itemsize)
            stored = self._first.dtype.newbyteorder(self._tif.byteorder)
            return np.frombuffer(data, stored).reshape(self._first.shape).astype(self._first.dtype)
        pixels = page.asarray(maxworkers=1)
        if pixels.ndim == 3:
            pixels = luma(np.ascontiguousarray(pixels[..., :3]))
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)

    def _find_pages(self):
        """All pages along the chain; for one that is damaged, why."""
        pages = []
        for place in self._chain():
            self._alive()
            try:
                self._tif.filehandle.seek(place)
                page = tifffile.TiffPage(self._tif, len(pages))
                pages.append(self._fault(page) or page)
            except Exception as error:
                pages.append(f"its directory is damaged ({error})"[:200])
        return pages

    def _chain(self):
        """Where the directories of the pages lie."""
        form, stream = self._tif.tiff, self._tif.filehandle
        stream.seek(8 if self._tif.is_bigtiff else 4)  # behind the signature
        place = self._unpack(form.offsetformat, form.offsetsize)
        seen = set()
        while place:
            if place in seen or place + form.tagnosize > self._size:
                self._notes.append(
                    "the chain of pages is broken: what may follow the last one can't be found"
                )
                return
            seen.add(place)
            yield place
            try:
                stream.seek(place)
                count = self._unpack(form.tagnoformat, form.tagnosize)
                stream.seek(place + form.tagnosize + count * form.tagsize)
                place = self._unpack(form.offsetformat, form.offsetsize)
            except (struct.error, OSError, ValueError, OverflowError):
                self._notes.append("the file is cut off within the chain of pages")
                return

    def _unpack(self, form, size):
        return struct.unpack(form, self._tif.filehandle.read(size))[0]

    def _fault(self, page):
        """Why a page can't be read, None if it can."""
        if 0 in page.shape or math.prod(page.shape) > MOST_PIXELS * 4:
            return f"it states a size of {page.shape}"
        if page.dtype is None:
            return "it states a pixel type that is not known"
        if len(page.dataoffsets) != len(page.databytecounts) or not page.dataoffsets:
            return "the places of its pixels are not stated"
        if len(page.dataoffsets) < math.prod(page.chunked):
            return f"{len(page.dataoffsets)} of {math.prod(page.chunked)} strips are stated"
        for offset, count in zip(page.dataoffsets, page.databytecounts):
            if offset <= 0 or count <= 0:
                return "some of its pixels are not in the file"
            if offset + count > self._size:
                return "the file is cut off before its end"
        if page.compression == 1 and sum(page.databytecounts) < page.nbytes:
            return f"{sum(page.databytecounts)} of {page.nbytes} bytes of its pixels are stated"
        return None

    def _check_kind(self):
        page = self._first
        if page.dtype.kind not in _REAL_KINDS:
            raise BadFile(f"expected real numbers, got {page.dtype}")
        is_rgb = len(page.shape) == 3 and page.axes == "YXS" and page.shape[2] in (3, 4)
        if is_rgb and page.dtype.name not in ("uint8", "uint16"):
            raise BadFile(f"expected colour of 8 or 16 bits, got {page.dtype}")
        if page.axes != "YX" and not is_rgb:
            raise BadFile(f"expected grey or RGB pages, got axes {page.axes} of {page.shape}")

    def _find_frames(self, select):
        """Sets the pages that are frames; returns where their pixels lie as they are, or -1."""
        virtual = self._virtual_offsets()
        if virtual is None:
            self._frames = self._pages
        else:
            self._frames = [self._first] * len(virtual)
        order = self._hyperstack_order(select)
        if order is not None:
            self._frames = [self._frames[k] for k in order if k < len(self._frames)]
        if virtual is not None:
            return virtual if order is None else [virtual[k] for k in order if k < len(virtual)]
        return [self._offset(page) for page in self._frames]

    def _offset(self, page):
        """Where a page's pixels lie as they are; -1 where they must be decoded."""
        if isinstance(page, str) or page.shape != self._first.shape or len(page.shape) != 2:
            return -1
        is_plain = page.is_contiguous and page.compression == 1 and page.dtype == self._first.dtype
        return page.dataoffsets[0] if is_plain else -1

    def _virtual_offsets(self):
        """Places of frames that follow the only page without directories of their own.

        ImageJ writes files above 4 GB so; tifffile can, too.
        """
        page = self._first
        if not (self._tif.is_imagej or self._tif.is_shaped) or self._offset(page) < 0:
            return None
        if len(self._pages) > 1 and not self._notes:
            return None
        stated = _stated_frames(self._tif, page)
        there = (self._size - page.dataoffsets[0]) // page.nbytes
        if stated <= max(len(self._pages), 1):
            return None
        if stated > there:
            self._notes.append(f"the header states {stated} frames, the file holds {there}")
        return [page.dataoffsets[0] + k * page.nbytes for k in range(min(stated, there))]

    def _hyperstack_order(self, select):
        """Which pages are the frames of a hyperstack; None: all of them, in order."""
        tif = self._tif
        if not (tif.is_imagej or tif.is_ome or tif.is_scanimage or tif.is_shaped):
            return self._no_selection(select)
        try:
            series = tif.series[0]
            axes, shape = series.axes, series.shape
        except Exception:  # what it states is damaged; the pages are there
            return self._no_selection(select)
        inner = len(self._first.shape)
        if tuple(shape[-inner:]) != tuple(self._first.shape):
            return self._no_selection(select)
        axes, shape = axes[:-inner], shape[:-inner]
        chosen = dict(re.findall(r"([A-Z])(\d+)", select or ""))
        if select and (not chosen or set(chosen) - set(axes)):
            raise BadFile(f"expected dataset= to choose of the axes {axes}, as in 'C0'")
        long = [a for a, n in zip(axes, shape) if n > 1 and a not in chosen]
        if len(long) <= 1 and not chosen:
            return None
        if len(long) > 1:
            sizes = ", ".join(f"{axis}: {n}" for axis, n in zip(axes, shape))
            raise BadFile(
                f"expected one axis of frames, got {sizes}; choose by dataset=, as in 'C0'"
            )
        if math.prod(shape) > max(len(self._frames), 1) * 64:
            raise BadFile(f"expected {math.prod(shape)} pages, got {len(self._frames)}")
        for axis, index in chosen.items():
            if int(index) >= shape[axes.index(axis)]:
                raise BadFile(f"expected dataset= within {axis}: {shape[axes.index(axis)]}")
        numbers = np.arange(math.prod(shape)).reshape(shape)
        key = tuple(int(chosen[a]) if a in chosen else slice(None) for a in axes)
        return numbers[key].ravel().tolist()

    def _no_selection(self, select):
        if select:
            raise BadFile("expected dataset=None, the file states no axes to choose of")
        return None


def _stated_frames(tif, page):
    """How many frames the description states."""
    if tif.is_imagej:
        stated = (tif.imagej_metadata or {}).get("images", 1)
    else:
        shape = (tif.shaped_metadata or [{}])[0].get("shape", page.shape)
        stated = math.prod(shape) // max(math.prod(page.shape), 1)
    return stated if isinstance(stated, int) else 1


def _itself(pixels):
    return pixels


def _size(pixels):
    return [*pixels.shape, pixels.dtype.str]
