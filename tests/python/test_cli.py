# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job from the command line: a recording in; shifts, movie and picture out."""

import csv
import re
import subprocess
import sys

import numpy as np
import pytest

import stillscope
from stillscope.cli import main
from stillscope.figure import plot_correction, similarity
from stillscope.simulate import residual_motion, simulate_movie
from stillscope.video import read_movie, write_movie

pytest.importorskip("av")
pytest.importorskip("matplotlib")

# Error of the shifts against the known motion of the simulated recording [px]: measured RMS 0.289,
# max 0.622 (un-normalised correlation: the vignette and the edges pull at every pair of frames).
SIMULATED_RMS = 0.4
SIMULATED_MAX = 0.9
# Mean correlation of the frames with their mean image on it: measured 0.901 before, 0.992 after.
SIMULATED_BEFORE = 0.92
SIMULATED_AFTER = 0.97
# numpy.corrcoef against our sum of products in float64. Measured 2e-16.
ROUNDING = 1e-12

RESULTS = ("shifts.csv", "corrected.avi", "correction.png")


@pytest.fixture
def recording(tmp_path):
    """A short recording in two files: its folder and the movie in it."""
    movie, _ = simulate_movie(12, 64, 80)
    folder = tmp_path / "recording"
    folder.mkdir()
    for k, part in enumerate(np.split(movie, [7]), start=1):
        write_movie(folder / f"msCam{k}.avi", part, 30)
    return folder, movie


def read_shifts(path):
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["frame", "height", "width"]
    assert [int(row[0]) for row in rows] == list(range(len(rows)))
    return np.array([[float(value) for value in row[1:]] for row in rows])


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_without_a_recording_a_simulated_one_is_corrected(tmp_path, capsys):
    assert main(["correct", "-o", str(tmp_path / "out")]) == 0
    out = tmp_path / "out"
    assert sorted(p.name for p in (out / "simulated").iterdir()) == ["msCam1.avi", "msCam2.avi"]
    movie, displacement = simulate_movie()
    assert np.array_equal(read_movie(out / "simulated")[0], movie)

    rms, largest = residual_motion(read_shifts(out / "shifts.csv"), displacement)
    assert rms < SIMULATED_RMS
    assert largest < SIMULATED_MAX
    printed = capsys.readouterr()
    assert f"RMS {rms:.3f} px, max {largest:.3f} px" in printed.out
    assert "200 frames of 300x400, uint8" in printed.out
    assert "ms/frame" in printed.out
    before, after = map(float, re.search(r"similarity (\S+) -> (\S+)", printed.out).groups())
    assert before < SIMULATED_BEFORE
    assert after > SIMULATED_AFTER
    for name in RESULTS:
        assert str(out / name) in printed.out
    assert printed.err == ""


def test_a_recording_is_read_estimated_applied_and_written(recording, tmp_path, capsys):
    folder, movie = recording
    untouched = contents(folder)
    out = tmp_path / "deep" / "er" / "out"
    assert main(["correct", str(folder), "-o", str(out), "--threads", "2"]) == 0
    assert sorted(p.name for p in out.iterdir()) == sorted(RESULTS)
    assert contents(folder) == untouched

    shifts = read_shifts(out / "shifts.csv")
    assert np.array_equal(shifts, stillscope.estimate_motion(movie).shifts)
    corrected, frame_rate = read_movie(out / "corrected.avi")
    assert np.array_equal(corrected, stillscope.apply_motion(movie, shifts))
    assert frame_rate == 30
    assert (out / "correction.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "2 files: 12 frames of 64x80, uint8, 30 Hz" in printed
    assert "known motion" not in printed


def test_results_of_an_earlier_run_are_replaced(recording, tmp_path):
    folder, _ = recording
    out = tmp_path / "out"
    assert main(["correct", str(folder), "-o", str(out)]) == 0
    first = contents(out)
    assert main(["correct", str(folder / "msCam1.avi"), "-o", str(out)]) == 0
    assert len(read_shifts(out / "shifts.csv")) == 7
    assert contents(out).keys() == first.keys()


def test_sixteen_bit_recordings_stay_sixteen_bit(tmp_path):
    movie, _ = simulate_movie(5, 40, 50, dtype=np.uint16)
    write_movie(tmp_path / "deep.avi", movie)
    assert main(["correct", str(tmp_path / "deep.avi"), "-o", str(tmp_path / "out")]) == 0
    corrected, _ = read_movie(tmp_path / "out" / "corrected.avi")
    assert corrected.dtype == np.uint16
    assert corrected.max() > 255


def test_a_recording_is_never_written_over(recording, tmp_path, capsys):
    folder, movie = recording
    write_movie(folder / "corrected.avi", movie[:3])
    link = tmp_path / "link"
    link.mkdir()
    (link / "corrected.avi").symlink_to(folder / "msCam1.avi")
    untouched = contents(folder)
    for arguments in ([folder, "-o", folder], [folder / "msCam1.avi", "-o", link]):
        assert main(["correct", *map(str, arguments)]) == 2
        assert "would be overwritten" in capsys.readouterr().err
    assert contents(folder) == untouched


def test_a_truncated_recording_is_corrected_with_a_warning(recording, tmp_path, capsys):
    folder, _ = recording
    content = (folder / "msCam2.avi").read_bytes()
    (folder / "msCam2.avi").write_bytes(content[: len(content) // 2])
    assert main(["correct", str(folder), "-o", str(tmp_path / "out")]) == 0
    error = capsys.readouterr().err
    assert re.fullmatch(r"stillscope: warning: .*msCam2\.avi: \d frames read .*\n", error)
    assert 7 < len(read_shifts(tmp_path / "out" / "shifts.csv")) < 12


def test_bad_input_ends_with_one_line_and_status_2(tmp_path, capsys):
    (tmp_path / "text.avi").write_text("no video")
    (tmp_path / "empty").mkdir()
    out = str(tmp_path / "out")
    for arguments, named in (
        ([str(tmp_path / "missing.avi"), "-o", out], "missing.avi: no such file"),
        ([str(tmp_path / "text.avi"), "-o", out], "text.avi: expected a video file"),
        ([str(tmp_path / "empty"), "-o", out], "empty: expected a folder with videos"),
        (["-o", str(tmp_path / "text.avi")], "OUT_DIR: expected a folder"),
    ):
        assert main(["correct", *arguments]) == 2
        printed = capsys.readouterr()
        assert printed.err.startswith("stillscope: error: ")
        assert named in printed.err
        assert printed.err.count("\n") == 1
        assert printed.out == ""


@pytest.mark.parametrize("extra", ["av", "matplotlib"])
def test_a_missing_extra_is_named(recording, tmp_path, capsys, monkeypatch, extra):
    for name in [m for m in sys.modules if m.split(".")[0] == extra]:
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["correct", str(recording[0]), "-o", str(tmp_path / "out")]) == 2
    assert 'pip install "stillscope[' in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["straighten"], ["correct", "--threads", "0"]])
def test_wrong_usage_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: stillscope" in capsys.readouterr().err


def test_help_teaches_by_example(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["correct", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("examples:", *RESULTS, "--threads", "stillscope correct msCam*.avi"):
        assert word in text


def test_python_dash_m_prints_the_version():
    command = [sys.executable, "-m", "stillscope", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"stillscope {stillscope.__version__}"


def test_similarity_is_the_correlation_inside_the_margin():
    movie, _ = simulate_movie(6, 40, 60)
    movie[3] = 7
    found = similarity(movie, np.array([(0, 0), (2.2, -3), (np.nan, 1e9), (0, 0), (1, 1), (0, 0)]))
    assert found.margin == (3, 15)  # a quarter of the width at most
    assert np.array_equal(found.mean, movie.mean(axis=0))
    inside = (..., slice(3, -3), slice(15, -15))
    for k, frame in enumerate(movie[inside]):
        if k == 3:
            assert np.isnan(found.correlation[k])
            continue
        expected = np.corrcoef(frame.ravel(), found.mean[inside].ravel())[0, 1]
        assert found.correlation[k] == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("shape", [(1, 30, 40), (3, 1, 50), (3, 50, 1), (2, 1, 1), (4, 20, 300)])
def test_any_movie_can_be_drawn(tmp_path, shape):
    movie, displacement = simulate_movie(*shape)
    shifts = -displacement
    shifts[0] = np.nan
    movie[-1] = 0
    part = similarity(movie, shifts)
    plot_correction(tmp_path / "picture.png", shifts, part, part, truth=-displacement)
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_drawing_refuses_parts_that_do_not_fit(tmp_path):
    movie, displacement = simulate_movie(4, 20, 30)
    part = similarity(movie, displacement)
    with pytest.raises(ValueError, match="^shifts: expected shape"):
        similarity(movie, displacement[:3])
    with pytest.raises(ValueError, match="^movie: expected"):
        similarity(movie[0], displacement)
    with pytest.raises(ValueError, match="^shifts: expected shape"):
        plot_correction(tmp_path / "p.png", displacement[:3], part, part)
    with pytest.raises(ValueError, match="^truth: expected shape"):
        plot_correction(tmp_path / "p.png", displacement, part, part, truth=displacement[:3])
