# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report says: flags, figures, and advice by case."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Flag(NamedTuple):
    """A flag of a frame in words."""

    meaning: str
    advice: str  # where many frames have it


FLAGS = {
    "black": Flag(
        "much darker than the frames round it",
        "Look at the light source and the cable: frames came without light.",
    ),
    "flash": Flag(
        "much brighter than the frames round it",
        "Look for a second light: a stimulus, the room, a reflection.",
    ),
    "torn": Flag(
        "a strip of it lies elsewhere, fits badly or shows little of the scene",
        "If these frames look whole, the brain turns or deforms suddenly and strips move by "
        "themselves. If they are torn, the sensor or its cable lost lines.",
    ),
    "non_finite": Flag(
        "more NaN or infinite pixels than the frames round it, or nothing else",
        "See where NaN comes from; a step before this one made it.",
    ),
    "duplicate": Flag(
        "the same bits as the frame before",
        "The camera or the recording program repeated frames where it had lost some: the time axis "
        "is not even there.",
    ),
    "low_confidence": Flag(
        "another place on the template suits it nearly as well",
        'The template has little structure finer than 8 px: try preset="miniscope" (one photon) '
        'or preset="2p"; else highpass=24, or highpass=0 for a scene without vignette.',
    ),
    "at_limit": Flag(
        "further away than max_shift allows",
        "If the brain does move that far, raise max_shift to a little more than it can move.",
    ),
    "not_converged": Flag(
        "the fit found no end; it has the first, rough shift",
        "Look at these frames: they may be blurred, turned or show little of the scene.",
    ),
    "given": Flag("named in bad_frames", ""),
}  # fmt: skip

_LEAST_SHARE = 0.02  # of the frames: from here on a flag is worth advice
_SMALL_VALID = 0.7  # of the frame
_LEFT_OVER = 0.5  # px: more than noise leaves in most recordings
_UNSURE = 0.25  # px


class Advice(NamedTuple):
    """Something to try."""

    what: str
    why: str


def advice_for(summary: Any) -> list[Advice]:
    """What to try, the most important first."""
    motion, items = summary.motion, []
    quality = motion.quality
    if quality is None:
        items.append(
            Advice(
                "Estimate with refine=3 (the default)",
                "With refine=0 nothing is known of single frames, and shifts are less exact.",
            )
        )
    elif summary.status != "helps":
        items.append(_where_it_does_not_help(summary))
    if quality is not None:
        items += _of_flags(quality)
    if summary.missing:
        items.append(
            Advice(
                "Mind the gaps in time",
                f"{count(len(summary.missing), 'frame')} of the recording could not be read. "
                "Frames are numbered as they were read, so times after a gap are too early.",
            )
        )
    items += _of_figures(summary)
    if not items:
        items.append(
            Advice(
                "Nothing: go on with the corrected movie",
                "Crop it to the valid area first, where all but a few frames have pixels.",
            )
        )
    return items


def _where_it_does_not_help(summary: Any) -> Advice:
    motion = summary.motion
    flagged = motion.quality.flagged
    if 2 * flagged.sum() > len(flagged):
        return Advice(
            "Look at the flagged frames first",
            "Most frames are flagged. Where they look fine, the estimate found too little to hold "
            "on to: see the flags below.",
        )
    if summary.is_still:
        return Advice(
            "Leave the movie as it is",
            "The content hardly moves. Moving frames by hundredths of a pixel smooths them, and "
            "gains nothing.",
        )
    if not summary.is_filtered:
        return Advice(
            'Leave the movie as it is, or try preset="miniscope"',
            "Something fixed to the sensor (dust, a scratch, stripes, a vignette) may be stronger "
            "than the scene, and holds the estimate. The preset takes it away for the estimate "
            "alone; region=np.s_[rows, columns] leaves it out.",
        )
    return Advice(
        "Leave the movie as it is, or look at a part of it",
        "The estimate looked at filtered frames already. region=np.s_[rows, columns] or mask= "
        "leaves out what does not move with the scene; stillscope.filter_movie shows what the "
        "estimate looks at.",
    )


def _of_flags(quality: Any) -> list[Advice]:
    items = []
    for name, flag in quality.flags.items():
        words = FLAGS.get(name)
        is_many = flag.sum() >= max(_LEAST_SHARE * len(flag), 1)
        if words is not None and words.advice and (is_many or (name == "at_limit" and flag.any())):
            share = f"{count(int(flag.sum()), 'frame')} of {len(flag):,} ({percent(flag.mean())})"
            items.append(Advice(f"{name}: {share}", words.advice))
    return items


def _of_figures(summary: Any) -> list[Advice]:
    items = []
    area = summary.valid_share
    if area is not None and 0 < area < _SMALL_VALID:
        items.append(
            Advice(
                f"The valid area is {percent(area)} of the frame",
                "The content moves far. If no frame of the recording does, jumps are wrong: set "
                "max_shift a little above what the brain can move.",
            )
        )
    residual = summary.residual
    if summary.status == "helps" and residual is not None:
        before, after = median(residual.before), median(residual.after)
        if after > _LEFT_OVER and after > 0.5 * before:
            items.append(
                Advice(
                    f"{after:.2f} px of motion are left",
                    "Shifts can't take out rotation or deformation, and noise counts as motion, "
                    "too. Look at the preview: does the scene still move?",
                )
            )
    quality = summary.motion.quality
    if quality is not None and median(quality.uncertainty[~quality.flagged]) > _UNSURE:
        items.append(
            Advice(
                "Shifts are uncertain",
                'The frames are dim or noisy. preset="2p" smooths them for the estimate.',
            )
        )
    return items


def median(values: np.ndarray) -> float:
    """The median of what is finite; NaN where nothing is."""
    values = np.asarray(values)[np.isfinite(values)]
    return float(np.median(values)) if values.size else float("nan")


def count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def percent(share: float) -> str:
    """A share as people say it: never 0 % where there is some."""
    if 0 < share < 0.001:
        return "<0.1 %"
    return f"{100 * share:.{0 if share >= 0.1 or share == 0 else 1}f} %"


def ranges(flag: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, np.asarray(flag, bool), False].astype(np.int8)))
    return [(int(first), int(end) - 1) for first, end in zip(edges[::2], edges[1::2])]


def indices_text(indices: Any, most: int = 40) -> str:
    """Rising indices as ``3, 7-12, ...``."""
    indices = np.asarray(indices, np.int64)
    if not indices.size:
        return ""
    steps = np.flatnonzero(np.diff(indices) > 1)
    firsts, lasts = indices[np.r_[0, steps + 1]], indices[np.r_[steps, len(indices) - 1]]
    runs = list(zip(firsts.tolist(), lasts.tolist()))
    text = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs[:most])
    rest = sum(b - a + 1 for a, b in runs[most:])
    return text + (f" and {rest:,} more" if rest else "")
