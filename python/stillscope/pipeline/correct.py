# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings in, corrected recordings out: `correct`, `estimate`, `apply`."""

from __future__ import annotations

import inspect
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import _check
from .._core import __version__
from ..io import Recording, open_movie
from ..io.motion_file import load_motion, read_motion
from ..io.writers import MovieSpec, check_spec
from ..io.writers.zarr import pixel_chunks
from ..io.zarr_group import ZarrGroup
from ..movie import estimate_motion
from ..result import MotionEstimate
from . import budget, fingerprint
from .destination import Destination
from .job import Job
from .plan import Plan, free_for, seconds
from .progress import Progress, as_progress
from .recording_input import Opened, RecordingInput
from .stages import Applying, MovieStage, estimate as run_estimate, quietly

_LAYOUTS = ("frames", "pixels")
_ESTIMATE_OPTIONS = {
    name: parameter.default
    for name, parameter in inspect.signature(estimate_motion).parameters.items()
    if name not in ("movie", "n_threads")
}


@dataclass(frozen=True, eq=False)
class Correction:
    """The results of a run, on disk.

    Attributes
    ----------
    movie : Path or None
        The corrected movie; None where there was only an estimate.
    shifts : Path or None
        The estimate's file: `stillscope.load_motion`, ``xarray.open_zarr``. None where shifts were
        given.
    csv : Path or None
        The same as a table.
    report : Path or None
        The page to look at.
    preview : Path or None
        Before and after, side by side.
    missing : tuple
        ``(file, frame, reason)`` of each frame that could not be decoded and is not in the movie.
    timings : dict
        Seconds of each stage that this run made.
    """

    movie: Path | None
    shifts: Path | None
    csv: Path | None = None
    report: Path | None = None
    preview: Path | None = None
    missing: tuple[Any, ...] = ()
    timings: dict[str, float] | None = None

    @property
    def motion(self) -> MotionEstimate:
        """The estimate, read from its file."""
        if self.shifts is None:
            raise ValueError("motion: expected a run that made an estimate, got one without")
        return load_motion(self.shifts)

    def open(self) -> Recording:
        """The corrected movie, which is read as it is needed."""
        if self.movie is None:
            raise ValueError("movie: expected a run that wrote a movie, got an estimate alone")
        return open_movie(self.movie)

    def _repr_html_(self) -> str | None:
        return self.motion._repr_html_() if self.shifts is not None else None


@dataclass
class _Run:
    """What `correct`, `estimate` and `apply` have in common."""

    source: RecordingInput
    destination: Destination
    request: dict[str, Any]
    memory: int
    n_threads: int | None
    progress: Progress
    options: dict[str, Any] | None  # of the estimate; None where shifts are given
    applying: Applying | None  # None where there is no movie
    layout: str = "frames"
    chunks: tuple[int, int, int] | None = None
    report: bool = False
    preview: bool = False
    timings: dict[str, float] | None = None

    def spec(self, opened: Opened | None = None) -> MovieSpec:
        """Of the movie that is written; as far as is known before the recording was opened."""
        shape = self.source.shape if opened is None else tuple(opened.frames.shape)
        dtype = self.source.dtype if opened is None else np.dtype(opened.frames.dtype)
        rate, size = (None, None) if opened is None else (opened.frame_rate, opened.pixel_size)
        chunks = self.chunks
        if chunks is None and self.layout == "pixels":
            chunks = pixel_chunks(shape, dtype.itemsize)
        fmt = self.destination.format
        return MovieSpec(
            fmt, shape, dtype, rate, size, chunks if fmt == "zarr" else None,
            self.destination.variable,
        )  # fmt: skip

    def plan(self) -> tuple[Plan, budget.Budget]:
        frames, height, width = self.source.shape
        dtype = np.dtype(self.source.dtype)
        options = self.options or {}
        kernel = _check.kernel_array(np.zeros(1, dtype)).dtype.itemsize
        spec = self.spec() if self.applying is not None else None
        run = disk = 0
        if spec is not None:
            writer = check_spec(spec)
            run, disk = writer.run_of(spec), writer.disk_bytes(spec)
        is_filtered = any(
            options.get(name) for name in ("preset", "smooth", "background", "fixed_pattern")
        )
        has_pattern = bool(options.get("fixed_pattern") or options.get("preset") == "miniscope")
        shares = budget.plan_memory(
            self.memory, self.source.shape, kernel, run, is_filtered=is_filtered,
            has_tree=self.options is not None, chunk=options.get("chunk"),
        )  # fmt: skip
        raw = frames * height * width * dtype.itemsize
        passes = ["decode"] * self.source.is_spooled
        if self.options is not None:
            refine = options["refine"]
            passes.append("estimate (the tree)")
            passes += [f"{n} of refinement at most" for n in [refine] if n]
        passes += ["write"] * (spec is not None) + ["report"] * self.report
        small = 2000 * frames + (8 << 20)
        plan = Plan(
            frames, height, width, dtype.name, len(self.source.files), self.destination.main,
            tuple(passes), shares.least, self.memory, raw * self.source.is_spooled + disk + small,
            (spec.nbytes if spec else 0) + small, free_for(self.destination.main),
            seconds(
                frames * height * width, self.n_threads or len(os.sched_getaffinity(0)),
                self.destination.format if spec else None, is_spooled=self.source.is_spooled,
                refine=options.get("refine", 0), is_filtered=is_filtered, has_pattern=has_pattern,
                has_report=self.report, has_estimate=self.options is not None,
            ),
        )  # fmt: skip
        return plan, shares

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - start

    def attributes(self, opened: Opened) -> dict[str, Any]:
        """What the shifts' file says of where they come from."""
        return {
            "recording": {
                **self.request["recording"],
                "shape": list(opened.frames.shape),
                "dtype": np.dtype(opened.frames.dtype).str,
                "frame_rate": opened.frame_rate,
                "pixel_size": opened.pixel_size,
                "missing": [[Path(f).name, frame, why] for f, frame, why in opened.missing],
            },
            "parameters": self.request["parameters"],
            "applying": self.request["applying"],
            "request": self.digest,
        }

    @property
    def digest(self) -> str:
        """Of all that the results depend on."""
        return fingerprint.of_value(self.request)

    def _results(self) -> dict[str, Path]:
        """By what they are: where they go."""
        names = ["csv", "shifts"] * (self.options is not None)
        names += ["report"] * self.report + ["preview"] * self.preview
        results = {name: getattr(self.destination, name) for name in names}
        return {**results, **({"movie": self.destination.main} if self.applying else {})}

    def _is_done(self) -> bool:
        """Whether the very results are there."""
        if self.options is None or not all(path.exists() for path in self._results().values()):
            return False
        try:
            return read_motion(self.destination.shifts)[1].get("request") == self.digest
        except ValueError:
            return False

    def _correction(self, missing: Any) -> Correction:
        results: dict[str, Any] = {"movie": None, "shifts": None, **self._results()}
        return Correction(
            missing=tuple(tuple(item) for item in missing), timings=self.timings, **results
        )

    def __call__(self, given: MotionEstimate | None, *, restart: bool) -> Correction:
        plan, shares = self.plan()
        self.progress.line(str(plan))
        self.timings = {}
        self.destination.main.parent.mkdir(parents=True, exist_ok=True)
        job_request = {**self.request, "modified": self.source.modified()}
        with ExitStack() as stack:
            job = stack.enter_context(Job(self.destination.main, job_request, restart=restart))
            if not restart and not job.is_resumed and self._is_done():
                job.discard()
                self.progress.line("nothing to do: these results are there (restart makes them anew)")
                about = json.loads(read_motion(self.destination.shifts)[1]["recording"])
                return self._correction(about["missing"])
            plan.check_disk(job.folder)
            if job.is_resumed:
                self.progress.line(f"going on with what is in {job.folder}")
            with self.timed("decode"):
                opened = self.source.open(job, self.progress)
            stack.callback(opened.close)
            motion = given
            if self.options is not None:
                with self.timed("estimate"):
                    motion = run_estimate(
                        job, opened.frames, self.options, lambda: self.attributes(opened),
                        self.progress, reads_ahead=shares.reads_ahead, n_threads=self.n_threads,
                    )  # fmt: skip
            results: dict[str, Path] = {}  # by the parts' names
            if self.applying is not None:
                stage = MovieStage(
                    job, self.spec(opened), self.applying, self.n_threads, shares.for_writing,
                    shares.reads_ahead,
                )  # fmt: skip
                with self.timed("write"):
                    stage(opened.frames, motion.shifts, self.progress)
                results[stage.path.name] = self.destination.main
            if self.options is not None:
                results["shifts.zarr"] = self.destination.shifts
                results["shifts.csv"] = self.destination.csv
            self._look(job, opened, motion, results)
            job.commit(results)
        return self._correction(opened.missing)

    def _look(
        self, job: Job, opened: Opened, motion: MotionEstimate, results: dict[str, Path]
    ) -> None:
        """The report and the preview."""
        if self.report:
            from ..report import summarise, write_report

            with self.timed("report"), self.progress.stage("report", opened.frames.shape[0]) as add:
                done = [0]

                def advance(frames: int, total: int) -> None:
                    add(frames - done[0])
                    done[0] = frames

                summary = quietly(
                    summarise, opened.frames, None, motion,
                    recording=self._about_recording(opened), parameters=self._parameters(),
                    timings=dict(self.timings), n_threads=self.n_threads, progress=advance,
                    outputs={path.name: str(path) for path in results.values()},
                )  # fmt: skip
                write_report(job.path("report.html"), summary)
            results["report.html"] = self.destination.report
        if self.preview:
            from ..report import write_preview

            with self.timed("preview"):
                write_preview(
                    job.path("preview.mp4"), opened.frames, None, motion,
                    frame_rate=opened.frame_rate,
                )  # fmt: skip
            results["preview.mp4"] = self.destination.preview

    def _about_recording(self, opened: Opened) -> dict[str, Any]:
        return {
            "name": self.source.name,
            "files": [str(file) for file in self.source.files],
            "frame_rate": opened.frame_rate,
            "pixel_size": opened.pixel_size,
            "missing": [tuple(item) for item in opened.missing],
        }

    def _parameters(self) -> dict[str, Any]:
        """Those that were chosen, for people."""
        chosen = {
            name: value
            for name, value in (self.request["parameters"] or {}).items()
            if value != fingerprint.plain(_ESTIMATE_OPTIONS[name])
        }
        return {**chosen, **(self.request["applying"] or {}), "stillscope": __version__}


def _estimate_options(given: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(given) - set(_ESTIMATE_OPTIONS))
    if unknown:
        raise TypeError(
            f"{unknown[0]}: expected an option of correct or of estimate_motion "
            f"({', '.join(_ESTIMATE_OPTIONS)}), got this one"
        )
    return {**_ESTIMATE_OPTIONS, **given}


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
    sides = tuple(_check.integer(side, "chunks", 1) for side in chunks)
    if len(sides) != 3:
        raise ValueError(f"chunks: expected frames, height and width, got {chunks!r}")
    return sides


def _protect(destination: Destination, overwrite: bool) -> None:
    """Refuses to replace what no run has made."""
    if destination.format is None or not destination.main.exists() or overwrite:
        return
    try:
        read_motion(destination.shifts)
        return
    except (FileNotFoundError, ValueError):
        pass
    raise FileExistsError(
        f"destination: {destination.main} exists, and is no result of stillscope with its "
        "shifts beside it; overwrite=True replaces it"
    )


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

    Whatever interrupts it, the finished parts stay in ``<destination>.part``, and the same call goes
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
        What the process may use, in bytes or such as ``"2GB"``. It does not depend on the length.
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
    applying = _applying(interpolation, border, fill, 1.0, recording.dtype)
    sides = _layout(layout, chunks, where)
    _protect(where, overwrite)
    run = _Run(
        recording, where, {}, budget.byte_count(memory, "memory"),
        _check.threads(n_threads), as_progress(progress), estimate_options, applying, layout, sides,
        _check.boolean(report, "report"), _check.boolean(preview, "preview"),
    )  # fmt: skip
    run.request = _request(run, None)
    if client is not None:
        from .cluster import run_on

        return run_on(client, run, restart=restart)
    return run(None, restart=restart)


def estimate(
    source: Any,
    destination: str | os.PathLike,
    *,
    memory: int | str = "2GB",
    dataset: str | None = None,
    frame_rate: float | None = None,
    pixel_size: tuple[float, float] | None = None,
    report: bool = True,
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
    memory, dataset, frame_rate, pixel_size, report, restart, progress, n_threads, **options
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
    where = replace(where, main=where.main.with_name(where.stem.removesuffix(".shifts") + ".shifts"))
    ZarrGroup.require("a file of shifts")
    _require_report(report, False)
    run = _Run(
        _input(source, dataset, frame_rate, pixel_size, where), where, {},
        budget.byte_count(memory, "memory"), _check.threads(n_threads), as_progress(progress),
        _estimate_options(options), None, report=_check.boolean(report, "report"),
    )  # fmt: skip
    run.request = _request(run, None)
    return run(None, restart=restart)


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
    used: dict[str, Any] = {"interpolation": "linear", "border": "constant", "fill": 0}
    if isinstance(shifts, Correction):
        shifts = shifts.shifts
    if isinstance(shifts, (str, os.PathLike)):
        path, shifts = shifts, load_motion(shifts)
        kept = json.loads(read_motion(path)[1].get("applying", "null")) or {}
        used |= {name: kept[name] for name in used if name in kept}
    given = {"interpolation": interpolation, "border": border, "fill": fill}
    used |= {name: value for name, value in given.items() if value is not None}
    rows = np.asarray(getattr(shifts, "shifts", shifts))
    motion = MotionEstimate(
        _check.shift_rows(rows, "shifts", len(rows)), np.zeros((1, 1), np.float32)
    )
    applying = _applying(used["interpolation"], used["border"], used["fill"], binning,
                         recording.dtype)  # fmt: skip
    sides = _layout(layout, chunks, where)
    _protect(where, overwrite)
    run = _Run(
        recording, where, {}, budget.byte_count(memory, "memory"), _check.threads(n_threads),
        as_progress(progress), None, applying, layout, sides,
    )  # fmt: skip
    run.request = _request(run, motion.shifts)
    return run(motion, restart=restart)


def _require_report(report: bool, preview: bool) -> None:
    """Refuses at once what would fail at the end."""
    from ..io.extras import require_extra

    if report:
        require_extra("matplotlib", "the report")
        require_extra("jinja2", "the report")
    if preview:
        require_extra("av", "the preview")


def _request(run: _Run, shifts: np.ndarray | None) -> dict[str, Any]:
    """All that the results depend on."""
    applying = None if run.applying is None else fingerprint.plain(vars(run.applying))
    spec = None
    if run.applying is not None:
        spec = {"format": run.destination.format, "layout": run.layout, "chunks": run.chunks}
    return fingerprint.plain({
        "version": __version__,
        "recording": run.source.identity(),
        "dataset": run.source.options["dataset"],
        "frame_rate": run.source.options["frame_rate"],
        "pixel_size": run.source.options["pixel_size"],
        "parameters": None if run.options is None else fingerprint.plain(run.options),
        "applying": applying,
        "shifts": shifts,
        "movie": spec,
        "report": run.report,
        "preview": run.preview,
    })  # fmt: skip
