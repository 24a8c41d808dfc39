# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of named arrays in zarr's format 2, by zarr 2 or zarr 3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from .extras import import_extra

_DIMS = "_ARRAY_DIMENSIONS"  # where xarray looks for the dims' names
_CHUNK_BYTES = 64 << 20  # of arrays that are written at once; Blosc takes less than 2 GB


def reproducibly(fill: Callable[..., None], *arguments: Any) -> None:
    """Calls what fills arrays, in a thread: in the main one Blosc compresses by several, whose order
    is in the bytes."""
    with ThreadPoolExecutor(1, "stillscope-zarr") as pool:
        pool.submit(fill, *arguments).result()


class ZarrGroup:
    """A group that is being made."""

    @staticmethod
    def require(purpose: str) -> Any:
        return import_extra("zarr", purpose)

    @classmethod
    def create(cls, path: Path, attributes: Mapping[str, Any]) -> ZarrGroup:
        zarr = cls.require("writing zarr")
        self = cls()
        self._is_new = int(zarr.__version__.split(".")[0]) >= 3
        version = {"zarr_format": 2} if self._is_new else {}
        self._group = zarr.open_group(str(path), mode="w", **version)
        self._group.attrs.update(dict(attributes))
        return self

    def add(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype,
        chunks: tuple[int, ...],
        dims: tuple[str, ...],
        attributes: Mapping[str, Any] | None = None,
    ) -> Any:
        """An array to be filled."""
        from numcodecs import Blosc

        # Quick; its bytes are the same again where `reproducibly` fills the array.
        codec = Blosc(cname="lz4", clevel=5, shuffle=Blosc.BITSHUFFLE)
        chunks = tuple(max(1, min(c, n)) for c, n in zip(chunks, shape))
        how: dict[str, Any] = {"shape": shape, "chunks": chunks, "dtype": dtype, "fill_value": None}
        if self._is_new:
            array = self._group.create_array(name, compressors=codec, **how)
        else:
            array = self._group.create_dataset(name, compressor=codec, **how)
        array.attrs.update({_DIMS: list(dims), **(attributes or {})})
        return array

    def write(
        self,
        name: str,
        values: np.ndarray,
        dims: tuple[str, ...],
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """An array that is in memory."""
        values = np.asarray(values)
        each = values.nbytes // len(values) if values.size else 1  # bytes of an item of the first dim
        chunks = (max(1, _CHUNK_BYTES // each), *values.shape[1:])
        array = self.add(name, values.shape, values.dtype, chunks, dims, attributes)
        reproducibly(array.__setitem__, ..., values)

    def finish(self) -> None:
        """Gathers the metadata in one file."""
        zarr = self.require("writing zarr")
        version = {"zarr_format": 2} if self._is_new else {}
        zarr.consolidate_metadata(self._group.store, **version)

    @staticmethod
    def open_array(path: Path, name: str) -> Any:
        """An array to be filled, opened again."""
        zarr = ZarrGroup.require("writing zarr")
        return zarr.open_group(str(path), mode="r+")[name]

    @staticmethod
    def read(path: Path) -> tuple[dict[str, Any], dict[str, tuple[tuple[str, ...], np.ndarray]]]:
        """Attributes of a group, and its arrays with their dims, in memory."""
        zarr = ZarrGroup.require("reading zarr")
        group = zarr.open_group(str(path), mode="r")
        arrays = {}
        for name, array in group.arrays():
            arrays[name] = tuple(array.attrs[_DIMS]), array[...]
        return dict(group.attrs), arrays
