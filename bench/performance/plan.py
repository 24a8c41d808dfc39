# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is measured: the full run, which the page shows, and a quick one."""

from __future__ import annotations

from dataclasses import dataclass

from common.environments import ROOT

COMMAND = "bench/performance/run.sh"  # that does all of this
BUILD = ROOT / "build" / "performance"
MOVIES = BUILD / "movies"

SECTIONS = (
    "peers", "apply", "contract", "stages", "frames", "threads", "sizes", "memory", "files",
)  # fmt: skip

EXTENT = (480, 752)  # a frame of a miniscope (height, width) [px]
PRIME_EXTENT = (479, 751)  # both prime: the worst sizes for a Fourier transform
TYPES = ("uint8", "float32")  # pixel types in which recordings are mostly held
ALL_TYPES = ("uint8", "uint16", "float32", "float64")
SIZES = (EXTENT, (608, 608), (512, 512), (600, 600), PRIME_EXTENT)


@dataclass(frozen=True)
class Plan:
    """Frames and repeats of every measurement.

    Attributes
    ----------
    name : str
        How the page calls this plan.
    base_frames : int
        Frames that are simulated; longer movies go forth and back over them.
    peer_frames, slow_frames : int
        Frames given to a peer, and to one that takes a tenth of a second each.
    repeats : int
        Timed runs of each measurement.
    budget_s : float
        No further run is started after this many seconds of timed runs.
    block : int
        Frames of a block in the table over blocks.
    blocks, slow_blocks : tuple of int
        Numbers of blocks there, and those for which minian before its speed-up is run.
    scaling : tuple of int
        Numbers of frames of the native estimate.
    memory : tuple of int
        Numbers of frames of the estimates whose memory is compared.
    thread_frames, size_frames : int
        Frames of the movies over threads, and over sizes and pixel types.
    files : tuple of int
        Numbers of frames of the recordings in files: whole files each.
    file_frames : int
        Frames of a file.
    kernel_repeats : int
        Repetitions of each kernel.
    kernel_seconds : float
        Least time of one of them [s].
    """

    name: str
    base_frames: int
    peer_frames: int
    slow_frames: int
    repeats: int
    budget_s: float
    block: int
    blocks: tuple[int, ...]
    slow_blocks: tuple[int, ...]
    scaling: tuple[int, ...]
    memory: tuple[int, ...]
    thread_frames: int
    size_frames: int
    files: tuple[int, ...]
    file_frames: int
    kernel_repeats: int
    kernel_seconds: float


FULL = Plan(
    name="full",
    base_frames=1000,
    peer_frames=250,
    slow_frames=120,
    repeats=5,
    budget_s=30,
    block=250,
    blocks=(1, 2, 4, 8),
    slow_blocks=(1, 2),
    scaling=(100, 300, 1000, 3000, 10000, 20000),
    memory=(100, 300, 1000),  # minian takes some 6 MiB a frame
    thread_frames=500,
    size_frames=120,
    files=(2000, 5000, 20000),
    file_frames=1000,
    kernel_repeats=7,
    kernel_seconds=0.3,
)

QUICK = Plan(
    name="quick",
    base_frames=300,
    peer_frames=40,
    slow_frames=20,
    repeats=3,
    budget_s=10,
    block=30,
    blocks=(1, 2),
    slow_blocks=(1,),
    scaling=(100, 300, 1000),
    memory=(50, 100),
    thread_frames=100,
    size_frames=30,
    files=(100, 200),
    file_frames=50,
    kernel_repeats=3,
    kernel_seconds=0.05,
)
