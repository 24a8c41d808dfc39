# SPDX-License-Identifier: GPL-3.0-or-later
"""The movies of the benchmark: simulated recordings whose motion is known.

They come from :mod:`stillscope.simulate` and are written as ``.npy`` files, so that every peer
reads the same pixels in its own environment. This module needs nothing but NumPy to read them, and
stillscope to write them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.template import TEMPLATE_FRAMES, best_template

_SEED = 1
_UINT16_SCALE = 16  # grey levels of a 12-bit camera to one of an 8-bit one


def write(folder: str, frames: int, height: int, width: int) -> dict:
    """Simulate a movie and write its pixels, its motion and a template.

    Parameters
    ----------
    folder : str
        Where the files go; files of an earlier call with as many frames are left as they are.
    frames, height, width : int
        Size of the movie.

    Returns
    -------
    dict
        ``frames``, as many as there are on disk; ``limit_px``, the largest displacement;
        ``template_frames``, of which the template is the mean.
    """
    path = Path(folder)
    done = path / "done"
    if not done.exists() or int(done.read_text()) < frames:
        done.unlink(missing_ok=True)
        path.mkdir(parents=True, exist_ok=True)
        _simulate(path, frames, height, width)
        done.write_text(str(frames))
    displacement = np.load(path / "displacement.npy")
    return {
        "frames": len(displacement),
        "limit_px": float(np.abs(displacement).max()),
        "template_frames": min(len(displacement), TEMPLATE_FRAMES),
    }


def _simulate(path: Path, frames: int, height: int, width: int) -> None:
    from stillscope.simulate import simulate_movie

    movie, displacement = simulate_movie(frames, height, width, _SEED, np.float32)
    np.save(path / "float32.npy", movie)
    np.save(path / "uint8.npy", convert(movie, "uint8"))
    np.save(path / "displacement.npy", displacement)
    np.save(path / "template.npy", best_template(movie, displacement))


def convert(movie: np.ndarray, dtype: str) -> np.ndarray:
    """The float32 movie as a camera or a pipeline would give it in another pixel type.

    Parameters
    ----------
    movie : ndarray of float32, shape (frame, height, width)
        In 8-bit grey levels.
    dtype : {"uint8", "uint16", "float32", "float64"}
        Integers are rounded and saturated; uint16 has the levels of a 12-bit camera.

    Returns
    -------
    ndarray
        Of the same shape.
    """
    if dtype.startswith("float"):
        return movie.astype(dtype)
    out = np.empty(movie.shape, dtype)
    scale = _UINT16_SCALE if dtype == "uint16" else 1
    for target, frame in zip(out, movie):
        target[:] = np.rint(frame * scale).clip(0, np.iinfo(dtype).max)
    return out


def read(folder: str, dtype: str, frames: int, scratch: str | None = None):
    """A movie of any length, and its motion.

    Beyond the frames on disk the movie runs back and forth over them, so that its motion goes on
    without a jump.

    Parameters
    ----------
    folder : str
        As given to :func:`write`.
    dtype : {"uint8", "float32"}
        The pixel type.
    frames : int
        Number of frames.
    scratch : str, optional
        A file to hold the movie, to be read back page by page, in place of memory.

    Returns
    -------
    movie : ndarray, shape (frame, height, width)
    displacement : ndarray, shape (frame, 2)
        Motion of the scene [px].
    """
    path = Path(folder)
    source = np.load(path / f"{dtype}.npy", mmap_mode="r")
    order = there_and_back(len(source), frames)
    shape = (frames, *source.shape[1:])
    if scratch is None:
        movie = np.empty(shape, source.dtype)
    else:
        movie = np.lib.format.open_memmap(scratch, "w+", source.dtype, shape)
    for target, k in zip(movie, order):
        target[:] = source[k]
    del source  # and with it the pages of the file
    return movie, np.load(path / "displacement.npy")[order]


def there_and_back(length: int, frames: int) -> np.ndarray:
    """Frame numbers 0, 1, ..., length - 1, length - 2, ..., 1, 0, 1, ...: as many as asked for."""
    period = max(1, 2 * (length - 1))
    step = np.arange(frames) % period
    return np.where(step < length, step, period - step)


def template(folder: str) -> np.ndarray:
    """The template that peers without one of their own are given: float32, (height, width)."""
    return np.load(Path(folder) / "template.npy").astype(np.float32)
