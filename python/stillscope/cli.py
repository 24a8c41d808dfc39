# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``stillscope correct [RECORDING ...]``."""

from __future__ import annotations

import argparse
import csv
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

_BAD_INPUT = 2  # exit status, the same as argparse's
_INTERRUPTED = 130

_DESCRIPTION = """\
Correct the motion of a recording: estimate one sub-pixel shift a frame, apply them, and write

  shifts.csv       frame, height, width: the correction in px, added to the content's position
                   (positive: towards larger row or column)
  corrected.avi    the corrected movie, lossless (FFV1), 8 or 16 bit as the recording
  correction.png   the shifts, the mean image before and after, how alike the frames are

RECORDING is a video file or a folder of them. Several are joined in natural order (msCam2 before
msCam10). Without any, a short recording with known motion is simulated, and the error is printed.
"""
_EXAMPLE = """\
examples:
  stillscope correct                                  try it on a simulated recording
  stillscope correct mouse1/ -o mouse1/corrected      all videos of a folder
  stillscope correct msCam*.avi --threads 4           some files, four threads
"""


def main(argv=None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        0; 2 where the input can't be used (the reason is on stderr); 130 where it was interrupted.
    """
    arguments = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _show_warning
        try:
            _correct(arguments.recordings, arguments.output, arguments.threads)
        except (ImportError, MemoryError, OSError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            print(f"stillscope: error: {reason}", file=sys.stderr)
            return _BAD_INPUT
        except KeyboardInterrupt:
            print("stillscope: interrupted", file=sys.stderr)
            return _INTERRUPTED
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="stillscope", description="Motion correction for calcium-imaging movies."
    )
    parser.add_argument(
        "--version", action="version", version=f"stillscope {version('stillscope')}"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    correct = commands.add_parser(
        "correct",
        help="correct the motion of a recording",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    correct.add_argument(
        "recordings", nargs="*", metavar="RECORDING", help="video file or folder of videos"
    )
    correct.add_argument(
        "-o", "--output", default="stillscope-out", metavar="OUT_DIR",
        help="folder for the results, made if missing; results that are there are replaced "
        "(default: %(default)s)",
    )  # fmt: skip
    correct.add_argument(
        "--threads", type=_positive, metavar="N", help="number of threads (default: all cores)"
    )
    return parser


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {value}")
    return value


def _correct(recordings, output, threads):
    # Imported here so that --help answers at once.
    from stillscope import apply_motion, estimate_motion
    from stillscope.figure import plot_correction, similarity
    from stillscope.simulate import residual_motion
    from stillscope.video import find_videos, read_movie, write_movie

    output = Path(output)
    results = {n: output / n for n in ("shifts.csv", "corrected.avi", "correction.png")}
    files = find_videos(recordings) if recordings else None
    _check_output(output, results.values(), files or [])
    output.mkdir(parents=True, exist_ok=True)
    displacement = None
    if files is None:
        files, displacement = _write_simulated(output / "simulated")

    movie, frame_rate = read_movie(files)
    frames, height, width = movie.shape
    print(f"read       {_count(len(files), 'file')}: {_count(frames, 'frame')} of "
          f"{height}x{width}, {movie.dtype}, {frame_rate:g} Hz")  # fmt: skip

    start = time.perf_counter()
    shifts = estimate_motion(movie, n_threads=threads).shifts
    _print_speed("estimated", start, frames)
    start = time.perf_counter()
    corrected = apply_motion(movie, shifts)
    _print_speed("applied", start, frames)

    before, after = similarity(movie, shifts), similarity(corrected, shifts)
    print(f"similarity {_mean(before.correlation)} -> {_mean(after.correlation)} "
          "(mean correlation of the frames with their mean image)")  # fmt: skip
    if displacement is not None:
        rms, largest = residual_motion(shifts, displacement)
        print(f"error      RMS {rms:.3f} px, max {largest:.3f} px against the known motion")

    _write_shifts(results["shifts.csv"], shifts)
    write_movie(results["corrected.avi"], corrected, frame_rate)
    truth = None if displacement is None else -displacement
    plot_correction(results["correction.png"], shifts, before, after, truth=truth)
    for path in results.values():
        print(f"wrote      {path}")


def _check_output(output, results, files):
    """Refuse an output that is no folder, or that holds the recording under a result's name."""
    if output.exists() and not output.is_dir():
        raise ValueError(f"OUT_DIR: expected a folder, {output} is a file")
    for result in results:
        for file in files:
            if result.exists() and result.samefile(file):
                raise ValueError(
                    f"OUT_DIR: {result} is one of the recordings and would be overwritten; "
                    "choose another folder, or name the videos one by one"
                )


def _write_simulated(folder):
    """Write a simulated recording as two files: their paths and the motion that is in them."""
    from stillscope.simulate import simulate_movie
    from stillscope.video import write_movie

    folder.mkdir(exist_ok=True)
    movie, displacement = simulate_movie()
    files = [folder / "msCam1.avi", folder / "msCam2.avi"]
    for file, part in zip(files, np.array_split(movie, len(files))):
        write_movie(file, part)
    print(f"simulated  a recording with known motion: {folder}")
    return files, displacement


def _write_shifts(path, shifts):
    """CSV with the shortest digits that read back as the same float64."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["frame", "height", "width"])
        writer.writerows([k, *row] for k, row in enumerate(shifts.tolist()))


def _print_speed(what, start, frames):
    seconds = time.perf_counter() - start
    print(f"{what:10} {1e3 * seconds / frames:.2f} ms/frame ({seconds:.2f} s)")


def _count(n, noun):
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _mean(correlation):
    known = correlation[np.isfinite(correlation)]
    return f"{known.mean():.4f}" if known.size else "none"


def _show_warning(message, category, filename, lineno, file=None, line=None):
    print(f"stillscope: warning: {message}", file=sys.stderr)
