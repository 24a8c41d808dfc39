# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening recordings of any kind."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from .. import _check
from .decoded import DecodedPart
from .extras import require_extra
from .files import find_files, kind_of
from .hdf5_file import open_hdf5
from .npy_file import open_npy
from .parts import MissingFrame, RawPart
from .process import DEFAULT_TIMEOUT, DecoderDied, DecoderProcess, FileError
from .recording import Recording
from .zarr_file import open_zarr

__all__ = ["open_movie"]


def open_movie(
    source: Any,
    *,
    dataset: str | None = None,
    frame_rate: float | None = None,
    pixel_size: Any = None,
    check: bool = True,
    n_threads: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> Recording:
    """Open a recording, joined from all its files, without loading it.

    Parameters
    ----------
    source : path or sequence of paths
        Videos, TIFF, ``.npy``, HDF5 (``.h5``, ``.hdf5``, ``.nwb``, ``.mat``) files, zarr folders,
        or folders of which all movies are taken. Several are joined in natural order (msCam2
        before msCam10).
    dataset : str or None
        Which array of a zarr group or HDF5 file; of a TIFF hyperstack with several channels or
        planes, which one, such as ``"C0"`` or ``"C0,Z3"``. None: the only one.
    frame_rate : float or None
        Hz; None: as the first file states it.
    pixel_size : float, (height, width) or None
        Micrometres; None: as the first file states it.
    check : bool
        Decode videos and compressed TIFF files once to know which frames can be. With False they
        are counted, which is much faster; what can't be decoded then shows when it is read:
        ``blocks`` leaves it out, anything else raises OSError.
    n_threads : int or None
        Threads of the video decoder; None: as FFmpeg likes.
    timeout : float
        s. A file whose decoder gives no sign of life for so long is given up at that frame.

    Returns
    -------
    Recording

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    ImportError
        If the library for these files is not installed; the message names the extra.
    TypeError, ValueError
        If an argument is not as stated above; if a file can't be opened, holds no frame, or differs
        from the first one in size or type of the frames; if there is more than one movie in it.

    Warns
    -----
    UserWarning
        If something could not be decoded; ``missing`` of the recording lists it.

    Examples
    --------
    >>> recording = stillscope.open_movie("mouse1/")
    >>> motion = stillscope.estimate_motion(recording)
    """
    if dataset is not None and not isinstance(dataset, str):
        raise TypeError(f"dataset: expected a name or None, got {dataset!r}")
    if frame_rate is not None:
        frame_rate = _check.positive(frame_rate, "frame_rate")
    timeout = _check.positive(timeout, "timeout")
    if pixel_size is not None:
        pixel_size = _check.positive_pair(pixel_size, "pixel_size")
    check = _check.boolean(check, "check")
    if n_threads is not None:
        n_threads = _check.integer(n_threads, "n_threads", 1)
    kind, files = find_files(source)
    files = [file.absolute() for file in files]  # the working folder may change
    if dataset is not None and kind in ("video", "npy"):
        raise ValueError(f"dataset: expected None for {kind} files, got {dataset!r}")
    process = None
    if kind == "video":
        require_extra("av", "reading video files")
        process = DecoderProcess(n_threads, timeout)
    elif kind == "TIFF":
        require_extra("tifffile", "reading TIFF files")
        process = DecoderProcess(n_threads, timeout)
    parts = []
    try:
        for file in files:
            part = _open_file(kind, file, dataset, check, process)
            _refuse_odd(part, parts)
            parts.append(part)
    except BaseException:
        if process is not None:
            process.close()
        raise
    recording = Recording(
        parts,
        name=_name(source, files),
        frame_rate=frame_rate or parts[0].frame_rate,
        pixel_size=pixel_size or parts[0].pixel_size,
        process=process,
        dataset=dataset,
    )
    _warn_of(recording)
    return recording


def _open_file(kind, file, dataset, check, process):
    if kind == "zarr":
        return open_zarr(file, dataset)
    if kind == "HDF5":
        return open_hdf5(file, dataset)
    if kind == "npy":
        return open_npy(file)
    if kind == "TIFF":
        return _open_tiff(file, dataset, check, process)
    return DecodedPart(file, kind, process, check=check)


def _open_tiff(file, select, check, process):
    """Pixels that lie in the file as they are need no decoder."""
    question = {
        "do": "describe", "file": str(file.absolute()), "kind": "TIFF", "select": select,
        "careful": True, "skip": [],
    }  # fmt: skip
    try:
        with process.lock:
            ((head, body),) = process.ask(question, lambda head, size: None)
    except FileError as error:
        raise ValueError(f"{file}: {error}") from None
    except DecoderDied as death:
        raise ValueError(f"{file}: expected a TIFF file, can't open it ({death})") from None
    about, offsets = head["about"], np.frombuffer(body, np.int64)
    if (offsets < 0).any():
        return DecodedPart(file, "TIFF", process, check=check, select=select, about=about)
    missing = [MissingFrame(file, None, note) for note in about["notes"]]
    size = tuple(about["pixel_size"]) if about["pixel_size"] else None
    return RawPart(
        file, offsets, about["shape"], about["dtype"],
        frame_rate=about["frame_rate"], pixel_size=size, missing=missing,
    )  # fmt: skip


def _refuse_odd(part, before):
    if 0 in part.shape:
        raise ValueError(f"{part.file}: expected at least one frame with pixels, got {part.shape}")
    if part.dtype.kind not in "biuf" or part.dtype.itemsize > 8:
        raise ValueError(f"{part.file}: expected real numbers, got {part.dtype}")
    if before and (part.shape[1:], part.dtype) != (before[0].shape[1:], before[0].dtype):
        expected, given = (
            f"{p.shape[1]}x{p.shape[2]} {p.dtype}" for p in (before[0], part)
        )
        raise ValueError(
            f"{part.file}: expected frames of {expected} like those before, got {given}"
        )


def _warn_of(recording):
    missing = recording.missing
    if not missing:
        return
    first = missing[0]
    where = "" if first.frame is None else f"frame {first.frame}: "
    files = len({frame.file for frame in missing})
    warnings.warn(
        f"{recording.name}: {len(recording)} frames, {len(missing)} that are missing or damaged in "
        f"{files} file{'s' * (files > 1)} are left out; the first: {first.file}: "
        f"{where}{first.reason}",
        UserWarning,
        stacklevel=3,
    )


def _name(source, files):
    if isinstance(source, (str, os.PathLike)):
        path = Path(source).resolve()
        is_folder = path.is_dir() and kind_of(path) is None
        return path.name if is_folder else path.stem
    return files[0].stem if len(files) == 1 else files[0].resolve().parent.name
