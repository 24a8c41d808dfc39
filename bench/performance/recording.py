# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording in files, as a miniscope leaves it: the simulated movie as lossless grey AVI files.

The files go on where the one before ended; beyond the simulated frames the movie runs back and
forth over them. Nothing but NumPy and PyAV is needed.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from .movie import there_and_back

_RATE_HZ = 20
# Every frame stands alone, in slices with checksums.
_CODER = {"g": "1", "level": "3", "slices": "4"}


def paths(movie_folder: str, file_frames: int, files: int) -> list[Path]:
    """The first so many files of the recording, in order.

    Parameters
    ----------
    movie_folder : str
        Of the simulated movie, as given to :func:`performance.movie.write`.
    file_frames : int
        Frames of a file.
    files : int
        How many.

    Returns
    -------
    list of Path
        Whether they are there or not.
    """
    length = len(_pixels(movie_folder))
    folder = Path(movie_folder) / f"avi-{length}-{file_frames}"  # what the frames depend on
    return [folder / f"msCam{k + 1}.avi" for k in range(files)]


def write(movie_folder: str, file_frames: int, files: int) -> dict:
    """Write those files that are not there yet.

    Parameters
    ----------
    movie_folder, file_frames, files
        As of :func:`paths`.

    Returns
    -------
    dict
        ``bytes``: of all files; ``written``: how many were made.
    """
    pixels = _pixels(movie_folder)
    order = there_and_back(len(pixels), file_frames * files)
    wanted = paths(movie_folder, file_frames, files)
    written = 0
    for k, path in enumerate(wanted):
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            _encode(path, pixels, order[k * file_frames : (k + 1) * file_frames])
            written += 1
    return {"bytes": sum(path.stat().st_size for path in wanted), "written": written}


def frames(movie_folder: str, numbers: np.ndarray) -> np.ndarray:
    """Frames of the recording by their numbers, from the movie of which it was made."""
    pixels = _pixels(movie_folder)
    return pixels[there_and_back(len(pixels), int(numbers.max()) + 1)[numbers]]


def displacement(movie_folder: str, count: int) -> np.ndarray:
    """Motion of the scene [px] in the first so many frames: (frame, 2)."""
    known = np.load(Path(movie_folder) / "displacement.npy")
    return known[there_and_back(len(known), count)]


def _pixels(movie_folder: str) -> np.ndarray:
    return np.load(Path(movie_folder) / "uint8.npy", mmap_mode="r")


def _encode(path: Path, pixels: np.ndarray, order: np.ndarray) -> None:
    """One file, which has its name once it is whole."""
    import av

    part = path.with_suffix(".part")
    with av.open(str(part), "w", format="avi") as container:
        stream = container.add_stream("ffv1", rate=_RATE_HZ, options=_CODER)
        stream.height, stream.width = pixels.shape[1:]
        stream.pix_fmt = "gray"
        stream.thread_count = len(os.sched_getaffinity(0))
        for k in order:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[k]), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    os.replace(part, path)
