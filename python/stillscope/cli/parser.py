# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands and their options. Nothing is imported here that takes time."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from typing import Any

from .output import write

_RECORDING = "a video (.avi, .mkv, .mp4, ...), TIFF, zarr, HDF5 or npy file, or a folder of them"
_EXIT = "exit status: 0 done, 2 bad input, 3 disk or system, 4 destination in use, 130 interrupted"

_CORRECT = """\
Take the motion out of a recording: estimate one sub-pixel shift a frame, move the frames, and write

  corrected.zarr             the corrected movie, of the recording's type of pixels
  corrected.shifts.zarr      shifts, quality and flags of every frame, template (xarray opens it)
  corrected.shifts.csv       the shifts as a table: height, width in px, to be added to the content's
                             position (positive: towards larger row or column)
  corrected.report.html      did it work? pictures, figures, and a verdict

RECORDING is %s.
Several are joined in natural order (msCam2 before msCam10). Without any, a short recording with
known motion is simulated, and the error is printed.

An interrupted run goes on where it was when the same command is given again.
""" % _RECORDING  # noqa: UP031
_CORRECT_EXAMPLES = f"""\
examples:
  stillscope correct                                    try it on a simulated recording
  stillscope correct mouse1/ -o mouse1/corrected        all videos of a folder
  stillscope correct msCam*.avi -o corrected.tif        some files, to TIFF
  stillscope correct mouse1/ -o out --preset miniscope  dust, stripes or a vignette hold the estimate
  stillscope correct mouse1/ -o minian/Y_fm_chk.zarr    to go on in minian
  stillscope correct big.h5 -o out --memory 1GB         in as little memory

{_EXIT}
"""
_ESTIMATE = """\
Estimate the motion of a recording, and write its shifts (.shifts.zarr, .shifts.csv) and a report.
`stillscope apply` makes the corrected movie of them, of this recording or of another channel.
"""
_APPLY = """\
Move the frames of a recording by shifts that were estimated before. From the recording of a run and
its .shifts.zarr comes the corrected movie of that run, exactly.
"""
_APPLY_EXAMPLES = f"""\
examples:
  stillscope apply green/ red.shifts.zarr -o green.zarr
  stillscope apply small.tif big.shifts.zarr -o small_corrected.tif --binning 2

{_EXIT}
"""
_REPORT = """\
Make the report of a recording and its shifts anew, or a video of both movies side by side.
"""
_INFO = """\
Say what is in a recording, in a file of shifts, or in the remains of an interrupted run.
"""
_SELFTEST = """\
Simulate a short recording with known motion, correct it, and compare: does this installation work?
"""


_MOST_FRAMES = 10**7  # of a recording; a slip of the finger shall not fill the memory


class _Parser(argparse.ArgumentParser):
    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            write(message, file or sys.stderr)


def make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="stillscope",
        description="Motion correction for calcium-imaging movies.",
        epilog="`stillscope COMMAND --help` says more, with examples.",
    )
    parser.add_argument(
        "--version", action="version", version=f"stillscope {version('stillscope')}"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    correct = _add(commands, "correct", "correct the motion of a recording", _CORRECT,
                   _CORRECT_EXAMPLES)  # fmt: skip
    correct.add_argument("recordings", nargs="*", metavar="RECORDING", help="files or folders")
    _add_output(correct, "stillscope-out",
                "folder for the results, or the movie's path: .zarr, .tif or .avi")  # fmt: skip
    _add_estimate(correct)
    _add_applying(correct)
    _add_reading(correct)
    _add_running(correct)
    correct.add_argument("--no-report", action="store_true", help="make no report")
    correct.add_argument("--preview", action="store_true",
                         help="also make a video of both movies side by side (.mp4)")  # fmt: skip

    estimate = _add(commands, "estimate", "estimate the motion, write no movie", _ESTIMATE, _EXIT)
    estimate.add_argument("recordings", nargs="+", metavar="RECORDING", help=_RECORDING)
    _add_output(estimate, "stillscope-out", "folder for the results, or NAME.shifts.zarr")
    _add_estimate(estimate)
    _add_reading(estimate)
    _add_running(estimate)
    estimate.add_argument("--no-report", action="store_true", help="make no report")

    apply = _add(commands, "apply", "apply shifts to a recording", _APPLY, _APPLY_EXAMPLES)
    apply.add_argument("recordings", nargs="+", metavar="RECORDING", help=_RECORDING)
    apply.add_argument("shifts", metavar="SHIFTS", help="NAME.shifts.zarr of a run")
    _add_output(apply, None, "the movie's path: .zarr, .tif or .avi; or a folder")
    _add_applying(apply)
    apply.add_argument("--binning", type=float, default=1.0, metavar="N",
                       help="side of a pixel of this recording in pixels of the one that was "
                       "estimated (default: 1)")  # fmt: skip
    _add_reading(apply)
    _add_running(apply)

    report = _add(commands, "report", "make the report anew", _REPORT, _EXIT)
    report.add_argument("recordings", nargs="+", metavar="RECORDING", help=_RECORDING)
    report.add_argument("shifts", metavar="SHIFTS", help="NAME.shifts.zarr of a run")
    _add_output(report, None, "the page (.html), a folder for its pictures, or a video (.mp4)")
    _add_reading(report)
    _add_common(report)

    info = _add(commands, "info", "say what is in a file", _INFO, _EXIT)
    info.add_argument("paths", nargs="+", metavar="PATH", help="recordings, shifts, NAME.part")
    _add_reading(info)
    info.add_argument("--json", action="store_true", help="print JSON")

    selftest = _add(commands, "selftest", "does it work here?", _SELFTEST,
                    "exit status: 0 it works, 1 it does not")  # fmt: skip
    _add_common(selftest)
    return parser


def _add(commands, name, summary, description, epilog):
    return commands.add_parser(
        name, help=summary, description=description, epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def _add_output(parser, default, what):
    parser.add_argument(
        "-o", "--output", default=default, required=default is None, metavar="OUT",
        help=what + (f" (default: {default})" if default else ""),
    )  # fmt: skip


def _add_estimate(parser):
    group = parser.add_argument_group("the estimate (docs/quality.md)")
    group.add_argument("--preset", choices=("miniscope", "2p"),
                       help="filter what the estimate looks at: miniscope takes away vignettes and "
                       "what stays on the sensor, 2p noise")  # fmt: skip
    group.add_argument("--max-shift", type=_above_zero, metavar="PX",
                       help="frames further away are flagged (default: no limit)")  # fmt: skip
    group.add_argument("--refine", type=int, default=3, metavar="N",
                       help="passes of the fit at most; 0: minian's tree alone (default: 3)"
                       )  # fmt: skip
    group.add_argument("--nonrigid", action="store_true",
                       help="also find motion that differs across the frame")  # fmt: skip
    group.add_argument("--bad-frames", type=_frames, metavar="LIST",
                       help="frames known to be bad, such as 17,200-215")  # fmt: skip


def _add_applying(parser):
    group = parser.add_argument_group("the corrected movie")
    default = None if parser.prog.endswith("apply") else "linear"
    group.add_argument("--interpolation", choices=("linear", "cubic"), default=default,
                       help="from two pixels on each axis, or from four (default: "
                       f"{default or 'as in the run'})")  # fmt: skip
    border = None if parser.prog.endswith("apply") else "constant"
    group.add_argument("--border", choices=("constant", "nan", "nearest"), default=border,
                       help="what lies outside the frame (default: "
                       f"{border or 'as in the run'})")  # fmt: skip
    fill = None if parser.prog.endswith("apply") else 0
    group.add_argument("--fill", type=float, default=fill, metavar="VALUE",
                       help="its value with --border constant (default: "
                       f"{'as in the run' if fill is None else fill})")  # fmt: skip
    group.add_argument("--layout", choices=("frames", "pixels"), default="frames",
                       help="zarr: chunks of whole frames, or of all frames of some pixels"
                       )  # fmt: skip
    group.add_argument("--chunks", type=_sizes, metavar="N,H,W",
                       help="zarr: frames, height and width of a chunk")  # fmt: skip
    group.add_argument("--overwrite", action="store_true",
                       help="replace a file that is no result of stillscope")  # fmt: skip


def _add_reading(parser):
    group = parser.add_argument_group("reading (docs/files.md)")
    group.add_argument("--dataset", metavar="NAME", help="array of a zarr group or HDF5 file")
    group.add_argument("--frame-rate", type=_above_zero, metavar="HZ", help="in place of the file's")
    group.add_argument("--pixel-size", type=_pair, metavar="UM[,UM]",
                       help="height and width of a pixel [micrometres]")  # fmt: skip


def _add_running(parser):
    _add_common(parser)
    parser.add_argument("--memory", default="2GB", metavar="SIZE",
                        help="what the process may use, whatever the length (default: 2GB)"
                        )  # fmt: skip
    parser.add_argument("--restart", action="store_true",
                        help="begin anew what was interrupted")  # fmt: skip


def _add_common(parser):
    parser.add_argument("--threads", type=_positive, metavar="N",
                        help="number of threads (default: STILLSCOPE_NUM_THREADS, else "
                        "OMP_NUM_THREADS, else what the process may use)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("-q", "--quiet", action="store_true", help="no plan, no bars")


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {value}")
    return value


def _above_zero(text):
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def _pair(text):
    sides = [_above_zero(side) for side in text.split(",")]
    if len(sides) not in (1, 2):
        raise argparse.ArgumentTypeError(f"expected one number or two, got {text}")
    return sides[0], sides[-1]


def _sizes(text):
    sizes = tuple(_positive(size) for size in text.split(","))
    if len(sizes) != 3:
        raise argparse.ArgumentTypeError(f"expected three numbers, got {text}")
    return sizes


def _frames(text):
    """``17,200-215`` as a list of indices."""
    frames = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin, end = int(first), int(last or first)
        if end < begin:
            raise argparse.ArgumentTypeError(f"expected a range such as 3-7, got {part}")
        if end >= _MOST_FRAMES:
            raise argparse.ArgumentTypeError(f"expected frames below {_MOST_FRAMES}, got {part}")
        frames += range(begin, end + 1)
    return frames


# What argparse calls them in its messages.
_positive.__name__ = "number"
_above_zero.__name__ = "number"
_pair.__name__ = "size"
_sizes.__name__ = "chunks"
_frames.__name__ = "list of frames"
