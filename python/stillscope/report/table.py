# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of figures."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .facts import displacement_of, flagged_frames, used_frames, valid_area
from .words import count, median, percent


class Figure(NamedTuple):
    """A row of the table: texts, and what they mean."""

    name: str
    before: str
    after: str
    meaning: str


def figures_of(
    motion: Any,
    size: tuple[int, int] | None,
    crispness: tuple[float, float] | None,
    residual: Any = None,
) -> list[Figure]:
    """The table's rows; those that are not known are left out. ``size`` of the movie's frames."""
    quality, flagged = motion.quality, flagged_frames(motion)
    rows = []
    if crispness is not None:
        rows.append(
            Figure(
                "Crispness of the mean image", *map(_short, crispness),
                "Mean slope of the mean image. It rises where frames come to lie on each other.",
            )
        )  # fmt: skip
    if quality is not None:
        rows.append(
            Figure(
                "Similarity, mean", _number(_mean(quality.similarity_before[~flagged]), 4),
                _number(_mean(quality.similarity[~flagged]), 4),
                "Correlation of a frame with the mean image: 1 is the same picture. Noise and "
                "active cells keep it below 1.",
            )
        )  # fmt: skip
    if residual is not None:
        rows.append(
            Figure(
                "Motion by optical flow, median [px]", _number(median(residual.before)),
                _number(median(residual.after)),
                "How far the content lies from the template, measured in another way. Noise counts "
                "as motion: compare a recording with itself alone.",
            )
        )  # fmt: skip
    far = displacement_of(motion)[used_frames(motion)]
    rows.append(
        Figure(
            "Displacement, root mean square [px]", _number(_rms(far)), "",
            "How far frames lay from their median place.",
        )
    )  # fmt: skip
    rows.append(
        Figure(
            "Displacement, largest [px]", _number(_largest(far)), "",
            "Much more than the brain can move? Then set max_shift.",
        )
    )  # fmt: skip
    if quality is not None:
        rows.append(
            Figure(
                "Uncertainty of a shift, median [px]", "",
                _number(median(quality.uncertainty[~flagged]), 3),
                "Standard error that noise makes likely. It knows nothing of rotation or focus.",
            )
        )  # fmt: skip
        rows.append(
            Figure(
                "Flagged frames", f"{flagged.sum():,}", "",
                f"{percent(flagged.mean())} of {count(len(flagged), 'frame')}. They shape no "
                "template; most take a shift between their neighbours'.",
            )
        )  # fmt: skip
        rows.append(_valid_row(motion, size))
    return rows


def _valid_row(motion: Any, size: tuple[int, int] | None) -> Figure:
    valid, meaning = valid_area(motion), "Where at least 95 % of the frames have pixels."
    before = "" if size is None else f"{size[0]}x{size[1]}"
    if valid is None:
        return Figure("Valid area [px]", before, "none", meaning)
    rows, columns = valid
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if size is not None:
        share = percent(height * width / (size[0] * size[1]))
        meaning = f"{share} of the frame, where at least 95 % of the frames have pixels."
    meaning += (
        f" Rows {rows.start} to {rows.stop - 1}, columns {columns.start} to {columns.stop - 1}."
    )
    return Figure("Valid area [px]", before, f"{height}x{width}", meaning)


def plain_figures(summary: Any) -> dict[str, Any]:
    """The same as numbers."""
    quality, good = summary.motion.quality, ~summary.flagged
    far, residual, valid = summary.displacement[summary.used], summary.residual, summary.valid
    result: dict[str, Any] = {
        "status": summary.status,
        "verdict": summary.verdict,
        "frames": summary.shape[0],
        "height": summary.shape[1],
        "width": summary.shape[2],
        "dtype": str(summary.dtype),
        "crispness_before": _plain(summary.crispness[0]),
        "crispness_after": _plain(summary.crispness[1]),
        "displacement_rms_px": _plain(_rms(far)),
        "displacement_max_px": _plain(_largest(far)),
        "flagged": int(summary.flagged.sum()),
        "flags": summary.flag_counts,
        "missing": len(summary.missing),
        "valid": None if valid is None else [[part.start, part.stop] for part in valid],
    }
    if quality is not None:
        result |= {
            "similarity_before": _plain(_mean(quality.similarity_before[good])),
            "similarity_after": _plain(_mean(quality.similarity[good])),
            "uncertainty_median_px": _plain(median(quality.uncertainty[good])),
        }
    if residual is not None:
        result |= {
            "residual_before_median_px": _plain(median(residual.before)),
            "residual_after_median_px": _plain(median(residual.after)),
        }
    return result


class Tile(NamedTuple):
    """A figure that stands at the top of the page."""

    label: str
    first: str
    second: str = ""


def tiles_of(summary: Any) -> list[Tile]:
    """The four figures to see first."""
    quality, good = summary.motion.quality, ~summary.flagged
    tiles = [Tile("Crispness", *map(_short, summary.crispness))]
    if quality is not None:
        before, after = (
            _number(_mean(values[good]), 3)
            for values in (quality.similarity_before, quality.similarity)
        )
        tiles.append(Tile("Similarity", before, after))
    if summary.residual is not None:
        before, after = (
            _number(median(values)) for values in (summary.residual.before, summary.residual.after)
        )
        tiles.append(Tile("Motion by flow [px]", before, after))
    if quality is None:
        far = summary.displacement[summary.used]
        tiles.append(Tile("Largest displacement [px]", _number(_largest(far))))
    else:
        flagged = summary.flagged
        share = f" ({percent(flagged.mean())})" if flagged.any() else ""
        tiles.append(Tile("Flagged frames", f"{flagged.sum():,}{share}"))
    return tiles


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else math.nan


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else math.nan


def _largest(values: np.ndarray) -> float:
    return float(values.max()) if values.size else math.nan


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "none"


def _short(value: float) -> str:
    """Three digits that count."""
    if not math.isfinite(value):
        return "none"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
