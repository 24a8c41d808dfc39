# SPDX-License-Identifier: GPL-3.0-or-later
"""How many threads run: docs/threading.md, held by counting the process's own."""

import json
import os
import warnings

import pytest
from support import in_new_process, moving_movie, quietly

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc"
)

TIMEOUT = 60  # s
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
# Threads beside the schedulers' and the kernels': measured 0; one may be starting or ending.
SLACK = 1

# Samples the number of threads of its process, itself left out, and how many of them run.
SAMPLER = '''
import os
import threading
import time


class Sampler:
    def __enter__(self):
        self.most, self.running, self.stop = 0, [], threading.Event()
        self.thread = threading.Thread(target=self.sample)
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        self.thread.join()

    def sample(self):
        own = str(threading.get_native_id())
        while not self.stop.is_set():
            tasks = [task for task in os.listdir("/proc/self/task") if task != own]
            running = 0
            for task in tasks:
                try:
                    with open(f"/proc/self/task/{task}/stat") as file:
                        running += file.read().rpartition(")")[2].split()[0] == "R"
                except OSError:  # it has ended
                    pass
            self.most = max(self.most, len(tasks))
            self.running.append(running)
            time.sleep(0.001)


def threads():
    return len(os.listdir("/proc/self/task"))
'''

UNDER_DASK = (
    SAMPLER
    + '''
import json
import sys

import dask
import numpy as np
import xarray as xr

import stillscope.motion_correction as mc

workers, what = int(sys.argv[1]), sys.argv[2]
rng = np.random.default_rng(0)
movie = rng.integers(0, 255, (8 * workers, 200, 240), np.uint8)
varr = xr.DataArray(movie, dims=["frame", "height", "width"]).chunk({"frame": 4})
if what == "estimate":
    work = mc.estimate_motion(varr)
else:
    many = xr.concat([varr] * 20, "frame").chunk({"frame": 40})
    shifts = xr.DataArray(
        rng.uniform(-3, 3, (many.sizes["frame"], 2)), dims=["frame", "shift_dim"]
    )
    work = mc.apply_transform(many, shifts).max("frame")
before = threads()
with dask.config.set(scheduler="threads", num_workers=workers), Sampler() as sampler:
    work.compute()
running = sorted(sampler.running)
print(json.dumps([before, sampler.most, running[len(running) // 2], len(running)]))
'''
)


@pytest.mark.parametrize("what", ["estimate", "apply"])
@pytest.mark.parametrize("workers", [2, 6])
def test_dask_threads_do_not_multiply_the_kernels(what, workers):
    """W dask threads and one arena of as many threads as there are cores: W - 1 + C at most, not
    W times C."""
    pytest.importorskip("xarray")
    pytest.importorskip("dask.array")
    environment = {"STILLSCOPE_NUM_THREADS": "", "OMP_NUM_THREADS": ""}
    before, most, running, samples = in_new_process(UNDER_DASK, workers, what, **environment)
    assert samples >= 10  # else nothing was seen
    assert most > before
    assert most <= before + workers + CORES - 1 + SLACK
    # And no more of them run than the arena has places; the others wait. Applying goes on to a
    # maximum of NumPy's, which dask's threads take side by side.
    if what == "estimate":
        assert running <= CORES + SLACK


# --- the variable and the argument ----------------------------------------------------------------

HEAVY = ["stillscope.estimate_motion", "stillscope.apply_motion", "mc.est_motion_chunk",
         "mc.estimate_motion", "mc.apply_transform"]  # fmt: skip

CALLS = '''
import json
import os
import sys

import numpy as np

import stillscope

movie = np.random.default_rng(0).random((40, 96, 100), np.float32)
shifts = np.full((40, 2), 0.3)
name = sys.argv[1]
if name.startswith("mc."):
    import xarray as xr

    import stillscope.motion_correction as mc
    varr = xr.DataArray(movie, dims=["frame", "height", "width"])
    moves = xr.DataArray(shifts, dims=["frame", "shift_dim"])
calls = {
    "stillscope.estimate_motion": lambda n: stillscope.estimate_motion(movie, n_threads=n),
    "stillscope.apply_motion": lambda n: stillscope.apply_motion(movie, shifts, n_threads=n),
    "mc.est_motion_chunk": lambda n: mc.est_motion_chunk(movie, None, 3, 5, n_threads=n),
    "mc.estimate_motion": lambda n: mc.estimate_motion(varr, n_threads=n),
    "mc.apply_transform": lambda n: mc.apply_transform(varr, moves, n_threads=n).compute(
        scheduler="synchronous"
    ),
}
counts = []
for variable, n_threads in [("1", 1), *json.loads(sys.argv[2])]:
    os.environ["STILLSCOPE_NUM_THREADS"] = variable
    calls[name](n_threads)
    counts.append(len(os.listdir("/proc/self/task")))
print(json.dumps([count - counts[0] for count in counts[1:]]))
'''


@pytest.mark.parametrize("name", HEAVY)
@pytest.mark.parametrize(
    ("calls", "started"),
    [([("1", None), ("2", None)], [0, 1]), ([("8", 1), ("1", 2)], [0, 1])],
    ids=["the variable is read at each call", "the argument goes before it"],
)
def test_every_heavy_call_has_its_number_of_threads(name, calls, started):
    """Threads that were started stay, to be used again: so they can be counted afterwards."""
    if name.startswith("mc."):
        pytest.importorskip("xarray")
        pytest.importorskip("dask.array")
    expected = [min(count, CORES - 1) for count in started]
    assert in_new_process(CALLS, name, json.dumps(calls)) == expected


# --- a cluster of processes -----------------------------------------------------------------------


def start_sampling(dask_worker):
    """On a worker: counts its process's threads from now on."""
    import threading
    import time

    def sample():
        while not dask_worker.stop_sampling.is_set():
            dask_worker.most_threads = max(
                dask_worker.most_threads, len(os.listdir("/proc/self/task"))
            )
            time.sleep(0.001)

    dask_worker.stop_sampling = threading.Event()
    dask_worker.most_threads = 0
    threading.Thread(target=sample, daemon=True).start()
    time.sleep(0.05)
    return dask_worker.most_threads


def stop_sampling(dask_worker):
    dask_worker.stop_sampling.set()
    return dask_worker.most_threads


def hold(seconds):
    import time

    time.sleep(seconds)


@pytest.mark.filterwarnings("ignore")  # of the cluster's own threads and sockets
def test_workers_of_a_cluster_run_no_more_threads_than_they_have(monkeypatch):
    """Two processes of two threads each: one arena of two in each process, so one more thread."""
    distributed = pytest.importorskip("distributed")
    xr = pytest.importorskip("xarray")
    mc = pytest.importorskip("stillscope.motion_correction")
    monkeypatch.delenv("STILLSCOPE_NUM_THREADS", raising=False)
    distributed_workers, nthreads = 2, 2
    movie = moving_movie(64, 160, 200, seed=31)[0].astype("u1")
    varr = xr.DataArray(movie, dims=["frame", "height", "width"]).chunk({"frame": 4})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=distributed_workers, threads_per_worker=nthreads, processes=True,
            dashboard_address=None,
        ) as cluster, distributed.Client(cluster, timeout=TIMEOUT) as client:  # fmt: skip
            # All threads of the workers' own pools exist before anything is counted.
            warm = client.map(hold, [0.2] * 4 * distributed_workers * nthreads, pure=False)
            distributed.wait(warm, timeout=TIMEOUT)
            before = client.run(start_sampling)
            motion = client.compute(mc.estimate_motion(varr)).result(timeout=TIMEOUT)
            applied = client.compute(mc.apply_transform(varr, motion).max("frame"))
            applied = applied.result(timeout=TIMEOUT)
            most = client.run(stop_sampling)
    assert len(before) == distributed_workers
    arena = min(nthreads, CORES)
    for worker, count in before.items():
        # distributed itself moves large data on threads of its own: measured one.
        assert most[worker] <= count + arena - 1 + 2
    here = quietly(lambda: mc.estimate_motion(varr).compute(scheduler="synchronous"))
    assert motion.values.tobytes() == here.values.tobytes()
    assert applied.shape == movie.shape[1:]
