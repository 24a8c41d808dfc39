# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed, that fail, or that meet others: nothing is lost, and what comes out in the
end has the bytes of an undisturbed run.

STILLSCOPE_KILLS: how many kills at random moments, in place of a few.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import digest

import stillscope
from stillscope.io.writers import write_movie
from stillscope.pipeline import BusyError
from stillscope.pipeline.job import Job, is_unfinished

pytest.importorskip("zarr")
pytest.importorskip("av")

KILLS = int(os.environ.get("STILLSCOPE_KILLS", "8"))
MOST_CALLS = 2000  # that bring something to the disk; a run makes 200 to 310
START_SECONDS = 60  # s, until a run has begun; measured 0.5
# s, until Ctrl-C has ended a run; measured 0.1 to 0.4, and 3 where eight others wanted the two
# processors.
END_SECONDS = 10
SCRIPT = Path(__file__).with_name("interrupted_run.py")
SHAPE = (90, 96, 112)
CASES = {
    "zarr": ("corrected.zarr", {"chunks": [7, 96, 112]}),
    "pixels": ("Y_hw_chk.zarr", {"layout": "pixels"}),
    "tiff": ("corrected.tif", {}),
    "avi": ("corrected.avi", {}),
}


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Three files of 30 frames: a scene that moves by a few pixels, and noise."""
    folder = tmp_path_factory.mktemp("recording")
    rng = np.random.default_rng(11)
    scene = rng.normal(0, 1, (SHAPE[1] + 16, SHAPE[2] + 16))
    for _ in range(4):
        scene = sum(np.roll(scene, step, axis) for axis in (0, 1) for step in (-1, 0, 1)) / 6
    scene *= 30 / scene.std()
    where = np.clip(np.cumsum(rng.integers(-1, 2, (SHAPE[0], 2)), axis=0), -7, 7) + 8
    movie = np.stack([scene[y : y + SHAPE[1], x : x + SHAPE[2]] for y, x in where])
    movie = np.clip(movie + 120 + rng.normal(0, 3, movie.shape), 0, 255).astype(np.uint8)
    for k, part in enumerate(np.split(movie, 3)):
        write_movie(folder / f"msCam{k + 1}.avi", part)
    return folder


def part_of(destination):
    """Of a run that is not finished."""
    return destination.with_name(destination.stem + ".part")


def command(recording, destination, options, **more):
    arguments = {
        "source": str(recording), "destination": str(destination),
        "options": {"report": False, **options}, **more,
    }  # fmt: skip
    return [sys.executable, str(SCRIPT), json.dumps(arguments)]


def undisturbed(recording, folder, case):
    name, options = CASES[case]
    start = time.monotonic()
    subprocess.run(command(recording, folder / name, options), check=True)
    return digest(folder), time.monotonic() - start


@pytest.mark.parametrize("case", CASES)
def test_kills_at_random_moments_cost_nothing_but_time(recording, tmp_path, case):
    name, options = CASES[case]
    expected, seconds = undisturbed(recording, tmp_path / "whole", case)
    rng = random.Random(f"{case} 4")
    kills = 0
    while kills < max(1, KILLS // len(CASES)):
        folder = tmp_path / f"killed{kills}"
        destination = folder / name
        for attempt in range(1000):
            run = subprocess.Popen(command(recording, destination, options))
            try:
                # Half of the kills where the work is, behind the imports.
                run.wait(rng.uniform(0.0, 1.1 * seconds))
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait()
                kills += 1
                if destination.exists():  # all of it, or nothing
                    assert digest(destination).items() <= {
                        k.removeprefix(f"{name}/"): v for k, v in expected.items()
                    }.items() if destination.is_dir() else True
                continue
            assert run.returncode == 0
            break
        assert digest(folder) == expected
        assert not is_unfinished(part_of(destination))
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("case", "error"), [("zarr", "EIO"), ("pixels", "ENOSPC"), ("tiff", "ENOSPC"), ("avi", "EIO")]
)
def test_errors_of_the_disk_name_the_path_and_cost_nothing_but_time(
    recording, tmp_path, case, error
):
    name, options = CASES[case]
    expected, _ = undisturbed(recording, tmp_path / "whole", case)
    folder = tmp_path / "failing"
    step = random.Random(f"{case} {error}").randint(15, 25)
    failures = 0
    for call in range(1, MOST_CALLS, step):
        run = subprocess.run(
            command(recording, folder / name, options, fail_at=call, error=error),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if run.returncode == 0:
            break
        assert run.returncode == 3, run.stderr
        assert str(folder) in run.stderr
        assert "bytes to be written" in run.stderr
        failures += 1
    assert run.returncode == 0
    assert failures >= 2
    assert digest(folder) == expected


def test_a_full_disk_is_named_and_the_run_goes_on_once_there_is_room(recording, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    size = 32 << 20
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        expected, _ = undisturbed(recording, tmp_path / "whole", "zarr")
        name, options = CASES["zarr"]
        full = disk / "something else"
        for stage in (None, "spool", "estimated", "written"):
            if stage is None:
                fill(full)
            run = subprocess.Popen(
                command(recording, disk / "out" / name, options, stop_at=stage),
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            if stage is not None:
                os.waitid(os.P_PID, run.pid, os.WSTOPPED | os.WNOWAIT)
                fill(full)
                run.send_signal(signal.SIGCONT)
            error = run.communicate()[1]
            assert run.returncode == 3, error
            assert str(disk) in error and "bytes" in error
            full.unlink()
        subprocess.run(command(recording, disk / "out" / name, options), check=True)
        assert digest(disk / "out") == expected
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(path):
    """Writes until the disk is full."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def kill_in(stage, recording, destination, **options):
    """A run that is killed when it notes that it has done this."""
    run = subprocess.run(command(recording, destination, options, die_at=stage), check=False)
    assert run.returncode == -signal.SIGKILL


def test_an_older_result_stays_until_the_new_one_is_complete(recording, tmp_path):
    destination = tmp_path / "corrected.zarr"
    stillscope.correct(recording, destination, report=False, max_shift=20.0)
    older = digest(tmp_path)
    kill_in("estimated", recording, destination)
    there = {k: v for k, v in digest(tmp_path).items() if ".part" not in k}
    assert there == older
    stillscope.correct(recording, destination, report=False)
    newer = digest(tmp_path)
    assert newer.keys() == older.keys() and newer != older


def test_a_run_of_other_parameters_or_another_recording_is_refused(recording, tmp_path):
    destination = tmp_path / "corrected.zarr"
    kill_in("estimated", recording, destination)
    with pytest.raises(ValueError, match=r"part.*max_shift: expected None, got 20.0.*restart=True"):
        stillscope.correct(recording, destination, report=False, max_shift=20.0)
    with pytest.raises(ValueError, match=r"part.*recording.*restart=True"):
        stillscope.correct(recording / "msCam1.avi", destination, report=False)
    stillscope.correct(recording, destination, report=False, max_shift=20.0, restart=True)
    assert not is_unfinished(part_of(destination))


def test_a_recording_that_has_changed_meanwhile_is_refused(recording, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(recording, copy)
    destination = tmp_path / "out" / "corrected.zarr"
    options = {"chunks": [7, 96, 112]}
    kill_in("estimated", copy, destination, **options)
    os.utime(copy / "msCam2.avi")
    with pytest.raises(ValueError, match="modified"):
        stillscope.correct(copy, destination, report=False, chunks=(7, 96, 112))


def test_two_runs_on_one_destination_the_second_is_refused(recording, tmp_path):
    destination = tmp_path / "corrected.zarr"
    with Job(part_of(destination), {}):
        with pytest.raises(BusyError, match="another run"):
            stillscope.correct(recording, destination, report=False)
    stillscope.correct(recording, destination, report=False, restart=True)


def test_an_interrupted_move_of_the_results_goes_on(recording, tmp_path):
    """The last steps one by one: whatever is reached, the same call ends with the same bytes."""
    expected, _ = undisturbed(recording, tmp_path / "whole", "zarr")
    name, options = CASES["zarr"]
    older = dict(options, max_shift=30.0)
    for steps in range(1, 40):
        folder = tmp_path / f"steps{steps}"
        subprocess.run(command(recording, folder / name, older), check=True)
        run = subprocess.run(command(recording, folder / name, options, die_in_commit=steps),
                             check=False)  # fmt: skip
        again = subprocess.run(command(recording, folder / name, options), check=False)
        assert again.returncode == 0
        assert digest(folder) == expected
        shutil.rmtree(folder)
        if run.returncode == 0:
            break
    assert steps > 8


def test_a_layout_of_pixels_goes_on_with_another_memory(tmp_path):
    from stillscope.io.writers import MovieSpec, open_writer

    movie = np.random.default_rng(1).integers(0, 255, (40, 12, 30), dtype=np.uint8)
    spec = MovieSpec("zarr", movie.shape, movie.dtype, None, None, (40, 3, 5), "m")

    def writer_that_stops(after):
        writer = open_writer(tmp_path / "m", spec)
        turn, turned = writer._turn, []

        def counted(*arguments):
            if len(turned) == after:
                raise KeyboardInterrupt
            turned.append(turn(*arguments))

        writer._turn = counted
        return writer

    writer = writer_that_stops(3)
    writer.begin()
    writer.write(0, movie)
    with pytest.raises(KeyboardInterrupt):
        writer.finish(1 << 30)
    with pytest.raises(KeyboardInterrupt):
        writer_that_stops(5).finish(1)
    open_writer(tmp_path / "m", spec).finish(40_000)
    with stillscope.open_movie(tmp_path / "m") as found:
        assert np.array_equal(found[:], movie)


def test_a_recording_that_is_written_to_during_the_run_is_refused(tmp_path):
    movie = np.random.default_rng(2).integers(0, 200, (30, 40, 50), dtype=np.uint8)
    np.save(tmp_path / "m.npy", movie)
    times = iter([[1], [2], [3]])
    from stillscope.pipeline.recording_input import RecordingInput

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RecordingInput, "modified", lambda self: next(times))
        with pytest.raises(ValueError, match="^source: a file of the recording was written to"):
            stillscope.correct(tmp_path / "m.npy", tmp_path / "c.zarr", report=False)
    assert not (tmp_path / "c.zarr").exists()


def test_a_call_that_failed_stands_in_the_way_of_no_other(recording, tmp_path):
    with pytest.raises(ValueError, match="^bad_frames: expected"):
        stillscope.correct(recording, tmp_path / "c.zarr", report=False, bad_frames=[999])
    assert is_unfinished(tmp_path / "c.part")
    result = stillscope.correct(recording, tmp_path / "c.zarr", report=False, bad_frames=[9])
    assert result.motion.quality.flags["given"].sum() == 1


def test_a_fill_that_is_no_number_can_be_gone_on_with(recording, tmp_path):
    movie = tmp_path / "m.npy"
    np.save(movie, np.random.default_rng(3).normal(0, 1, (30, 40, 50)).astype(np.float32))
    options = {"fill": float("nan"), "chunks": [4, 40, 50]}
    kill_in("estimated", movie, tmp_path / "c.zarr", **options)
    run = subprocess.run(command(movie, tmp_path / "c.zarr", options), check=False)
    assert run.returncode == 0


def test_what_was_being_written_when_a_run_was_killed_goes(tmp_path):
    with Job(tmp_path / "c.part", {}) as job:
        job.note(written=3)
    for name in (".state-0123abcd.json", ".estimate-0123abcd.checkpoint", ".nfs0000"):
        job.path(name).touch()
    with Job(tmp_path / "c.part", {}) as job:
        assert job.is_resumed and job.state == {"written": 3}
    found = sorted(path.name for path in job.folder.iterdir())
    assert found == [".nfs0000", "lock", "request.json", "state.json"]


def test_notes_of_others_who_work_on_a_job_stay(tmp_path):
    with Job(tmp_path / "c.part", {}) as job:
        Job.attach(tmp_path / "c.part").note(spool={"0": {"frames": 3}})
        job.note(failed=True)
        assert job.state == {"spool": {"0": {"frames": 3}}, "failed": True}


def test_the_lock_is_free_of_races(tmp_path):
    """Two processes that make and finish jobs of one name: each has it alone."""
    code = (
        "import sys, time, pathlib\n"
        "from stillscope.pipeline.job import BusyError, Job\n"
        "folder, end, made = pathlib.Path(sys.argv[1]), time.monotonic() + 3, 0\n"
        "while time.monotonic() < end:\n"
        "    try:\n"
        "        with Job(folder / 'c.part', {}) as job:\n"
        "            job.path('m').write_text('m')\n"
        "            job.commit({'m': folder / 'c'})\n"
        "            made += 1\n"
        "    except BusyError:\n"
        "        pass\n"
        "print(made)\n"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    counts = [int(run.communicate()[0]) for run in runs]
    assert min(counts) > 0


def test_the_same_call_again_has_nothing_to_do(recording, tmp_path):
    first = stillscope.correct(recording, tmp_path / "corrected.zarr", report=False)
    times = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    second = stillscope.correct(recording, tmp_path / "corrected.zarr", report=False)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file != tmp_path} == {
        file: time for file, time in times.items() if file != tmp_path
    }
    assert (second.movie, second.shifts, second.csv) == (first.movie, first.shifts, first.csv)


def test_ctrl_c_ends_a_run_within_a_second(recording, tmp_path):
    destination = tmp_path / "corrected.avi"
    movie = tmp_path / "long.npy"
    rng = np.random.default_rng(3)
    np.save(movie, rng.integers(0, 200, (600, 480, 752), dtype=np.uint8))
    run = subprocess.Popen(
        command(movie, destination, {}), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    request = part_of(destination) / "request.json"
    try:
        start = time.monotonic()
        while not request.exists():
            assert run.poll() is None, run.communicate()[1]
            assert time.monotonic() - start < START_SECONDS
            time.sleep(0.01)
        time.sleep(1.0)
        assert run.poll() is None
        os.killpg(run.pid, signal.SIGINT)
        start = time.monotonic()
        error = run.communicate(timeout=START_SECONDS)[1]
        seconds = time.monotonic() - start
    finally:
        run.kill()
    assert "KeyboardInterrupt" in error
    assert is_unfinished(part_of(destination))
    assert seconds < END_SECONDS
