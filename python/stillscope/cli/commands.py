# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands do. Each returns what ``--json`` prints."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

import stillscope

from ..io.durable import checked_path, read_json
from ..io.motion_file import is_motion, open_motion
from ..pipeline.progress import Bars, Progress
from ..pipeline.stages import Applying
from .output import note, tell

_PAGES = (".html", ".htm")


class _Lines(Progress):
    """The plan without bars: standard error is no terminal."""

    def line(self, text: str) -> None:
        note(text)


def _progress(arguments: Namespace) -> Progress:
    if arguments.quiet:
        return Progress()
    if not sys.stderr.isatty():
        return _Lines()
    try:
        return Bars()
    except ImportError:
        return _Lines()


def _reading(arguments: Namespace) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in ("dataset", "frame_rate", "pixel_size")}


def _running(arguments: Namespace) -> dict[str, Any]:
    return {
        **_reading(arguments), "memory": arguments.memory, "restart": arguments.restart,
        "n_threads": arguments.threads, "progress": _progress(arguments),
    }  # fmt: skip


def _estimating(arguments: Namespace) -> dict[str, Any]:
    return {name: getattr(arguments, name)
            for name in ("preset", "max_shift", "refine", "nonrigid", "bad_frames")}  # fmt: skip


def _applying(arguments: Namespace) -> dict[str, Any]:
    names = ("interpolation", "border", "fill", "layout", "chunks", "overwrite")
    return {name: getattr(arguments, name) for name in names}


def correct(arguments: Namespace) -> dict[str, Any]:
    truth = None
    recordings = arguments.recordings
    if not recordings:
        folder = Path(arguments.output)
        folder = folder.parent if folder.suffix else folder
        recordings, truth = _simulate(folder / "simulated")
    result = stillscope.correct(
        recordings, arguments.output, report=not arguments.no_report, preview=arguments.preview,
        **_applying(arguments), **_estimating(arguments), **_running(arguments),
    )  # fmt: skip
    return _told(arguments, result, truth)


def estimate(arguments: Namespace) -> dict[str, Any]:
    result = stillscope.estimate(
        arguments.recordings, arguments.output, report=not arguments.no_report,
        **_estimating(arguments), **_running(arguments),
    )  # fmt: skip
    return _told(arguments, result, None)


def apply(arguments: Namespace) -> dict[str, Any]:
    result = stillscope.apply(
        arguments.recordings, arguments.shifts, arguments.output, binning=arguments.binning,
        **_applying(arguments), **_running(arguments),
    )  # fmt: skip
    told = {"movie": str(result.movie), "timings": result.timings}
    if not arguments.json:
        tell(f"wrote      {result.movie}")
    return told


def report(arguments: Namespace) -> dict[str, Any]:
    from ..report import summarise, write_figures, write_preview, write_report

    output = _checked_output(Path(arguments.output))
    motion, attributes = open_motion(arguments.shifts)
    how = {"applying": Applying.options_in(attributes), "n_threads": arguments.threads}
    movie = stillscope.open_movie(arguments.recordings, **_reading(arguments))
    with movie:
        if output.suffix.lower() == ".mp4":
            write_preview(output, movie, None, motion, frame_rate=movie.frame_rate, **how)
        else:
            about = {
                "name": movie.name, "files": [str(file) for file in movie.files],
                "frame_rate": movie.frame_rate, "pixel_size": movie.pixel_size,
                "missing": [(str(m.file), m.frame, m.reason) for m in movie.missing],
            }  # fmt: skip
            with _progress(arguments).reading("report", len(movie)) as reached:
                summary = summarise(movie, None, motion, recording=about, progress=reached, **how)
            if output.suffix.lower() in _PAGES:
                write_report(output, summary)
            else:
                write_figures(output, summary)
    if not arguments.json:
        tell(f"wrote      {output}")
    return {"report": str(output)}


def _checked_output(output: Path) -> Path:
    """Refuses at once what would be refused when the recording has been read."""
    if output.suffix.lower() in (*_PAGES, ".mp4"):
        return checked_path(output)
    is_other = output.exists() or output.suffix[1:].isalpha()
    if is_other and not output.is_dir():
        raise ValueError(
            f"output: expected a folder, or a path that ends in .html or .mp4, got {output}"
        )
    return output


def info(arguments: Namespace) -> dict[str, Any]:
    told = [_about(Path(path), arguments) for path in arguments.paths]
    if not arguments.json:
        for about in told:
            width = max(map(len, about))
            tell("\n".join(f"{key:{width}}  {value}" for key, value in about.items()))
            tell()
    return {"paths": told}


def _about(path: Path, arguments: Namespace) -> dict[str, Any]:
    if path.is_dir() and (path / "request.json").exists():
        state = read_json(path / "state.json") or {}
        decoded = sum(file["frames"] for file in state.get("spool", {}).values())
        return {
            "path": str(path), "kind": "remains of an interrupted run",
            "decoded": decoded, "estimated": bool(state.get("estimated")),
            "written": state.get("written", 0),
            "parameters": read_json(path / "request.json").get("parameters"),
        }  # fmt: skip
    if is_motion(path):
        motion, attributes = open_motion(path)
        return {
            "path": str(path), "kind": "shifts", **_figures(motion),
            **{name: attributes[name] for name in ("stillscope_version", "recording", "parameters")
               if name in attributes},
        }  # fmt: skip
    with stillscope.open_movie(path, **_reading(arguments)) as movie:
        return {
            "path": str(path), "kind": "recording", "files": len(movie.files),
            "frames": movie.shape[0], "height": movie.shape[1], "width": movie.shape[2],
            "dtype": movie.dtype.name, "frame_rate": movie.frame_rate,
            "pixel_size": movie.pixel_size,
            "missing": [(str(m.file), m.frame, m.reason) for m in movie.missing],
        }  # fmt: skip


def _figures(motion: stillscope.MotionEstimate) -> dict[str, Any]:
    """Of an estimate, as JSON holds them."""
    shifts = motion.shifts
    figures: dict[str, Any] = {
        "frames": len(shifts),
        "height": [float(np.nanmin(shifts[:, 0])), float(np.nanmax(shifts[:, 0]))],
        "width": [float(np.nanmin(shifts[:, 1])), float(np.nanmax(shifts[:, 1]))],
    }
    quality = motion.quality
    if quality is not None:
        good = ~quality.flagged
        figures |= {
            "verdict": motion.verdict,
            "helps": motion.helps,
            "crispness": list(motion.crispness),
            "similarity": [float(values[good].mean()) if good.any() else None
                           for values in (quality.similarity_before, quality.similarity)],
            "flagged": {name: int(flag.sum()) for name, flag in quality.flags.items()
                        if flag.any()},
            "valid": [[part.start, part.stop] for part in motion.valid],
        }  # fmt: skip
    return figures


def _told(arguments: Namespace, result: stillscope.Correction, truth: Any) -> dict[str, Any]:
    motion = result.motion
    paths = {
        name: str(path)
        for name in ("movie", "shifts", "csv", "report", "preview")
        if (path := getattr(result, name)) is not None
    }
    told = {**paths, **_figures(motion), "missing": result.missing, "timings": result.timings}
    if truth is not None:
        from ..simulate import residual_motion

        told["error"] = dict(zip(("rms", "max"), residual_motion(motion.shifts, truth)))
    if arguments.json:
        return told
    if result.missing:
        numbered = sum(frame is not None for _, frame, _ in result.missing)
        tell(f"missing    {numbered or 'some'} frames could not be decoded; --json lists them")
    if "flagged" in told and told["flagged"]:
        flags = ", ".join(f"{count} {name}" for name, count in told["flagged"].items())
        tell(f"flagged    {flags}")
    if "verdict" in told:
        tell(f"verdict    {told['verdict']}")
    if truth is not None:
        error = told["error"]
        tell(f"error      RMS {error['rms']:.3f} px, max {error['max']:.3f} px against the known "
              "motion")  # fmt: skip
    for path in paths.values():
        tell(f"wrote      {path}")
    return told


def _simulate(folder: Path) -> tuple[list[Path], np.ndarray]:
    """A recording with known motion in two files, and that motion."""
    from ..io.writers import write_movie
    from ..simulate import simulate_movie

    folder.mkdir(parents=True, exist_ok=True)
    movie, displacement = simulate_movie()
    files = [folder / "msCam1.avi", folder / "msCam2.avi"]
    for file, part in zip(files, np.array_split(movie, len(files))):
        if not file.exists():  # an interrupted run goes on with the same files
            write_movie(file, part, frame_rate=20.0)
    return files, displacement


def selftest(arguments: Namespace) -> dict[str, Any]:
    from .selftest import run

    return run(arguments)
