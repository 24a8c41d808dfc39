# SPDX-License-Identifier: GPL-3.0-or-later
"""zarr (format 2), which xarray and minian open: the movie, and coordinates of its dims."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..durable import naming, read_json, remove, sync_file, sync_tree, write_at, write_json
from ..zarr_group import ZarrGroup, reproducibly
from .specification import MovieSpec, MovieWriter

_DIMS = ("frame", "height", "width")
_TILE_BYTES = 64 << 20  # of a chunk that holds all frames of some pixels
_BAND_BYTES = 256 << 20  # of the rows of which such chunks are made, whole


def pixel_chunks(shape: tuple[int, int, int], itemsize: int) -> tuple[int, int, int]:
    """Chunks with all frames: few rows, of which many columns."""
    frames, height, width = shape
    rows = int(np.clip(_BAND_BYTES // max(frames * width * itemsize, 1), 1, height))
    columns = int(np.clip(_TILE_BYTES // max(frames * rows * itemsize, 1), 1, width))
    return frames, rows, columns


class ZarrWriter(MovieWriter):
    """Chunks of some frames; a run fills whole chunks."""

    _array = None

    @staticmethod
    def check(spec: MovieSpec) -> None:
        ZarrGroup.require("writing zarr")

    @staticmethod
    def run_of(spec: MovieSpec) -> int:
        return spec.chunks[0] if spec.chunks else spec.default_run()

    @property
    def _chunks(self) -> tuple[int, int, int]:
        return self.spec.chunks or (self.run, *self.spec.shape[1:])

    def begin(self) -> None:
        spec = self.spec
        with naming(self.path, spec.nbytes):
            _make_group(self.path, spec, self._chunks)

    def write(self, begin: int, frames: np.ndarray) -> None:
        if self._array is None:
            self._array = ZarrGroup.open_array(self.path, self.spec.variable)
        with naming(self.path / self.spec.variable, frames.nbytes):
            reproducibly(self._fill, begin, frames)
            for file in self._files(begin):
                sync_file(file)
            sync_file(self.path / self.spec.variable)

    def _fill(self, begin: int, frames: np.ndarray) -> None:
        self._array[begin : begin + len(frames)] = frames

    def _files(self, begin: int) -> list[Path]:
        """Of the run's chunks."""
        grid = [range(-(-n // c)) for n, c in zip(self.spec.shape[1:], self._chunks[1:])]
        folder, index = self.path / self.spec.variable, begin // self._chunks[0]
        return [folder / f"{index}.{y}.{x}" for y in grid[0] for x in grid[1]]

    def finish(self, memory: int) -> None:
        # What a writer that was killed has left.
        for file in (self.path / self.spec.variable).iterdir():
            if not file.name.startswith(".z") and file.name.strip("0123456789."):
                file.unlink()


class PixelZarrWriter(MovieWriter):
    """Chunks of all frames of some pixels: runs go to a plain file first, which is then turned."""

    _descriptor = -1

    @staticmethod
    def check(spec: MovieSpec) -> None:
        ZarrGroup.require("writing zarr")

    @staticmethod
    def disk_bytes(spec: MovieSpec) -> int:
        return 2 * spec.nbytes

    @property
    def _raw(self) -> Path:
        return self.path.with_name(self.path.name + ".raw")

    @property
    def _turned(self) -> Path:
        return self.path.with_name(self.path.name + ".turned")

    def begin(self) -> None:
        with naming(self._raw, self.spec.nbytes):
            with open(self._raw, "wb") as file:
                file.truncate(self.spec.nbytes)
            remove(self._turned)

    def write(self, begin: int, frames: np.ndarray) -> None:
        if self._descriptor < 0:
            self._descriptor = os.open(self._raw, os.O_WRONLY)
        with naming(self._raw, frames.nbytes):
            write_at(self._descriptor, frames, begin * self.spec.frame_bytes)
            os.fdatasync(self._descriptor)

    def finish(self, memory: int) -> None:
        self.close()
        if not self._raw.exists():
            return
        spec, folder = self.spec, self.path / self.spec.variable
        with naming(self.path, spec.nbytes):
            bands = list(self._bands(memory))
            wide = bands[0][1].stop
            noted = read_json(self._turned)
            # Bands of another width, as of another budget, are other bands.
            done = noted["done"] if noted and noted["wide"] == wide else 0
            if noted is None:
                _make_group(self.path, spec, spec.chunks)
            array = ZarrGroup.open_array(self.path, spec.variable)
            for index, (rows, columns) in enumerate(bands):
                if index < done:
                    continue
                reproducibly(self._turn, array, rows, columns)
                sync_tree(folder)
                write_json(self._turned, {"wide": wide, "done": index + 1})
            ZarrWriter.finish(self, memory)
        remove(self._raw)
        remove(self._turned)

    def _bands(self, memory: int):
        """Parts of the frame that are turned together: whole chunks, in memory at once."""
        _, height, width = self.spec.shape
        frames, rows, columns = self.spec.chunks
        per_chunk = frames * rows * columns * self.spec.dtype.itemsize
        wide = int(np.clip(memory // 2 // per_chunk, 1, -(-width // columns))) * columns
        for y in range(0, height, rows):
            for x in range(0, width, wide):
                yield slice(y, min(y + rows, height)), slice(x, min(x + wide, width))

    def _turn(self, array, rows: slice, columns: slice) -> None:
        frames, height, width = self.spec.shape
        # Through the page cache, which does not count as the process's.
        with open(self._raw, "rb") as file:
            band = np.empty((rows.stop - rows.start, width), self.spec.dtype)
            pixels = np.empty(
                (frames, rows.stop - rows.start, columns.stop - columns.start), self.spec.dtype
            )
            for k in range(frames):
                file.seek(k * self.spec.frame_bytes + rows.start * band.strides[0])
                if file.readinto(memoryview(band).cast("B")) != band.nbytes:
                    raise OSError(f"{self._raw}: expected {self.spec.nbytes} bytes, got fewer")
                pixels[k] = band[:, columns]
        array[:, rows, columns] = pixels

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _make_group(path: Path, spec: MovieSpec, chunks: tuple[int, int, int]) -> None:
    """All but the movie's pixels."""
    remove(path)
    attributes = {}
    if spec.frame_rate:
        attributes["frame_rate"] = float(spec.frame_rate)
    if spec.pixel_size:
        attributes["pixel_size"] = [float(side) for side in spec.pixel_size]
    group = ZarrGroup.create(path, attributes)
    group.add(spec.variable, spec.shape, spec.dtype, chunks, _DIMS)
    for dim, size in zip(_DIMS, spec.shape):
        group.write(dim, np.arange(size), (dim,))
    group.finish()
    sync_tree(path)
