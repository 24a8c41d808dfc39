# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames to look at first, and small pictures of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..movie import apply_motion
from ..residual import seen_by, template_of
from .words import FLAGS

_MOST = 8
_MANY_FLAGS = 4  # from here on, one frame of each
_MOST_UNFLAGGED = 4
_THUMBNAIL = 240  # px: longer side at most


@dataclass(frozen=True, eq=False)
class WorstFrame:
    """A frame that is worth a look.

    Attributes
    ----------
    frame : int
        Its index, from 0.
    flags : tuple of str
    reason : str
        Why it is shown, in words.
    before, after : numpy.ndarray
        float32 ``(height, width)``, binned: as it is, and moved (NaN outside).
    difference : numpy.ndarray
        float32 ``(height, width)``, binned: the moved frame, as the estimate looked at it, less the
        template in the frame's brightness and contrast. NaN where one of the two is not.
    """

    frame: int
    flags: tuple[str, ...]
    reason: str
    before: np.ndarray
    after: np.ndarray
    difference: np.ndarray


def choose(motion: Any) -> dict[int, str]:
    """Indices of the worst frames and why they are, the most telling first.

    One or two of every flag, then those that are least like the template; without quality, those
    that move furthest.
    """
    quality = motion.quality
    if quality is None:
        return _furthest(motion.shifts)
    chosen: dict[int, str] = {}
    likeness = np.where(np.isfinite(quality.similarity), quality.similarity, -np.inf)
    present = [name for name in FLAGS if name in quality.flags and quality.flags[name].any()]
    present += [name for name in quality.flags if name not in FLAGS and quality.flags[name].any()]
    for name in present:
        frames = np.flatnonzero(quality.flags[name])
        frames = [int(k) for k in frames[np.argsort(likeness[frames], kind="stable")]]
        fresh = [k for k in frames if k not in chosen]
        for k in fresh[: 1 if len(present) >= _MANY_FLAGS else 2]:
            if len(chosen) < _MOST:
                chosen[k] = _reason(motion, k)
    good = np.flatnonzero(~quality.flagged)
    good = good[np.argsort(likeness[good], kind="stable")]
    for k in _apart(good, len(likeness), min(_MOST_UNFLAGGED, _MOST - len(chosen))):
        chosen[k] = _reason(motion, k)
    return chosen


def _apart(order: np.ndarray, frames: int, most: int) -> list[int]:
    """The first of these frames, without near neighbours: those look alike."""
    least = max(frames // 50, 1)
    taken: list[int] = []
    # Beyond the first thousand, what is left is no longer bad.
    for k in order[:1000].tolist():
        if len(taken) == most:
            break
        if all(abs(k - other) >= least for other in taken):
            taken.append(k)
    return taken


def _furthest(shifts: np.ndarray) -> dict[int, str]:
    finite = np.flatnonzero(np.isfinite(shifts).all(axis=1))
    lost = np.flatnonzero(~np.isfinite(shifts).all(axis=1))[:2]
    chosen = {int(k): "It has no finite pixel, and so no shift." for k in lost}
    if len(finite):
        far = np.linalg.norm(shifts[finite] - np.median(shifts[finite], axis=0), axis=1)
        order = np.argsort(-far, kind="stable")[:_MOST_UNFLAGGED]
        chosen |= {
            int(finite[k]): f"It lies furthest from the median: {far[k]:.2f} px." for k in order
        }
    return chosen


def _reason(motion: Any, k: int) -> str:
    quality = motion.quality
    flags = [name for name, flag in quality.flags.items() if flag[k]]
    words = [f"{name}: {FLAGS[name].meaning}" if name in FLAGS else name for name in flags]
    if not flags:
        words = ["no flag, but one of the least similar to the template"]
    text = "; ".join(words)
    text = f"{text[0].upper()}{text[1:]}. Similarity {quality.similarity_before[k]:.3f} before, "
    text += f"{quality.similarity[k]:.3f} after."
    return text + " Its shift lies between its neighbours'." if quality.interpolated[k] else text


def look_at(motion: Any, k: int, frame: np.ndarray, moved: np.ndarray, interpolation: str,
            why: str, n_threads: int | None) -> WorstFrame:  # fmt: skip
    """Small pictures of frame ``k``, which is ``moved`` with that ``interpolation``."""
    shift = motion.of_frames(slice(k, k + 1))
    inside = _moved(frame[np.newaxis], shift, n_threads, interpolation)[0]
    # What was written, but for what lies outside.
    after = np.where(np.isnan(inside), np.nan, moved.astype(np.float32))
    seen = seen_by(motion, frame[np.newaxis], n_threads)
    seen = np.asarray(seen[0:1])
    template = template_of(motion)
    difference = _less_template(_moved(seen, shift, n_threads)[0], template)
    names = () if motion.quality is None else motion.quality.flags.items()
    return WorstFrame(
        frame=k,
        flags=tuple(name for name, flag in names if flag[k]),
        reason=why,
        before=thumbnail(frame),
        after=thumbnail(after),
        difference=thumbnail(difference),
    )


def _moved(
    stack: np.ndarray, shift: Any, n_threads: int | None, interpolation: str = "linear"
) -> np.ndarray:
    values = stack.astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    return apply_motion(
        values, shift, border="nan", interpolation=interpolation, n_threads=n_threads
    )


def _less_template(frame: np.ndarray, template: np.ndarray) -> np.ndarray:
    """What the frame has that the template has not, in the frame's units."""
    both = np.isfinite(frame) & np.isfinite(template)
    difference = np.full(frame.shape, np.nan, np.float32)
    if not both.any():
        return difference
    values, expected = frame[both].astype(np.float64), template[both].astype(np.float64)
    expected -= expected.mean()
    energy = expected @ expected
    gain = max(expected @ (values - values.mean()) / energy, 0.0) if energy > 0 else 0.0
    difference[both] = values - values.mean() - gain * expected
    return difference


def thumbnail(image: np.ndarray) -> np.ndarray:
    """An image binned by a whole number to at most 240 px; NaN where a bin holds nothing finite."""
    bins = -(-max(image.shape) // _THUMBNAIL)
    image = image.astype(np.float32)
    if bins == 1:
        return np.where(np.isfinite(image), image, np.nan)
    height, width = (-(-n // bins) for n in image.shape)
    padded = np.full((height * bins, width * bins), np.nan, np.float32)
    padded[: image.shape[0], : image.shape[1]] = image
    padded = padded.reshape(height, bins, width, bins)
    finite = np.isfinite(padded)
    count = finite.sum(axis=(1, 3))
    total = np.where(finite, padded, 0).sum(axis=(1, 3), dtype=np.float64)
    mean = np.full((height, width), np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.astype(np.float32)
