# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on a cluster of processes: the recipe of docs/files.md, and workers that are killed."""

import contextlib
import os
import signal
import threading
import warnings

import numpy as np
import pytest
from support import digest

import stillscope
from stillscope.io.writers import write_movie
from stillscope.pipeline.job import Job, is_unfinished
from stillscope.simulate import simulate_movie

distributed = pytest.importorskip("distributed")
pytest.importorskip("zarr")
pytest.importorskip("av")

TIMEOUT = 120  # s, of a run that takes a few

# The cluster's own threads and processes warn of what is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


@contextlib.contextmanager
def cluster_of_processes():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster, distributed.Client(cluster) as client:
            yield client


@pytest.fixture(scope="module")
def client():
    with cluster_of_processes() as client:
        yield client


@pytest.fixture
def own_client():
    """Of a cluster whose processes may be killed."""
    with cluster_of_processes() as client:
        yield client


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recording")
    movie, _ = simulate_movie(120, 160, 200)
    for k, part in enumerate(np.split(movie, 3)):
        write_movie(folder / f"msCam{k}.avi", part)
    return folder


@pytest.mark.parametrize(
    ("name", "options"),
    [("c.zarr", {"chunks": (8, 160, 200)}), ("c.zarr", {"layout": "pixels"}), ("c.tif", {}),
     ("c.avi", {})],
)  # fmt: skip
def test_a_cluster_makes_what_one_process_makes(client, recording, tmp_path, name, options):
    one = stillscope.correct(recording, tmp_path / "one" / name, report=False, **options)
    many = stillscope.correct(
        recording, tmp_path / "many" / name, report=False, client=client, **options
    )
    assert digest(tmp_path / "many") == digest(tmp_path / "one")
    assert np.array_equal(many.motion.shifts, one.motion.shifts)


def test_a_report_is_made_on_the_cluster_too(client, recording, tmp_path):
    pytest.importorskip("matplotlib")
    result = stillscope.correct(recording, tmp_path / "c.zarr", client=client)
    assert result.report.stat().st_size > 10_000


def kill_at(stage, pids, mark):
    """From here on in this process: once this has been noted for the first time, in whichever
    process, all of these are killed. `mark`: a file that says that they have been."""
    note = Job.note

    def note_and_kill(self, **state):
        note(self, **state)
        if not state.get(stage):
            return
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        for pid in sorted(pids, key=lambda pid: pid == os.getpid()):  # this one last
            os.kill(pid, signal.SIGKILL)

    Job.note = note_and_kill


@pytest.mark.parametrize("stage", ["spool", "estimated", "written"])
def test_workers_killed_in_the_middle_cost_nothing_but_their_time(
    own_client, recording, tmp_path, monkeypatch, stage
):
    options = {"chunks": (2, 160, 200), "report": False}
    stillscope.correct(recording, tmp_path / "one" / "c.zarr", **options)
    destination = tmp_path / "many" / "c.zarr"
    mark = tmp_path / "killed"
    pids = list(own_client.run(os.getpid).values())
    # Workers note what they have decoded and estimated, this process what has been written.
    monkeypatch.setattr(Job, "note", Job.note)
    kill_at(stage, pids, mark)
    own_client.run(kill_at, stage, pids, mark)
    outcome = []

    def run():
        try:
            outcome.append(stillscope.correct(recording, destination, client=own_client, **options))
        except BaseException as error:  # looked at below
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    assert mark.exists()
    assert outcome, f"the run has not ended in {TIMEOUT} s"
    assert isinstance(outcome[0], stillscope.Correction), outcome[0]
    assert digest(tmp_path / "many") == digest(tmp_path / "one")
    assert not is_unfinished(destination.with_name("c.part"))
