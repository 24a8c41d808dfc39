# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory an estimate takes beside the movie: its peak, in a process of its own."""

import os

import pytest
from support import in_new_process

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/clear_refs"), reason="peaks are read from /proc"
)

MB = 1e6
# Above the loaded movie of 480x752. Measured 65 MB (the tree alone) and 112 MB (refined) on one
# thread, 76 and 123 MB on two: the templates of chunks that wait for one another are most of it.
MOST = 200 * MB
# What 600 frames more may add: bytes for their shifts and quality. Measured 0.4 MB.
MOST_GROWTH = 4 * MB
# Which of two threads is ahead of the other adds up to 5.2 MB to some peaks: the lowest of so many.
REPEATS = {1: 1, 2: 4}

MOVIE = '''
import json
import os
import sys

import numpy as np


def megabytes(name):
    with open("/proc/self/status") as file:
        (line,) = [line for line in file if line.startswith(name)]
    return int(line.split()[1]) * 1024


def forget_peak():
    """From here on the peak is that of what follows."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def moving(frames):
    rng = np.random.default_rng(0)
    scene = rng.random((60, 94)).repeat(8, axis=0).repeat(8, axis=1) * 150
    movie = np.empty((frames, 480, 752), np.uint8)
    for t in range(frames):
        dy, dx = rng.integers(-5, 6, 2)
        movie[t] = np.roll(scene, (dy, dx), (0, 1)) + rng.integers(0, 40, (480, 752), np.uint8)
    return movie
'''

IN_MEMORY = (
    MOVIE
    + '''
import stillscope

frames, n_threads, refine = map(int, sys.argv[1:])
movie = moving(frames)
forget_peak()
loaded = megabytes("VmRSS")
motion = stillscope.estimate_motion(movie, n_threads=n_threads, refine=refine)
peak = megabytes("VmHWM")
assert motion.shifts.shape == (frames, 2)
assert motion.stats["counts"]["fallbacks"] == 0
print(json.dumps(peak - loaded))
'''
)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("refine", [0, 2])
def test_an_estimate_needs_little_memory_whatever_the_frames(n_threads, refine):
    # Several chunks of the tree in both, whose templates wait for one another.
    few, many = (
        [in_new_process(IN_MEMORY, frames, n_threads, refine) for _ in range(REPEATS[n_threads])]
        for frames in (600, 1200)
    )
    assert max(*few, *many) < MOST
    assert min(many) <= min(few) + MOST_GROWTH


APPLIED = (
    MOVIE
    + '''
import stillscope

frames = int(sys.argv[1])
movie = moving(frames)
out = np.zeros_like(movie)
shifts = np.random.default_rng(1).uniform(-5, 5, (frames, 2))
stillscope.apply_motion(movie[:2], shifts[:2], out=out[:2])
forget_peak()
before = megabytes("VmRSS")
stillscope.apply_motion(movie, shifts, out=out)
print(json.dumps(megabytes("VmHWM") - before))
'''
)


def test_applying_into_memory_that_is_there_needs_next_to_none():
    # Measured 0.04 MB.
    assert in_new_process(APPLIED, 200) < 4 * MB


UNDER_DASK = (
    MOVIE
    + '''
import dask
import dask.array as da
import xarray as xr

import stillscope.motion_correction as mc

frames, chunk, workers, refine = map(int, sys.argv[1:])


def block(block_info=None):
    first, last = block_info[None]["array-location"][0]
    return moving(last - first)


data = da.map_blocks(
    block, dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8),
    chunks=((chunk,) * (frames // chunk), (480,), (752,)),
)
varr = xr.DataArray(data, dims=["frame", "height", "width"])
# What the first call of anything loads.
mc.estimate_motion(varr[:2]).compute(scheduler="synchronous")
forget_peak()
before = megabytes("VmRSS")
with dask.config.set(scheduler="threads", num_workers=workers):
    motion = mc.estimate_motion(varr, refine=refine).compute()
assert motion.shape == (frames, 2)
print(json.dumps(megabytes("VmHWM") - before))
'''
)


@pytest.mark.parametrize("workers", [1, 2])
def test_through_dask_a_chunk_a_worker_is_held(workers):
    """The movie as a whole never is: chunks are made when they are wanted."""
    pytest.importorskip("xarray")
    pytest.importorskip("dask.array")
    chunk = 60
    chunk_bytes = chunk * 480 * 752
    peaks = [in_new_process(UNDER_DASK, frames, chunk, workers, 0) for frames in (240, 600)]
    # Measured 108 and 146 MB with one worker, 148 and 164 with two, chunks included (22 MB each).
    for peak in peaks:
        assert peak < workers * chunk_bytes + MOST


def test_through_dask_a_refined_estimate_holds_a_chunk():
    pytest.importorskip("xarray")
    pytest.importorskip("dask.array")
    chunk = 60
    peaks = [in_new_process(UNDER_DASK, frames, chunk, 1, 2) for frames in (240, 600)]
    # Measured 159 and 182 MB, a chunk (22 MB) and its making included.
    for peak in peaks:
        assert peak < 2 * chunk * 480 * 752 + MOST


RESIDUAL = (
    MOVIE
    + '''
import stillscope

frames, n_threads = map(int, sys.argv[1:])
movie = moving(frames)
stillscope.residual_motion(movie[:2], n_threads=n_threads)
forget_peak()
before = megabytes("VmRSS")
left = stillscope.residual_motion(movie, np.zeros((frames, 2)), n_threads=n_threads)
assert left.shape == (frames,)
print(json.dumps(megabytes("VmHWM") - before))
'''
)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_residual_motion_needs_little_memory_whatever_the_frames(n_threads):
    peaks = [in_new_process(RESIDUAL, frames, n_threads) for frames in (100, 300)]
    # Measured 2.7 and 2.9 MB: the sum of the frames (most of it is kept from the first call), and a
    # binned frame a thread.
    assert max(peaks) < 40 * MB
    assert peaks[1] <= peaks[0] + MOST_GROWTH
