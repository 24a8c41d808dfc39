# SPDX-License-Identifier: GPL-3.0-or-later
"""One run: what it needs, what it does in which order, and what comes out."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import _check
from .._core import __version__
from ..io.durable import write_json
from ..io.record import make_record, names_in, read_record
from ..io.writers import SUFFIXES, MovieSpec, check_spec
from ..io.writers.zarr import pixel_chunks
from ..movie import estimate_motion
from ..result import MotionEstimate
from . import budget, fingerprint, stages
from .correction import Correction
from .destination import Destination
from .job import Job, is_committed
from .plan import Plan, free_for, seconds
from .progress import Progress
from .recording_input import Opened, RecordingInput

_RECORD = "run.json"
# The options of an estimate, with their defaults.
ESTIMATE_OPTIONS = {
    name: parameter.default
    for name, parameter in inspect.signature(estimate_motion).parameters.items()
    if name not in ("movie", "n_threads")
}


@dataclass
class Run:
    """What `correct`, `estimate` and `apply` have in common."""

    source: RecordingInput
    destination: Destination
    request: dict[str, Any]
    memory: int
    n_threads: int | None
    progress: Progress
    options: dict[str, Any] | None  # of the estimate; None where shifts are given
    applying: stages.Applying | None  # None where there is no movie
    layout: str = "frames"
    chunks: tuple[int, int, int] | None = None
    report: bool = False
    preview: bool = False
    timings: dict[str, float] = field(default_factory=dict)
    shares: budget.Budget | None = None

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
            spacing=options["spacing"] if options.get("nonrigid") else None,
        )  # fmt: skip
        raw = frames * height * width * dtype.itemsize
        refine = options.get("refine", 0)
        stages_made = {
            "decode": self.source.is_spooled,
            "estimate (the tree)": self.options is not None,
            f"{refine} of refinement at most": refine > 0,
            "fields": bool(options.get("nonrigid")),
            "write": spec is not None,
            "report": self.report,
        }
        passes = tuple(name for name, is_made in stages_made.items() if is_made)
        small = 2000 * frames + (8 << 20)
        plan = Plan(
            frames, height, width, dtype.name, len(self.source.files), self.destination.main,
            passes, shares.least, self.memory, raw * self.source.is_spooled + disk + small,
            (spec.nbytes if spec else 0) + small, free_for(self.destination.main),
            seconds(
                frames * height * width, self.n_threads or _check.processors(),
                self.destination.format if spec else None, is_spooled=self.source.is_spooled,
                refine=refine, is_filtered=is_filtered, has_pattern=has_pattern,
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
        }

    def protect(self, overwrite: bool) -> None:
        """Refuses to replace what no run has made, and what belongs to another movie."""
        if overwrite or is_committed(self.destination.part):
            return  # what is there was allowed to be replaced
        record = read_record(self.destination.record)
        made = names_in(record) | {self.destination.record.name} if record else set()
        for path in (*self._results().values(), self.destination.record):
            if path.exists() and path.name not in made:
                raise FileExistsError(
                    f"destination: {path} exists, and is no result of stillscope; overwrite=True "
                    "replaces it"
                )
        folder = self.destination.main.parent
        mine = {path.name for path in self._results().values()}
        for name in made:
            is_movie = (folder / name).suffix.lower() in SUFFIXES and ".shifts." not in name
            if is_movie and name not in mine and (folder / name).exists():
                raise FileExistsError(
                    f"destination: {folder / name} has its shifts there; choose another name, or "
                    "overwrite=True replaces them"
                )

    def _results(self) -> dict[str, Path]:
        """By what they are: where they go."""
        names = ["csv", "shifts"] * (self.options is not None)
        names += ["report"] * self.report + ["preview"] * self.preview
        results = {name: getattr(self.destination, name) for name in names}
        return {**results, **({"movie": self.destination.main} if self.applying else {})}

    def _record(self, job: Job, digest: str) -> dict[str, Any]:
        """What tells later runs which files are of this one."""
        results = {}
        for name, path in self._results().items():
            part = job.path(self._part(name))
            is_dated = path in (self.destination.report, self.destination.preview)
            results[path.name] = None if is_dated else fingerprint.of_file(part)
        older = names_in(read_record(self.destination.record) or {})
        folder = self.destination.main.parent
        kept = sorted(name for name in older - set(results) if (folder / name).exists())
        return make_record(digest, results, kept)

    def _is_done(self, digest: str) -> bool:
        """Whether the very results are there."""
        record = read_record(self.destination.record)
        if record is None or record["request"] != digest:
            return False
        folder = self.destination.main.parent
        for name, content in record["results"].items():
            path = folder / name
            if not path.exists() or (content and fingerprint.of_file(path) != content):
                return False
        return {path.name for path in self._results().values()} == set(record["results"])

    def _correction(self, missing: Any) -> Correction:
        results: dict[str, Any] = {"movie": None, "shifts": None, **self._results()}
        return Correction(
            missing=tuple(tuple(item) for item in missing), timings=self.timings, **results
        )

    def __call__(
        self,
        given: MotionEstimate | None,
        *,
        restart: bool,
        work: Callable[[Run, Job, MotionEstimate | None], list[Any]] | None = None,
    ) -> Correction:
        """Makes all results, by `work`: here, unless it is done elsewhere."""
        plan, self.shares = self.plan()
        self.progress.line(str(plan))
        self.destination.main.parent.mkdir(parents=True, exist_ok=True)
        job_request = {**self.request, "modified": self.source.modified()}
        digest = fingerprint.of_value(job_request)
        plan.check_disk(self.destination.part)
        with Job(self.destination.part, job_request, restart=restart) as job:
            if not restart and not job.is_resumed and self._is_done(digest):
                job.discard()
                self.progress.line("nothing to do: these results are there; restart makes them anew")
                return self._correction(read_record(self.destination.record)["missing"])
            if job.is_resumed:
                self.progress.line(f"going on with what is in {job.folder}")
            try:
                missing = (work or Run.work)(self, job, given)
                if self.source.modified() != job_request["modified"]:
                    raise ValueError(
                        "source: a file of the recording was written to during the run; begin anew "
                        "with restart=True"
                    )
            except (TypeError, ValueError):
                job.note(failed=True)  # the same call would fail again: another may take over
                raise
            record = self._record(job, digest) | {"missing": missing}
            write_json(job.path(_RECORD), record)
            job.commit(self.parts())
        return self._correction(missing)

    def _part(self, name: str) -> str:
        """What a result is called in the job's folder."""
        names = {"csv": "shifts.csv", "shifts": "shifts.zarr", "report": "report.html",
                 "preview": "preview.mp4", "movie": stages.movie_name(self.destination.format)}
        return names[name]  # fmt: skip

    def parts(self) -> dict[str, Path]:
        """Where each part of the job's folder goes."""
        parts = {self._part(name): path for name, path in self._results().items()}
        return {**parts, _RECORD: self.destination.record}

    def work(self, job: Job, given: MotionEstimate | None) -> list[Any]:
        """All stages, one after the other; returns what is missing in the recording."""
        with self.timed("decode"):
            opened = self.source.open(job, self.progress, self.n_threads)
        try:
            if self.applying is not None:
                check_spec(self.spec(opened))  # now that the rate is known
            motion = self.estimate(job, opened) if given is None else given
            check_numbers(motion, opened.frames.shape[0])
            if self.applying is not None:
                with self.timed("write"):
                    self.movie_stage(job, opened)(opened.frames, motion, self.progress)
            self.look(job, opened, motion)
        finally:
            opened.close()
        return opened.missing

    def estimate(self, job: Job, opened: Opened) -> MotionEstimate:
        with self.timed("estimate"):
            return stages.estimate(
                job, opened.frames, self.options, self.attributes(opened), self.progress,
                reads_ahead=self.shares.reads_ahead, n_threads=self.n_threads,
            )  # fmt: skip

    def movie_stage(self, job: Job, opened: Opened) -> stages.MovieStage:
        return stages.MovieStage(
            job, self.spec(opened), self.applying, self.n_threads, self.shares.for_writing,
            self.shares.reads_ahead,
        )  # fmt: skip

    def look(self, job: Job, opened: Opened, motion: MotionEstimate) -> None:
        """The report and the preview."""
        how = {
            "applying": None if self.applying is None else self.applying.options,
            "n_threads": self.n_threads,
        }
        if self.report:
            from ..report import summarise, write_report

            frames = opened.frames.shape[0]
            with self.timed("report"), self.progress.reading("report", frames) as reached:
                summary = stages.quietly(
                    summarise, opened.frames, None, motion, **how,
                    recording=self._about_recording(opened), parameters=self._parameters(),
                    timings=dict(self.timings), progress=reached,
                    outputs={path.name: str(path) for path in self._results().values()},
                )  # fmt: skip
                write_report(job.path("report.html"), summary)
        if self.preview:
            from ..report import write_preview

            with self.timed("preview"):
                write_preview(
                    job.path("preview.mp4"), opened.frames, None, motion, **how,
                    frame_rate=opened.frame_rate,
                )  # fmt: skip

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
            if value != fingerprint.plain(ESTIMATE_OPTIONS[name])
        }
        return {**chosen, **(self.request["applying"] or {}), "stillscope": __version__}


def check_numbers(motion: MotionEstimate, frames: int) -> None:
    """Refuses shifts of another number of frames."""
    _check.shift_rows(motion.shifts, "shifts", frames)
