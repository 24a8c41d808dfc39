# SPDX-License-Identifier: GPL-3.0-or-later
"""Read recordings as grey movies and write movies as lossless video (extra ``video``: PyAV)."""

from __future__ import annotations

import os
import re
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np

__all__ = ["find_videos", "read_movie", "write_movie"]

_SUFFIXES = frozenset(
    (".avi", ".m4v", ".mj2", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".webm", ".wmv")
)
_DEFAULT_RATE = 20.0  # [Hz], where a file states none
_GROW = 256  # frames by which the movie's buffer grows while a file is read
_LUMA = np.array([299, 587, 114], np.uint32)  # per mille of R, G, B (ITU-R BT.601)


def find_videos(paths) -> list[Path]:
    """List the video files of a recording in natural order (msCam2 before msCam10).

    Parameters
    ----------
    paths : path or sequence of paths
        Files, and folders of which all videos are taken (not those of their subfolders).

    Returns
    -------
    list of Path
        The files, sorted by their whole path with numbers compared as numbers.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    ValueError
        If there is no path, a folder holds no video, or a file is named twice.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    files = []
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        if path.is_dir():
            inside = [p for p in path.iterdir() if _is_video(p)]
            if not inside:
                raise ValueError(f"{path}: expected a folder with videos, found none")
            files += inside
        else:
            files.append(path)
    if not files:
        raise ValueError("paths: expected at least one recording, got none")
    files.sort(key=_natural)
    seen = set()
    for file in files:
        if file.resolve() in seen:
            raise ValueError(f"paths: {file} is named twice")
        seen.add(file.resolve())
    return files


def read_movie(paths) -> tuple[np.ndarray, float]:
    """Read a recording, joined from all its files, into memory.

    Grey video keeps its exact values; colour becomes its luma. Every frame that can be decoded is
    returned, whatever number the header states.

    Parameters
    ----------
    paths : path or sequence of paths
        Video files and folders of videos; see :func:`find_videos` for their order.

    Returns
    -------
    movie : ndarray, shape (frame, height, width)
        uint8, or uint16 where the video has more than 8 bits a sample.
    frame_rate : float
        Frames per second as stated by the first file [Hz], 20 where it states none.

    Raises
    ------
    ImportError
        If PyAV is not installed.
    FileNotFoundError
        If a path does not exist.
    ValueError
        If a file is not a video, holds no frame that can be decoded, or differs from the first one
        in frame size or pixel type.

    Warns
    -----
    UserWarning
        For each file of which frames are missing: the number that was read, the header's number
        where that is larger, and the number that could not be decoded.
    """
    av = _import_av()
    movie, count, frame_rate = None, 0, _DEFAULT_RATE
    for file in find_videos(paths):
        first = count
        with _open(av, file) as container:
            stream = container.streams.video[0]
            if first == 0 and stream.average_rate:
                frame_rate = float(stream.average_rate)
            skipped = 0
            for frame in _decode(av, container, stream):
                if frame is None:
                    skipped += 1
                    continue
                image = _grey(frame, file)
                if movie is None:
                    movie = np.empty((_GROW, *image.shape), image.dtype)
                if image.shape != movie.shape[1:] or image.dtype != movie.dtype:
                    raise ValueError(
                        f"{file}: expected frames of {_describe(movie[0])} like those before, "
                        f"got {_describe(image)} in frame {count - first}"
                    )
                if count == len(movie):
                    # In place, so that the movie is never in memory twice. Nothing else refers to
                    # the buffer: no view of it leaves this function before the last frame.
                    movie.resize((count + _GROW, *image.shape), refcheck=False)
                movie[count] = image
                count += 1
            _report(file, count - first, skipped, stream.frames)
    movie.resize((count, *movie.shape[1:]), refcheck=False)
    return movie, frame_rate


def write_movie(path, movie, frame_rate: float = _DEFAULT_RATE) -> None:
    """Write a movie as lossless grey FFV1 video in an AVI file; an existing file is replaced.

    Parameters
    ----------
    path : path
        The file, with the suffix ``.avi``, in a folder that exists.
    movie : ndarray of uint8 or uint16, shape (frame, height, width)
        At least one frame of at least 1x1.
    frame_rate : float
        Frames per second [Hz], above 0.

    Raises
    ------
    ImportError
        If PyAV is not installed.
    FileNotFoundError
        If the folder does not exist.
    TypeError
        If the movie is not an array of uint8 or uint16.
    ValueError
        If the movie's shape, the frame rate or the suffix is not as stated above.
    """
    path = Path(path)
    if path.suffix.lower() != ".avi":
        raise ValueError(f"path: expected the suffix .avi, got {path}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder")
    formats = {"uint8": "gray", "uint16": "gray16le"}
    if not isinstance(movie, np.ndarray) or movie.dtype.name not in formats:
        got = getattr(movie, "dtype", type(movie).__name__)
        raise TypeError(f"movie: expected an array of uint8 or uint16, got {got}")
    if movie.ndim != 3 or 0 in movie.shape:
        raise ValueError(f"movie: expected (frame, height, width), none 0, got {movie.shape}")
    if not 0 < frame_rate < float("inf"):
        raise ValueError(f"frame_rate: expected a number above 0, got {frame_rate}")

    av = _import_av()
    pixel_format, sample = formats[movie.dtype.name], movie.dtype.newbyteorder("<")
    with av.open(str(path), "w", format="avi") as container:
        # g=1: every frame stands alone, so damage to the file costs no more than it touches.
        # Level 3 codes a frame in slices, at once; there must be room for them.
        options = {"g": "1", "level": "3" if min(movie.shape[1:]) >= 16 else "1"}
        rate = Fraction(frame_rate).limit_denominator(10_000)
        stream = container.add_stream("ffv1", rate=rate, options=options)
        stream.height, stream.width = movie.shape[1:]
        stream.pix_fmt = pixel_format
        for k, image in enumerate(movie):
            image = np.ascontiguousarray(image, sample)
            frame = av.VideoFrame.from_ndarray(image, format=pixel_format)
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _import_av():
    try:
        import av
    except ImportError as error:
        raise ImportError('video files need PyAV: pip install "stillscope[video]"') from error
    return av


def _is_video(path):
    """Whether a folder's entry is a video (a name with a leading dot is the system's own)."""
    return path.suffix.lower() in _SUFFIXES and path.name[0] != "." and path.is_file()


def _natural(path):
    """Sort key: text and numbers in turn, numbers by value."""
    parts = re.split(r"([0-9]+)", str(path))
    return [int(p) if k % 2 else p.casefold() for k, p in enumerate(parts)], str(path)


def _open(av, file):
    """The opened container, checked to hold a video stream."""
    try:
        container = av.open(str(file))
    except av.FFmpegError as error:
        raise ValueError(
            f"{file}: expected a video file, can't open it ({error.strerror})"
        ) from error
    if not container.streams.video:
        container.close()
        raise ValueError(f"{file}: expected a video file, it holds no video stream")
    return container


def _decode(av, container, stream):
    """Yield the stream's frames, and None for each one that can't be decoded."""
    packets = container.demux(stream)  # the last packet is empty: the decoder gives up what it held
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # damaged from here on
            yield None
            return
        if packet is None:
            return
        # A file that was cut off ends inside a frame. An empty packet within the stream is a frame
        # dropped while recording; the decoder would take it for the end.
        if packet.is_corrupt or (packet.size == 0 and packet.dts is not None):
            yield None
            continue
        try:
            yield from packet.decode()
        except av.FFmpegError:
            yield None


def _grey(frame, file):
    """The frame's brightness: (height, width), uint8 or uint16."""
    bits = max(component.bits for component in frame.format.components)
    if bits > 16:
        raise ValueError(f"{file}: expected at most 16 bits a sample, got {frame.format.name}")
    if frame.format.is_rgb or frame.format.has_palette:
        # Not left to FFmpeg, whose way from RGB to grey is not exact where R = G = B.
        rgb = frame.to_ndarray(format="rgb24" if bits <= 8 else "rgb48le")
        return ((rgb @ _LUMA + 500) // 1000).astype(rgb.dtype)
    return frame.to_ndarray(format="gray" if bits <= 8 else f"gray{bits}le")


def _describe(image):
    return f"{image.shape[0]}x{image.shape[1]} {image.dtype}"


def _report(file, count, skipped, stated):
    """Warn of missing frames; raise where there is none at all."""
    if count == 0:
        raise ValueError(f"{file}: expected at least one frame that can be decoded, got 0")
    if skipped or stated > count:
        header = f" (the header states {stated})" if stated > count else ""
        warnings.warn(
            f"{file}: {count} frames read{header}, {skipped} could not be decoded, left out",
            UserWarning,
            stacklevel=3,
        )
