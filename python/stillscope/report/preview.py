# SPDX-License-Identifier: GPL-3.0-or-later
"""Before and after, side by side, as a small video (extra ``video``: PyAV)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from .. import _check
from .._source import FrameSource
from ..io.durable import checked_path, replacing
from ..io.extras import import_extra
from ..movie import apply_motion
from ..result import MotionEstimate
from .applied import applying_options
from .facts import flagged_frames, used_frames

_RATE = 20.0  # Hz, where none is given
_RUN_BYTES = 32 << 20  # of frames that are read at once
_CONTRAST = (0.5, 99.8)  # percentiles that become black and white
_LOOKED_AT = 24  # frames of which the contrast is found
_GAP = 4  # px between the two
_LABEL = 22  # px: height of the line of text
_MOST_WIDTH = 1600  # px of the picture: larger frames are binned


def write_preview(
    path: str | os.PathLike,
    source: Any,
    corrected: Any,
    motion: MotionEstimate,
    *,
    frame_rate: float | None = None,
    most_frames: int = 1200,
    labels: bool | None = None,
    applying: Mapping[str, Any] | None = None,
    n_threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write before and after, side by side, as an MP4 (H.264, or MPEG-4 where there is none).

    Both sides have the same grey levels. Longer movies are sampled evenly and so run faster. The
    file appears as a whole or not at all.

    Parameters
    ----------
    path : path
        With the suffix ``.mp4``, in a folder that exists.
    source : array_like
        ``(frame, height, width)``, any real dtype. It is only read, a few frames at a time.
    corrected : array_like or None
        The same, corrected; None: made from ``source`` as it is read.
    motion : MotionEstimate
    frame_rate : float or None
        Frames per second of the video; None: 20.
    most_frames : int
        Length of the video at most.
    labels : bool or None
        A line of text above: before, after, and the number of the frame with its flags. It needs
        Matplotlib; None: where that is there.
    applying : mapping or None
        How frames are moved where ``corrected`` is None; as in `summarise`.
    n_threads : int or None
        As in `estimate_motion`.
    progress : callable or None
        Called with the number of frames written and the number of all.

    Returns
    -------
    int
        Number of frames of the video.

    Raises
    ------
    ImportError
        Where PyAV is missing, or Matplotlib with ``labels=True``.
    FileNotFoundError
        Where the folder does not exist.
    TypeError, ValueError
        Where an argument has the wrong type, shapes do not agree, or a number is out of range.
    """
    av = import_extra("av", "the preview")
    path = checked_path(path, ".mp4")
    before = FrameSource(source, "source")
    after = None if corrected is None else FrameSource(corrected, "corrected")
    if after is not None and after.shape != before.shape:
        raise ValueError(f"corrected: expected shape {before.shape}, got {after.shape}")
    _check.of_type(motion, "motion", MotionEstimate)
    _check.shift_rows(motion.shifts, "motion", len(before))
    frame_rate = _RATE if frame_rate is None else _check.positive(frame_rate, "frame_rate")
    step = -(-len(before) // _check.integer(most_frames, "most_frames", 1))
    shown = range(0, len(before), step)
    applying = applying_options(applying, before.dtype)
    n_threads = _check.threads(n_threads)
    writer_of_labels = _labels(labels, motion)

    height, width = before.shape[1:]
    bins = max(1, -(-2 * width // _MOST_WIDTH))
    limits = _contrast(before, motion)
    how = {"format": "mp4", "options": {"movflags": "faststart"}}
    with replacing(path) as temporary, av.open(str(temporary), "w", **how) as container:
        stream = None
        pairs = _pairs(before, after, motion, shown, {**applying, "n_threads": n_threads})
        for k, (one, two) in enumerate(pairs):
            picture = _side_by_side(_grey(one, limits, bins), _grey(two, limits, bins))
            if writer_of_labels is not None:
                picture = writer_of_labels.above(picture, shown[k])
            picture = _even(picture)
            if stream is None:
                stream = _add_stream(av, container, frame_rate, picture.shape, n_threads)
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            frame.pts = k
            container.mux(stream.encode(frame))
            if progress is not None:
                progress(k + 1, len(shown))
        container.mux(stream.encode())
    return len(shown)


def _add_stream(
    av: Any, container: Any, frame_rate: float, shape: tuple[int, int], n_threads: int | None
) -> Any:
    rate = Fraction(frame_rate).limit_denominator(10_000)
    try:
        # Everybody's player takes this; FFmpeg may have been built without it.
        stream = container.add_stream(
            "libx264", rate=rate, options={"crf": "26", "preset": "veryfast"}
        )
    except (av.FFmpegError, ValueError):
        stream = container.add_stream("mpeg4", rate=rate, options={"qscale": "6"})
    stream.height, stream.width = shape
    stream.pix_fmt = "yuv420p"
    if n_threads is not None:
        stream.codec_context.thread_count = n_threads
    return stream


def _pairs(before: FrameSource, after: FrameSource | None, motion: MotionEstimate, shown: range,
           how: dict[str, Any]) -> Any:  # fmt: skip
    """Frames before and after, one after the other."""
    height, width = before.shape[1:]
    most = max(1, _RUN_BYTES // (height * width * before.kernel_dtype.itemsize))
    each = max(1, most // shown.step)  # shown frames in a run of frames that are read
    for first in range(0, len(shown), each):
        part = shown[first : first + each]
        run = slice(part[0], part[-1] + 1)
        one = before.read_as_is(run.start, run.stop)[:: shown.step]
        if after is None:
            moved = motion.of_frames(slice(run.start, run.stop, shown.step))
            two = apply_motion(one, moved, **how)
        else:
            two = after.read_as_is(run.start, run.stop)[:: shown.step]
        yield from zip(one, two)


def _contrast(source: FrameSource, motion: MotionEstimate) -> tuple[float, float]:
    """Grey levels that become black and white, of frames that are worth showing."""
    frames = np.flatnonzero(used_frames(motion))
    frames = frames if frames.size else np.arange(len(source))
    at = np.unique(np.linspace(0, len(frames) - 1, _LOOKED_AT).round().astype(int))
    # Some pixels of each tell as much as all.
    stride = max(1, int(np.sqrt(source.shape[1] * source.shape[2] / 40_000)))
    values = []
    for k in frames[at]:
        pixels = source.read(int(k), int(k) + 1)[0, ::stride, ::stride].astype(np.float64)
        values.append(pixels[np.isfinite(pixels)])
    known = np.concatenate(values)
    if not known.size:
        return 0.0, 1.0
    low, high = np.percentile(known, _CONTRAST)
    # 1 is nothing beside the largest numbers.
    return float(low), float(max(high, low + 1, np.nextafter(low, np.inf)))


def _grey(frame: np.ndarray, limits: tuple[float, float], bins: int) -> np.ndarray:
    """uint8; what is not finite is black."""
    low, high = limits
    values = frame.astype(np.float64)
    values[~np.isfinite(values)] = low
    if bins > 1:
        height, width = (n // bins * bins for n in values.shape)
        values = values[:height, :width].reshape(height // bins, bins, width // bins, bins)
        values = values.mean(axis=(1, 3))
    return np.clip((values - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)


def _side_by_side(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    gap = np.full((one.shape[0], _GAP), 255, np.uint8)
    return np.concatenate([one, gap, two], axis=1)


def _even(picture: np.ndarray) -> np.ndarray:
    """yuv420p has one colour for two pixels on each axis."""
    odd = tuple((0, n % 2) for n in picture.shape)
    return np.ascontiguousarray(np.pad(picture, odd, mode="edge"))


def _labels(wanted: bool | None, motion: MotionEstimate) -> _Labels | None:
    if wanted is False:
        return None
    try:
        return _Labels(motion)
    except ImportError:
        if wanted:
            raise
        return None


class _Labels:
    """A line of text above the picture, white on black."""

    _FIRST, _LAST = " ", "~"  # of the characters
    _WIDTH = 8  # px of a character
    _EM = 0.602  # its width over the size of the font, DejaVu Sans Mono

    def __init__(self, motion: MotionEstimate) -> None:
        self._flags = {} if motion.quality is None else motion.quality.flags
        self._flagged = flagged_frames(motion)
        self._characters = self._draw_characters()

    def _draw_characters(self) -> np.ndarray:
        """All characters side by side: drawn once, since to draw a text takes 15 ms."""
        from .drawing import import_matplotlib

        figure_type, canvas_type = import_matplotlib()
        characters = [chr(k) for k in range(ord(self._FIRST), ord(self._LAST) + 1)]
        width = len(characters) * self._WIDTH
        # 72 dots an inch: a point is a pixel.
        figure = figure_type(figsize=(width / 72, _LABEL / 72), dpi=72, facecolor="black")
        canvas = canvas_type(figure)
        style = {"fontsize": self._WIDTH / self._EM, "fontfamily": "DejaVu Sans Mono"}
        for k, character in enumerate(characters):
            figure.text(
                k / len(characters), 0.28, character, color="white", parse_math=False, **style
            )
        canvas.draw()
        return np.array(np.asarray(canvas.buffer_rgba())[:_LABEL, :width, 0])

    def above(self, picture: np.ndarray, frame: int) -> np.ndarray:
        text = f"before  frame {frame}"
        if self._flagged[frame]:
            names = (name.replace("_", " ") for name, flag in self._flags.items() if flag[frame])
            text += f"  {', '.join(names)}"
        line = np.zeros((_LABEL, picture.shape[1]), np.uint8)
        half = (picture.shape[1] - _GAP) // 2
        self._write(line[:, :half], text)
        self._write(line[:, half + _GAP :], "after")
        return np.concatenate([line, picture])

    def _write(self, line: np.ndarray, text: str) -> None:
        """As much of the text as there is room for."""
        for k, character in enumerate(text):
            left = (k + 1) * self._WIDTH
            at = (ord(character) - ord(self._FIRST)) * self._WIDTH
            if left + self._WIDTH > line.shape[1]:
                return
            line[:, left : left + self._WIDTH] = self._characters[:, at : at + self._WIDTH]
