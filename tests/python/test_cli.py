# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: what it writes, what it prints, how it ends."""

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import stillscope
from stillscope.cli import main
from stillscope.io.writers import write_movie
from stillscope.pipeline.job import Job
from stillscope.simulate import residual_motion, simulate_movie

for library in ("av", "zarr", "matplotlib", "jinja2"):
    pytest.importorskip(library)

# Error of the shifts against the known motion of the simulated recording [px]: measured RMS 0.004,
# max 0.010.
SIMULATED_RMS = 0.01
SIMULATED_MAX = 0.03
# Mean correlation of its frames with the template: measured 0.906 before, 0.989 after.
SIMULATED_BEFORE = 0.92
SIMULATED_AFTER = 0.97

RESULTS = [
    "corrected.report.html", "corrected.run.json", "corrected.shifts.csv", "corrected.shifts.zarr",
    "corrected.zarr",
]  # fmt: skip


@pytest.fixture
def recording(tmp_path):
    """A short recording in two files: its folder and the movie in it."""
    movie, _ = simulate_movie(24, 64, 80)
    folder = tmp_path / "recording"
    folder.mkdir()
    for k, part in enumerate(np.split(movie, [14]), start=1):
        write_movie(folder / f"msCam{k}.avi", part, frame_rate=30)
    return folder, movie


def run(*arguments):
    return main([str(argument) for argument in arguments])


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header[:3] == ["frame", "height", "width"]
    assert [int(row[0]) for row in rows] == list(range(len(rows)))
    return np.array([[float(value) for value in row[1:3]] for row in rows])


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_without_a_recording_a_simulated_one_is_corrected(tmp_path, capsys):
    out = tmp_path / "out"
    assert run("correct", "-o", out) == 0
    assert sorted(p.name for p in (out / "simulated").iterdir()) == ["msCam1.avi", "msCam2.avi"]
    movie, displacement = simulate_movie()
    with stillscope.open_movie(out / "simulated") as written:
        assert np.array_equal(written[:], movie)
    rms, largest = residual_motion(read_csv(out / "corrected.shifts.csv"), displacement)
    assert rms < SIMULATED_RMS
    assert largest < SIMULATED_MAX
    printed = capsys.readouterr()
    assert f"RMS {rms:.3f} px, max {largest:.3f} px" in printed.out
    assert "200 frames of 300x400, uint8" in printed.err
    before, after = map(float, re.search(r"similarity (\S+) -> (\S+)\.", printed.out).groups())
    assert before < SIMULATED_BEFORE
    assert after > SIMULATED_AFTER
    for name in set(RESULTS) - {"corrected.run.json"}:
        assert str(out / name) in printed.out


def test_a_recording_is_read_estimated_applied_and_written(recording, tmp_path, capsys):
    folder, movie = recording
    untouched = contents(folder)
    out = tmp_path / "deep" / "er" / "out"
    assert run("correct", folder, "-o", out, "--threads", 2, "--quiet") == 0
    assert sorted(p.name for p in out.iterdir()) == RESULTS
    assert contents(folder) == untouched
    shifts = read_csv(out / "corrected.shifts.csv")
    assert np.array_equal(shifts, stillscope.estimate_motion(movie).shifts)
    with stillscope.open_movie(out / "corrected.zarr") as corrected:
        assert np.array_equal(corrected[:], stillscope.apply_motion(movie, shifts))
        assert corrected.frame_rate == 30
    printed = capsys.readouterr()
    assert "known motion" not in printed.out
    assert printed.err == ""


def test_json_says_all_that_the_lines_say(recording, tmp_path, capsys):
    folder, movie = recording
    assert run("correct", folder, "-o", tmp_path / "c.tif", "--json", "-q", "--no-report") == 0
    told = json.loads(capsys.readouterr().out)
    motion = stillscope.estimate_motion(movie)
    assert told["movie"] == str(tmp_path / "c.tif")
    assert told["frames"] == len(movie)
    assert told["verdict"] == motion.verdict
    assert told["helps"] == motion.helps
    assert told["missing"] == []
    assert "report" not in told
    assert set(told["timings"]) == {"decode", "estimate", "write"}


def test_options_of_the_estimate_reach_it(recording, tmp_path):
    folder, movie = recording
    out = tmp_path / "out"
    options = ("--max-shift", 3, "--bad-frames", "2,5-7", "--preset", "2p", "--refine", 2)
    assert run("correct", folder, "-o", out, "-q", "--no-report", *options) == 0
    expected = stillscope.estimate_motion(
        movie, max_shift=3.0, bad_frames=[2, 5, 6, 7], preset="2p", refine=2
    )
    found = stillscope.load_motion(out / "corrected.shifts.zarr")
    assert np.array_equal(found.shifts, expected.shifts)
    assert np.array_equal(found.quality.flags["given"], expected.quality.flags["given"])


def test_estimate_then_apply_is_correct(recording, tmp_path):
    folder, _ = recording
    assert run("correct", folder, "-o", tmp_path / "one.zarr", "-q", "--border", "nearest") == 0
    assert run("estimate", folder, "-o", tmp_path / "two.shifts.zarr", "-q") == 0
    shifts = tmp_path / "two.shifts.zarr"
    assert run("apply", folder, shifts, "-o", tmp_path / "two.zarr", "-q", "--border",
               "nearest") == 0  # fmt: skip
    with stillscope.open_movie(tmp_path / "one.zarr") as one:
        with stillscope.open_movie(tmp_path / "two.zarr") as two:
            assert np.array_equal(one[:], two[:])
    # The border of the run that made the shifts.
    shifts = tmp_path / "one.shifts.zarr"
    assert run("apply", folder, shifts, "-o", tmp_path / "three.tif", "-q") == 0
    with stillscope.open_movie(tmp_path / "three.tif") as three:
        with stillscope.open_movie(tmp_path / "one.zarr") as one:
            assert np.array_equal(one[:], three[:])


def test_report_and_info(recording, tmp_path, capsys):
    folder, _ = recording
    shifts = tmp_path / "e.shifts.zarr"
    assert run("estimate", folder, "-o", shifts, "-q", "--no-report") == 0
    assert run("report", folder, shifts, "-o", tmp_path / "r.html", "-q") == 0
    assert run("report", folder, shifts, "-o", tmp_path / "r.mp4", "-q") == 0
    assert (tmp_path / "r.html").read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    assert (tmp_path / "r.mp4").stat().st_size > 1000
    capsys.readouterr()
    assert run("info", folder, shifts, "--json") == 0
    movie, motion = json.loads(capsys.readouterr().out)["paths"]
    assert (movie["frames"], movie["height"], movie["width"]) == (24, 64, 80)
    assert movie["frame_rate"] == 30
    assert motion["frames"] == 24
    assert run("info", folder) == 0
    assert "recording" in capsys.readouterr().out


def test_info_knows_shifts_by_what_they_are(recording, tmp_path, capsys):
    folder, movie = recording
    stillscope.save_motion(tmp_path / "motion.zarr", stillscope.estimate_motion(movie))
    assert run("info", tmp_path / "motion.zarr", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)["paths"]
    assert told["kind"] == "shifts" and told["frames"] == 24
    assert run("correct", tmp_path / "motion.zarr", "-o", tmp_path / "out") == 2
    assert "motion.zarr: expected a movie, got shifts" in capsys.readouterr().err


def test_reports_are_refused_before_the_recording_is_read(recording, tmp_path, capsys, monkeypatch):
    import stillscope.report

    folder, movie = recording
    stillscope.save_motion(tmp_path / "m.shifts.zarr", stillscope.estimate_motion(movie))
    (tmp_path / "a file").touch()
    monkeypatch.setattr(stillscope.report, "summarise", None)
    for output, message in (
        ("no/such/folder/x.html", "path: .*no such folder"),
        ("no/such/folder/x.mp4", "path: .*no such folder"),
        ("page.pdf", "output: expected a folder, or a path that ends in .*, got .*page.pdf"),
        ("a file", "output: expected a folder"),
    ):
        assert run("report", folder, tmp_path / "m.shifts.zarr", "-o", tmp_path / output) == 2
        assert re.search(message, capsys.readouterr().err)
    assert {path.name for path in tmp_path.iterdir()} == {"recording", "m.shifts.zarr", "a file"}


@pytest.mark.parametrize("text", ["0-99999999999999999999", "99999999999", "3,1-100000000"])
def test_frames_that_no_recording_has_are_refused(recording, tmp_path, capsys, text):
    with pytest.raises(SystemExit) as stop:
        run("correct", recording[0], "-o", tmp_path / "out", "--bad-frames", text)
    assert stop.value.code == 2
    assert "--bad-frames: expected frames below 10000000, got" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["info", "{folder}"], 0), (["info", "{folder}", "--json"], 0), (["info", "nowhere"], 2),
     (["selftest", "--threads", "1"], 0), (["--help"], 0),
     (["straighten"], 2)],
)  # fmt: skip
@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_who_reads_may_stop_early(recording, arguments, status, closed):
    arguments = [text.format(folder=recording[0]) for text in arguments]
    read, write = os.pipe()
    os.close(read)  # as `head` closes it
    other = "stderr" if closed == "stdout" else "stdout"
    try:
        command = [sys.executable, "-m", "stillscope", *arguments]
        found = subprocess.run(command, **{closed: write, other: subprocess.PIPE}, check=False)
    finally:
        os.close(write)
    assert found.returncode == status
    if closed == "stdout":
        assert (b"stillscope: " in found.stderr) == (status != 0)  # the reason alone
        assert b"Error" not in found.stderr and b"Exception" not in found.stderr


def test_selftest_works_here(capsys):
    assert run("selftest") == 0
    printed = capsys.readouterr().out
    assert "FAILED" not in printed
    assert printed.count("ok ") == 4


def test_sixteen_bit_recordings_stay_sixteen_bit(tmp_path):
    movie, _ = simulate_movie(5, 40, 50, dtype=np.uint16)
    write_movie(tmp_path / "deep.avi", movie)
    assert run("correct", tmp_path / "deep.avi", "-o", tmp_path / "out.avi", "-q") == 0
    with stillscope.open_movie(tmp_path / "out.avi") as corrected:
        assert corrected.dtype == np.uint16
        assert corrected[:].max() > 255


def test_a_recording_is_never_written_over(recording, tmp_path, capsys):
    folder, movie = recording
    write_movie(folder / "corrected.avi", movie[:3])
    (tmp_path / "link.avi").symlink_to(folder / "msCam1.avi")
    untouched = contents(folder)
    for arguments in (
        [folder, "-o", folder / "corrected.avi"],
        [folder / "msCam1.avi", "-o", folder / "msCam1.avi"],
        [folder / "msCam1.avi", "-o", folder / "msCam1.avi", "--overwrite"],
        [folder / "msCam1.avi", "-o", tmp_path / "link.avi"],
    ):
        assert run("correct", *arguments) == 2
        assert "destination" in capsys.readouterr().err
    assert contents(folder) == untouched


def test_a_truncated_recording_is_corrected_and_what_is_missing_is_told(
    recording, tmp_path, capsys
):
    folder, _ = recording
    content = (folder / "msCam2.avi").read_bytes()
    (folder / "msCam2.avi").write_bytes(content[: len(content) // 2])
    assert run("correct", folder, "-o", tmp_path / "out") == 0
    assert re.search(r"missing +\d+ frames", capsys.readouterr().out)
    assert 14 < len(read_csv(tmp_path / "out" / "corrected.shifts.csv")) < 24
    page = (tmp_path / "out" / "corrected.report.html").read_text(encoding="utf-8")
    assert "msCam2.avi" in page


def test_bad_input_ends_with_one_line_and_status_2(tmp_path, capsys):
    (tmp_path / "text.avi").write_text("no video")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    for arguments, named in (
        ([tmp_path / "missing.avi", "-o", out], "missing.avi"),
        ([tmp_path / "text.avi", "-o", out], "text.avi: expected"),
        ([tmp_path / "empty", "-o", out], "empty: expected a folder"),
        (["-o", tmp_path / "text.png"], "destination: expected a folder"),
    ):
        assert run("correct", *arguments) == 2
        printed = capsys.readouterr()
        assert printed.err.startswith("stillscope: error: ")
        assert named in printed.err
        assert printed.err.count("\n") == 1
        assert printed.out == ""


@pytest.mark.parametrize(("command", "goes_on"), [("correct", True), ("info", False)])
def test_only_runs_go_on_where_they_were_interrupted(
    recording, capsys, monkeypatch, command, goes_on
):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"stillscope.cli.commands.{command}", interrupt)
    assert run(command, recording[0]) == 130
    error = capsys.readouterr().err
    assert error.startswith("stillscope: interrupted")
    assert ("goes on from here" in error) == goes_on


def test_a_destination_in_use_ends_with_status_4(recording, tmp_path, capsys):
    with Job(tmp_path / "c.part", {}):
        assert run("correct", recording[0], "-o", tmp_path / "c.zarr", "-q") == 4
    assert "another run" in capsys.readouterr().err


@pytest.mark.parametrize("extra", ["av", "zarr", "matplotlib", "jinja2"])
def test_a_missing_extra_is_named(recording, tmp_path, capsys, monkeypatch, extra):
    for name in {*(m for m in sys.modules if m.split(".")[0] == extra), extra}:
        monkeypatch.setitem(sys.modules, name, None)
    assert run("correct", recording[0], "-o", tmp_path / "out.avi", "-q") == 2
    assert 'pip install "stillscope[' in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["straighten"], ["correct", "--threads", "0"]])
def test_wrong_usage_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: stillscope" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["correct", "estimate", "apply", "report", "info", "selftest"])
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "exit status" in capsys.readouterr().out


def test_help_teaches_by_example(capsys):
    with pytest.raises(SystemExit):
        main(["correct", "--help"])
    text = capsys.readouterr().out
    for word in ("examples:", *(set(RESULTS) - {"corrected.run.json"}), "--threads", "stillscope correct msCam*.avi"):
        assert word in text


def test_python_dash_m_prints_the_version():
    command = [sys.executable, "-m", "stillscope", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"stillscope {stillscope.__version__}"
