# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings in, corrected recordings out: `correct`, `estimate`, `apply`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .. import _check
from .._core import __version__
from ..io.extras import require_extra
from ..io.motion_file import open_motion
from ..io.zarr_group import ZarrGroup
from ..movie import movie_settings
from ..result import MotionEstimate
from . import budget, fingerprint
from .correction import Correction
from .destination import Destination
from .progress import Progress, as_progress
from .recording_input import RecordingInput
from .run import ESTIMATE_OPTIONS, Run, check_numbers
from .stages import Applying

_LAYOUTS = ("frames", "pixels")


def _estimate_options(given: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(given) - set(ESTIMATE_OPTIONS))
    if unknown:
        raise TypeError(
            f"{unknown[0]}: expected an option of correct or of estimate_motion "
            f"({', '.join(ESTIMATE_OPTIONS)}), got this one"
        )
    return {**ESTIMATE_OPTIONS, **given}


def _check_estimate(options: dict[str, Any], recording: RecordingInput) -> None:
    """Refuses at once what `estimate_motion` would refuse."""
    if recording.is_spooled:  # how many frames there are, which the list must fit, is not known yet
        options = {**options, "bad_frames": None}
    movie_settings(recording, **options)


def _applying(interpolation: str, border: str, fill: float, binning: Any, dtype: Any) -> Applying:
    """Checked on a frame of one pixel."""
    applying = Applying(interpolation, border, fill, fingerprint.plain(binning))
    applying(np.zeros((1, 1, 1), dtype), np.zeros((1, 2)), 1)
    return applying


def _layout(layout: str, chunks: Any, destination: Destination) -> tuple[int, int, int] | None:
    _check.choice(layout, "layout", _LAYOUTS)
    is_asked = layout != "frames" or chunks is not None
    if is_asked and destination.format != "zarr":
        raise ValueError(
            f"layout, chunks: expected a zarr destination, got {destination.main.name}"
        )
    if chunks is None:
        return None
    if layout != "frames":
        raise ValueError(f"chunks: expected None with layout={layout!r}, got {chunks!r}")
    return _check.chunk_sides(chunks)


def _input(
    source: Any, dataset: str | None, frame_rate: Any, pixel_size: Any, results: Destination
) -> RecordingInput:
    options = {"dataset": dataset, "frame_rate": frame_rate, "pixel_size": pixel_size}
    return RecordingInput(source, options, results.all())


def correct(
    source: Any,
    destination: str | os.PathLike,
    *,
    memory: int | str = "2GB",
    layout: str = "frames",
    chunks: tuple[int, int, int] | None = None,
    interpolation: str = "linear",
    border: str = "constant",
    fill: float = 0,
    dataset: str | None = None,
    frame_rate: float | None = None,
    pixel_size: tuple[float, float] | None = None,
    report: bool = True,
    preview: bool = False,
    overwrite: bool = False,
    restart: bool = False,
    progress: bool | Progress | None = None,
    n_threads: int | None = None,
    client: Any = None,
    **options: Any,
) -> Correction:
    """Take the motion out of a recording on disk, in bounded memory.

    The recording is decoded (once, into a temporary file, where that is costly), its motion is
    estimated, and the corrected movie is written with its dtype. Beside it: the estimate
    (``.shifts.zarr``, ``.shifts.csv``) and a page to look at (``.report.html``).

    Whatever interrupts it, the finished parts stay in ``<name>.part``, and the same call goes
    on from there; results are the same to the byte. Results of an older run are replaced at the very
    end.

    Parameters
    ----------
    source : path, sequence of paths, Recording or array_like
        As in `open_movie`; or ``(frame, height, width)`` as in `estimate_motion`.
    destination : path
        The movie: ``.zarr``, ``.tif`` (BigTIFF where it must be), or ``.avi`` (lossless grey FFV1,
        uint8 and uint16). Or a folder, for ``corrected.zarr``.
    memory : int or str
        What the process may use, in bytes or such as ``"2GB"``: the frames that are held do not
        depend on the length. What is known of each frame takes up to 1.2 kB.
    layout : {"frames", "pixels"}
        Of zarr: chunks of whole frames, or chunks of all frames of some pixels (as minian's
        ``Y_fm_chk`` and ``Y_hw_chk``). The array has the file's name.
    chunks : (int, int, int) or None
        Of zarr: frames, height and width of a chunk, in place of a layout.
    interpolation, border, fill
        As in `apply_motion`.
    dataset, frame_rate, pixel_size
        As in `open_movie`.
    report, preview : bool
        Whether to make the page, and a video of both movies side by side (``.preview.mp4``).
    overwrite : bool
        Whether a destination may be replaced that is no result of stillscope.
    restart : bool
        Whether to begin anew what was interrupted, also with other parameters.
    progress : bool or None
        Bars and the plan, on standard error or in the notebook; None: where somebody can see them.
    n_threads : int or None
        As in `estimate_motion`.
    client : distributed.Client or None
        Do the work on this cluster, whose workers see the same files.
    **options
        Those of `estimate_motion`: ``preset``, ``max_shift``, ``bad_frames``, ...

    Returns
    -------
    Correction

    Raises
    ------
    TypeError, ValueError
        As `estimate_motion`, `apply_motion` and `open_movie`; where ``memory`` is too little; where
        an interrupted run of another recording, parameters or version is there.
    FileExistsError
        Where something else is at the destination.
    BusyError
        Where another run is writing to it.
    OSError
        Where the disk is full or fails: with the path and the bytes.
    ImportError
        Where the library of a format is missing: with the extra to be installed.

    Examples
    --------
    >>> result = stillscope.correct("mouse1/", "mouse1/corrected.zarr", preset="miniscope")
    >>> result.motion.verdict
    """
    where = Destination.of(destination)
    ZarrGroup.require("a file of shifts")
    _require_report(report, preview)
    estimate_options = _estimate_options(options)
    recording = _input(source, dataset, frame_rate, pixel_size, where)
    _check_estimate(estimate_options, recording)
    applying = _applying(interpolation, border, fill, 1.0, recording.dtype)
    sides = _layout(layout, chunks, where)
    run = Run(
        recording, where, {}, budget.byte_count(memory, "memory"),
        _check.threads(n_threads), as_progress(progress), estimate_options, applying, layout, sides,
        _check.boolean(report, "report"), _check.boolean(preview, "preview"),
    )  # fmt: skip
    run.request = _request(run, None)
    run.protect(_check.boolean(overwrite, "overwrite"))
    if client is not None:
        from .cluster import work_on

        return run(None, restart=_check.boolean(restart, "restart"), work=work_on(client))
    return run(None, restart=_check.boolean(restart, "restart"))


def estimate(
    source: Any,
    destination: str | os.PathLike,
    *,
    memory: int | str = "2GB",
    dataset: str | None = None,
    frame_rate: float | None = None,
    pixel_size: tuple[float, float] | None = None,
    report: bool = True,
    overwrite: bool = False,
    restart: bool = False,
    progress: bool | Progress | None = None,
    n_threads: int | None = None,
    **options: Any,
) -> Correction:
    """Estimate the motion of a recording on disk, in bounded memory, and keep it in a file.

    As `correct`, without the movie; `apply` makes that.

    Parameters
    ----------
    source : path, sequence of paths, Recording or array_like
        As in `correct`.
    destination : path
        ``<name>.shifts.zarr``, or a folder for ``corrected.shifts.zarr``.
    memory, dataset, frame_rate, pixel_size, report, overwrite, restart, progress, n_threads, **options
        As in `correct`.

    Returns
    -------
    Correction
        Without a movie.

    Raises
    ------
    As `correct`.
    """
    where = Destination.of_shifts(destination)
    ZarrGroup.require("a file of shifts")
    _require_report(report, False)
    recording = _input(source, dataset, frame_rate, pixel_size, where)
    estimate_options = _estimate_options(options)
    _check_estimate(estimate_options, recording)
    run = Run(
        recording, where, {}, budget.byte_count(memory, "memory"), _check.threads(n_threads),
        as_progress(progress), estimate_options, None, report=_check.boolean(report, "report"),
    )  # fmt: skip
    run.request = _request(run, None)
    run.protect(_check.boolean(overwrite, "overwrite"))
    return run(None, restart=_check.boolean(restart, "restart"))


def apply(
    source: Any,
    shifts: Any,
    destination: str | os.PathLike,
    *,
    memory: int | str = "2GB",
    layout: str = "frames",
    chunks: tuple[int, int, int] | None = None,
    interpolation: str | None = None,
    border: str | None = None,
    fill: float | None = None,
    binning: float | tuple[float, float] = 1.0,
    dataset: str | None = None,
    frame_rate: float | None = None,
    pixel_size: tuple[float, float] | None = None,
    overwrite: bool = False,
    restart: bool = False,
    progress: bool | Progress | None = None,
    n_threads: int | None = None,
) -> Correction:
    """Apply shifts to a recording on disk, in bounded memory.

    From the shifts' file of a run of `correct` and its recording comes the corrected movie of that
    run, exactly; the recording may also be another channel, of another size or binning.

    Parameters
    ----------
    source : path, sequence of paths, Recording or array_like
        As in `correct`: as many frames as there are shifts.
    shifts : path, Correction, MotionEstimate or array_like
        The file of a run, or shifts ``(frame, 2)`` in px.
    destination : path
        As in `correct`.
    interpolation, border, fill
        As in `apply_motion`; None: those of the run that made the file, else the defaults there.
    binning
        As in `apply_motion`.
    memory, layout, chunks, dataset, frame_rate, pixel_size, overwrite, restart, progress, n_threads
        As in `correct`.

    Returns
    -------
    Correction
        With the movie alone.

    Raises
    ------
    As `correct`; ValueError where the numbers of frames and shifts differ.
    """
    where = Destination.of(destination)
    recording = _input(source, dataset, frame_rate, pixel_size, where)
    used = Applying().options
    if isinstance(shifts, Correction):
        shifts = shifts.shifts
    if shifts is None:
        raise TypeError("shifts: expected a path, a Correction with shifts, or shifts, got None")
    if isinstance(shifts, (str, os.PathLike)):
        shifts, attributes = open_motion(shifts)
        used = Applying.options_in(attributes)
    given = {"interpolation": interpolation, "border": border, "fill": fill}
    used |= {name: value for name, value in given.items() if value is not None}
    rows = np.asarray(getattr(shifts, "shifts", shifts))
    motion = MotionEstimate(
        _check.shift_rows(rows, "shifts", len(rows)), np.zeros((1, 1), np.float32),
        deformation=getattr(shifts, "deformation", None),
    )  # fmt: skip
    applying = _applying(**used, binning=binning, dtype=recording.dtype)
    if not recording.is_spooled:
        check_numbers(motion, recording.shape[0])
    sides = _layout(layout, chunks, where)
    run = Run(
        recording, where, {}, budget.byte_count(memory, "memory"), _check.threads(n_threads),
        as_progress(progress), None, applying, layout, sides,
    )  # fmt: skip
    run.request = _request(run, motion)
    run.protect(_check.boolean(overwrite, "overwrite"))
    return run(motion, restart=_check.boolean(restart, "restart"))


def _require_report(report: bool, preview: bool) -> None:
    """Refuses at once what would fail at the end."""
    if report:
        require_extra("matplotlib", "the report")
        require_extra("jinja2", "the report")
    if preview:
        require_extra("av", "the preview")


def _request(run: Run, given: MotionEstimate | None) -> dict[str, Any]:
    """All that the results depend on."""
    shifts = None
    if given is not None:
        local = given.deformation
        shifts = [given.shifts, None if local is None else local.coefficients]
    spec = None
    if run.applying is not None:
        spec = {"format": run.destination.format, "layout": run.layout, "chunks": run.chunks}
    return fingerprint.plain({
        "version": __version__,
        "recording": run.source.identity(),
        "dataset": run.source.options["dataset"],
        "frame_rate": run.source.options["frame_rate"],
        "pixel_size": run.source.options["pixel_size"],
        "parameters": run.options,
        "applying": None if run.applying is None else vars(run.applying),
        "shifts": shifts,
        "movie": spec,
        "report": run.report,
        "preview": run.preview,
    })  # fmt: skip
