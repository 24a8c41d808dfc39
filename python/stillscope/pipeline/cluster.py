# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on a dask cluster, whose workers see the same files.

Decoding and the estimate are one task, which goes on where another worker was interrupted; then the
movie is written by one task a run of frames, each of which has its place. The process that has the
client holds the destination's lock, notes what is done, and moves the results to their places.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from .. import _check
from ..io.extras import import_extra
from ..io.motion_file import load_motion
from ..io.writers import MovieSpec, check_spec, open_writer
from ..result import MotionEstimate
from .job import Job
from .progress import Progress
from .run import Run
from .stages import MovieStage

_RETRIES = 10  # of a task whose worker died
_AHEAD = 2  # tasks a thread of the cluster that wait


def work_on(client: Any) -> Callable[[Run, Job, MotionEstimate | None], list[Any]]:
    """`Run.work` by a `distributed.Client`."""
    distributed = import_extra("distributed", "a cluster")
    if not isinstance(client, distributed.Client):
        raise TypeError(f"client: expected a distributed.Client, got {client!r}")

    def work(run: Run, job: Job, given: MotionEstimate | None) -> list[Any]:
        there = replace(run, progress=Progress(), timings={})
        with run.timed("estimate"):
            run.progress.line("decoding and estimating on the cluster")
            missing, spec = _submit(client, _prepare, there).result()
        job.reload()
        if not job.state.get("finished"):
            with run.timed("write"):
                _write(client, run, there, job, spec)
        with run.timed("report"):
            _submit(client, _look, there, dict(run.timings)).result()
        return missing

    return work


def _submit(client: Any, task: Callable[..., Any], *arguments: Any) -> Any:
    # A name of its own: what a task writes to the disk is no value that could be kept.
    key = f"stillscope-{task.__name__.strip('_')}-{uuid.uuid4().hex}"
    return client.submit(task, *arguments, key=key, retries=_RETRIES, pure=False)


def _prepare(run: Run) -> tuple[list[Any], MovieSpec]:
    """On a worker: decodes, estimates, and makes what the movie is written to."""
    job = Job.attach(run.destination.part)
    opened = run.source.open(job, run.progress, _check.threads(run.n_threads))
    try:
        check_spec(run.spec(opened))
        run.estimate(job, opened)
        stage = run.movie_stage(job, opened)
        if "written" not in job.state:
            writer = open_writer(stage.path, stage.spec, _check.threads(run.n_threads))
            writer.begin()
            writer.close()
            job.note(written=0)
        return opened.missing, stage.spec
    finally:
        opened.close()


def _write(client: Any, run: Run, there: Run, job: Job, spec: MovieSpec) -> None:
    """Has all runs of frames written, a few tasks at a time, and notes up to where all are."""
    frames = spec.shape[0]
    length = check_spec(spec).run_of(spec)
    begins = list(range(job.state["written"], frames, length))
    threads = max(1, sum(client.nthreads().values()))
    pending: list[Any] = []
    with run.progress.stage("write", frames) as advance:
        advance(job.state["written"])
        for begin in begins:
            pending.append((begin, _submit(client, _write_run, there, begin)))
            if len(pending) >= _AHEAD * threads:
                _take(pending, job, length, frames, advance)
        while pending:
            _take(pending, job, length, frames, advance)
    _submit(client, _finish, there).result()
    job.note(finished=True)


def _take(pending: list[Any], job: Job, length: int, frames: int, advance: Any) -> None:
    begin, future = pending.pop(0)
    future.result()
    end = min(begin + length, frames)
    job.note(written=end)
    advance(end - begin)


@contextmanager
def _writing(run: Run) -> Iterator[tuple[Any, MovieStage, Any]]:
    """On a worker: the recording's frames, the stage that writes the movie, and its writer."""
    job = Job.attach(run.destination.part)
    opened = run.source.opened_before(job)
    try:
        stage = run.movie_stage(job, opened)
        writer = open_writer(stage.path, stage.spec, _check.threads(run.n_threads))
        try:
            yield opened.frames, stage, writer
        finally:
            writer.close()
    finally:
        opened.close()


def _write_run(run: Run, begin: int) -> None:
    """On a worker: one run of frames."""
    with _writing(run) as (frames, stage, writer):
        end = min(begin + writer.run, stage.spec.shape[0])
        part = load_motion(stage.job.path("shifts.zarr")).of_frames(slice(begin, end))
        writer.write(begin, run.applying(frames[begin:end], part, run.n_threads))


def _finish(run: Run) -> None:
    """On a worker: makes the movie of all runs."""
    with _writing(run) as (_, stage, writer):
        writer.finish(stage.memory)


def _look(run: Run, timings: dict[str, float]) -> None:
    """On a worker: the report and the preview."""
    job = Job.attach(run.destination.part)
    opened = run.source.opened_before(job)
    try:
        run.timings.update(timings)
        run.look(job, opened, load_motion(job.path("shifts.zarr")))
    finally:
        opened.close()
