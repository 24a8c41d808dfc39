# SPDX-License-Identifier: GPL-3.0-or-later
"""TIFF and BigTIFF: one page a frame, uncompressed, so that every frame has its place."""

from __future__ import annotations

import os

import numpy as np

from ..durable import naming, sync_file, write_at
from ..extras import import_extra
from .specification import MovieSpec, MovieWriter

_LARGEST_PLAIN = (1 << 32) - (1 << 25)  # bytes of pixels; offsets of plain TIFF have 32 bits
_DTYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")


class TiffWriter(MovieWriter):
    """The file with all its pages is laid out at the beginning; runs fill in the pixels."""

    _descriptor = -1
    _offset = 0

    @staticmethod
    def check(spec: MovieSpec) -> None:
        import_extra("tifffile", "writing TIFF files")
        if spec.dtype.str[1:] not in _DTYPES:
            raise TypeError(f"destination: expected a movie that TIFF can hold, got {spec.dtype}")

    @staticmethod
    def disk_bytes(spec: MovieSpec) -> int:
        return spec.nbytes + 512 * spec.shape[0]  # and the pages' tags

    def begin(self) -> None:
        with naming(self.path, self.spec.nbytes):
            self._lay_out()
            sync_file(self.path)

    def _lay_out(self) -> None:
        """Writes all but the pixels."""
        tifffile = import_extra("tifffile", "writing TIFF files")
        spec = self.spec
        # A last axis of 1 would be taken for a pixel's samples.
        is_narrow = spec.shape[2] == 1
        shape = (spec.shape[0], 1, *spec.shape[1:]) if is_narrow else spec.shape
        about = {"axes": "TYX"}
        if spec.frame_rate:
            about["fps"] = float(spec.frame_rate)
            about["finterval"] = 1.0 / float(spec.frame_rate)
        resolution = {}
        if spec.pixel_size:
            height, width = spec.pixel_size
            about["PhysicalSizeY"], about["PhysicalSizeX"] = float(height), float(width)
            resolution = {"resolution": (1e4 / width, 1e4 / height), "resolutionunit": "CENTIMETER"}
        if is_narrow:
            about = None  # which would hold the shape with the axis of 1
        tifffile.imwrite(
            self.path, shape=shape, dtype=spec.dtype.newbyteorder("="), metadata=about,
            bigtiff=spec.nbytes + 512 * spec.shape[0] > _LARGEST_PLAIN, photometric="minisblack",
            software="stillscope", **resolution,
        )  # fmt: skip

    def _open(self) -> None:
        tifffile = import_extra("tifffile", "writing TIFF files")
        with tifffile.TiffFile(self.path) as file:
            self._offset = file.pages[0].dataoffsets[0]
        self._descriptor = os.open(self.path, os.O_WRONLY)

    def write(self, begin: int, frames: np.ndarray) -> None:
        if self._descriptor < 0:
            self._open()
        frames = frames.astype(self.spec.dtype.newbyteorder("="), copy=False)  # as laid out
        with naming(self.path, frames.nbytes):
            write_at(self._descriptor, frames, self._offset + begin * self.spec.frame_bytes)
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
