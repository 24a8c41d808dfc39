# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings in, corrected recordings out: the same as in memory, within a byte budget, and errors at
the call."""

import json
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
from support import import_quietly, quietly, texture

import stillscope
from stillscope.cli import main
from stillscope.io.writers import write_movie
from stillscope.pipeline.budget import byte_count, size_text
from stillscope.pipeline.read_ahead import ReadAhead
from stillscope.simulate import simulate_movie

scipy = pytest.importorskip("scipy")
pytest.importorskip("scipy.ndimage")
for library in ("av", "zarr", "tifffile"):
    pytest.importorskip(library)

SHAPE = (60, 64, 80)
# What a run may exceed its budget by: the issue's own figure.
OVER_BUDGET = 1.10


@pytest.fixture(scope="module")
def movie():
    return simulate_movie(*SHAPE)[0]


@pytest.fixture(scope="module")
def recording(movie, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recording")
    for k, part in enumerate(np.split(movie, [25, 41])):
        write_movie(folder / f"msCam{k + 8}.avi", part, frame_rate=30)  # 8, 9, 10
    return folder


def read(path):
    with stillscope.open_movie(path) as movie:
        return movie[:]


@pytest.mark.parametrize("suffix", [".zarr", ".tif", ".avi"])
@pytest.mark.parametrize("preset", [None, "miniscope"])
def test_a_recording_is_corrected_as_a_movie_in_memory_is(
    movie, recording, tmp_path, suffix, preset
):
    motion = stillscope.estimate_motion(movie, preset=preset)
    result = stillscope.correct(recording, tmp_path / f"c{suffix}", preset=preset, report=False)
    assert np.array_equal(result.motion.shifts, motion.shifts)
    assert np.array_equal(read(result.movie), stillscope.apply_motion(movie, motion))
    with result.open() as corrected:
        assert corrected.frame_rate == 30
    assert result.missing == ()


def test_every_kind_of_source_gives_the_same(movie, recording, tmp_path):
    darr = pytest.importorskip("dask.array")
    np.save(tmp_path / "m.npy", movie)
    write_movie(tmp_path / "m.tif", movie)
    write_movie(tmp_path / "m.zarr", movie)
    expected = stillscope.correct(movie, tmp_path / "a.zarr", report=False)
    sources = {
        "list": sorted(recording.iterdir(), reverse=True),
        "opened": stillscope.open_movie(recording),
        "npy": tmp_path / "m.npy",
        "tiff": str(tmp_path / "m.tif"),
        "zarr": tmp_path / "m.zarr",
        "dask": darr.from_array(movie, chunks=(17, 64, 80)),
        "strided": np.repeat(movie, 2, axis=2)[:, :, ::2],
    }
    for name, source in sources.items():
        result = stillscope.correct(source, tmp_path / name / "b.zarr", report=False)
        assert np.array_equal(result.motion.shifts, expected.motion.shifts), name
        assert np.array_equal(read(result.movie), read(expected.movie)), name


@pytest.mark.parametrize("dtype", ["i2", "u4", "f4", "f8", "?"])
def test_the_type_of_pixels_is_kept(movie, tmp_path, dtype):
    source = (movie > 60) if dtype == "?" else movie.astype(dtype) - (100 if dtype == "i2" else 0)
    result = stillscope.correct(source, tmp_path / "c.zarr", report=False)
    found = read(result.movie)
    assert found.dtype == source.dtype
    assert np.array_equal(found, stillscope.apply_motion(source, result.motion))


def test_apply_makes_the_movie_of_a_run_again_and_other_channels(movie, recording, tmp_path):
    run = stillscope.correct(recording, tmp_path / "c.tif", border="nearest",
                             interpolation="cubic", report=False)  # fmt: skip
    again = stillscope.apply(recording, run.shifts, tmp_path / "again.zarr")
    assert np.array_equal(read(again.movie), read(run.movie))
    small = movie[:, ::2, ::2].astype(np.float32)
    other = stillscope.apply(small, run, tmp_path / "other.zarr", binning=2, border="nan")
    expected = stillscope.apply_motion(
        small, run.motion, binning=2, border="nan", interpolation="cubic"
    )
    assert np.array_equal(read(other.movie), expected, equal_nan=True)
    # From shifts alone.
    plain = stillscope.apply(movie, run.motion.shifts, tmp_path / "plain.zarr")
    assert np.array_equal(read(plain.movie), stillscope.apply_motion(movie, run.motion))
    with pytest.raises(ValueError, match="^shifts: expected shape"):
        stillscope.apply(movie[:-1], run, tmp_path / "short.zarr")


def test_an_estimate_alone_is_that_of_correct(recording, tmp_path):
    whole = stillscope.correct(recording, tmp_path / "c.zarr", report=False)
    alone = stillscope.estimate(recording, tmp_path / "e.shifts.zarr", report=False)
    assert alone.movie is None
    assert alone.shifts == tmp_path / "e.shifts.zarr"
    assert np.array_equal(alone.motion.shifts, whole.motion.shifts)
    assert {p.name for p in tmp_path.iterdir()} >= {"e.shifts.zarr", "e.shifts.csv"}
    with pytest.raises(ValueError, match="^movie: expected"):
        alone.open()


def test_results_in_the_folder_of_the_recording_are_no_part_of_it(movie, tmp_path):
    for k, part in enumerate(np.split(movie, 2)):
        write_movie(tmp_path / f"msCam{k}.avi", part)
    first = stillscope.correct(tmp_path, tmp_path / "corrected.avi", report=False)
    second = stillscope.correct(tmp_path, tmp_path / "corrected.avi", report=False, restart=True)
    assert len(read(second.movie)) == len(movie)
    assert np.array_equal(first.motion.shifts, second.motion.shifts)


def test_results_beside_any_recording_are_no_part_of_it(movie, tmp_path):
    (tmp_path / "tiff").mkdir()
    write_movie(tmp_path / "tiff" / "a.tif", movie)
    (tmp_path / "npy").mkdir()
    np.save(tmp_path / "npy" / "a.npy", movie)
    for folder, names in (("tiff", ("c.avi", "d.tif")), ("npy", ("c.zarr", "d.tif"))):
        for name in (*names, *names):
            result = stillscope.correct(tmp_path / folder, tmp_path / folder / name, report=False)
            assert len(read(result.movie)) == len(movie)


def test_no_other_way_to_name_a_recording_lets_it_be_overwritten(movie, tmp_path):
    (tmp_path / "a").mkdir()
    write_movie(tmp_path / "a" / "m.tif", movie)
    content = (tmp_path / "a" / "m.tif").read_bytes()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    write_movie(tmp_path / "a.zarr", movie)
    for source, destination in (
        ("a/../a/m.tif", "a/m.tif"), ("link/m.tif", "a/m.tif"), ("a/m.tif", "link/m.tif"),
        ("a", "a/m.tif"), ("a.zarr", "a.zarr"), ("a.zarr", "a.zarr/c.zarr"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="^destination: .* is the recording itself"):
            stillscope.correct(
                tmp_path / source, tmp_path / destination, report=False, overwrite=True
            )
    assert (tmp_path / "a" / "m.tif").read_bytes() == content


def test_what_others_have_put_there_stays(movie, tmp_path):
    for name in ("c.shifts.csv", "c.shifts.zarr", "c.run.json"):
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        if name.endswith(".zarr"):
            (folder / name).mkdir()
        else:
            (folder / name).write_text("mine")
        with pytest.raises(FileExistsError, match="^destination: "):
            stillscope.correct(movie, folder / "c.zarr", report=False)
        assert [p.name for p in folder.iterdir()] == [name]


def test_what_an_older_run_has_made_besides_may_be_replaced_later(movie, tmp_path):
    pytest.importorskip("matplotlib")
    destination = tmp_path / "c.zarr"
    stillscope.correct(movie, destination)
    stillscope.correct(movie, destination, report=False, max_shift=20.0)
    result = stillscope.correct(movie, destination)
    assert result.report.exists()


def test_two_movies_do_not_share_their_shifts(movie, tmp_path):
    stillscope.correct(movie, tmp_path / "c.zarr", report=False)
    for call in (
        lambda: stillscope.correct(movie, tmp_path / "c.tif", report=False),
        lambda: stillscope.estimate(movie, tmp_path / "c.shifts.zarr", report=False),
    ):
        with pytest.raises(FileExistsError, match="has its shifts there"):
            call()


def test_another_movie_in_the_place_of_a_result_is_noticed(movie, tmp_path):
    first = stillscope.correct(movie, tmp_path / "c.tif", report=False)
    content = first.movie.read_bytes()
    write_movie(first.movie, 255 - movie)
    stillscope.correct(movie, tmp_path / "c.tif", report=False)
    assert first.movie.read_bytes() == content
    # The same call has nothing to do, that of `apply` neither.
    once = stillscope.apply(movie, first, tmp_path / "d.tif")
    time = once.movie.stat().st_mtime_ns
    stillscope.apply(movie, first, tmp_path / "d.tif")
    assert once.movie.stat().st_mtime_ns == time


def test_an_opened_recording_keeps_what_it_was_opened_with(movie, tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["x"], file["y"] = movie[:30], movie
    source = stillscope.open_movie(tmp_path / "two.h5", dataset="y", frame_rate=33.0)
    result = stillscope.correct(source, tmp_path / "c.zarr", report=False)
    with result.open() as found:
        assert found.shape == movie.shape
        assert found.frame_rate == 33


def test_undecodable_frames_are_left_out_and_listed(recording, movie, tmp_path):
    folder = tmp_path / "damaged"
    folder.mkdir()
    for file in recording.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    content = (folder / "msCam9.avi").read_bytes()
    (folder / "msCam9.avi").write_bytes(content[: len(content) // 2])
    with pytest.warns(UserWarning, match="msCam9.avi"):
        result = stillscope.correct(folder, tmp_path / "c.zarr", report=False)
    with pytest.warns(UserWarning, match="msCam9.avi"), stillscope.open_movie(folder) as opened:
        left = opened[:]
        assert len(result.missing) == len(opened.missing) > 0
    assert 44 < len(left) < 60
    assert np.array_equal(read(result.movie), stillscope.apply_motion(left, result.motion))
    assert all("msCam9.avi" in file for file, _, _ in result.missing)


def test_minian_opens_both_layouts_with_the_shifts(recording, tmp_path):
    utilities = import_quietly("minian.utilities")
    visualization = import_quietly("minian.visualization")
    folder = tmp_path / "minian"
    frames = stillscope.correct(recording, folder / "Y_fm_chk.zarr", report=False)
    stillscope.apply(recording, frames, folder / "Y_hw_chk.zarr", layout="pixels")
    data = quietly(utilities.open_minian, str(folder), return_dict=True)
    assert set(data) == {"Y_fm_chk", "Y_hw_chk", "motion"}
    assert data["Y_fm_chk"].dims == ("frame", "height", "width")
    assert data["Y_hw_chk"].chunks[0] == (60,)
    assert np.array_equal(data["Y_fm_chk"].values, data["Y_hw_chk"].values)
    assert np.array_equal(data["motion"].values, frames.motion.shifts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("holoviews").extension("bokeh")
        assert visualization.visualize_motion(data["motion"].compute()) is not None


# --- motion that differs across the frame ---------------------------------------------------------


@pytest.fixture(scope="module")
def deforming():
    """A scene that a sine bends by up to 2 px, other in every frame."""
    rng = np.random.default_rng(5)
    scene = 40 * texture(140, 160, 5, sigma=2.0) + 100
    y, x = np.meshgrid(np.arange(120.0), np.arange(140.0), indexing="ij")
    bend = np.sin(2 * np.pi * x / 140) * np.sin(2 * np.pi * y / 120)
    frames = []
    for k in range(24):
        at = [y + 10 + 2 * np.sin(k) * bend, x + 10 + 2 * np.cos(k) * bend]
        frames.append(scipy.ndimage.map_coordinates(scene, at, order=3))
    frames = np.stack(frames) + rng.normal(0, 1, (24, 120, 140))
    return np.clip(frames, 0, 255).astype(np.float32)


def test_fields_go_through_files_runs_and_reports(deforming, tmp_path):
    options = {"nonrigid": True, "spacing": 40.0}
    motion = stillscope.estimate_motion(deforming, **options)
    assert not motion.deformation.is_rigid
    expected = stillscope.apply_motion(deforming, motion)
    result = stillscope.correct(deforming, tmp_path / "c.zarr", chunks=(5, 120, 140), **options)
    found = result.motion
    for name, value in vars(motion.deformation).items():
        assert np.array_equal(getattr(found.deformation, name), value), name
    assert np.array_equal(found.field([10, 50], [20.5]), motion.field([10, 50], [20.5]))
    assert np.array_equal(read(result.movie), expected)
    again = stillscope.apply(deforming, result, tmp_path / "again.tif")
    assert np.array_equal(read(again.movie), expected)
    assert "Motion that differs across the frame" in result.report.read_text(encoding="utf-8")
    # Fields leave less than shifts alone.
    before, after = motion.residual_motion(deforming)
    assert np.median(after) < np.median(before)
    some = stillscope.residual_motion(
        deforming[5:15], motion.of_frames(slice(5, 15)), template=motion.template
    )
    whole = stillscope.residual_motion(deforming, motion, template=motion.template)
    assert np.array_equal(some, whole[5:15])
    rigid = stillscope.residual_motion(deforming, motion.shifts)
    assert np.median(after) < np.median(rigid)


@pytest.mark.parametrize("applying", [3, "cubic", [1], None, {"other": 1}])
def test_attributes_that_are_no_options_are_let_alone(movie, recording, tmp_path, applying):
    motion = stillscope.estimate_motion(movie, refine=0)
    stillscope.save_motion(tmp_path / "m.zarr", motion, {"applying": applying})
    result = stillscope.apply(recording, tmp_path / "m.zarr", tmp_path / "c.tif")
    assert np.array_equal(read(result.movie), stillscope.apply_motion(movie, motion))


def test_report_and_preview_show_what_is_written(
    movie, recording, tmp_path, monkeypatch, pictures
):
    import stillscope.report
    from stillscope.report import summarise, write_preview
    from stillscope.report.page import _images

    threads = []

    def preview(*given, n_threads, **options):
        threads.append(n_threads)
        return write_preview(*given, n_threads=n_threads, **options)

    monkeypatch.setattr(stillscope.report, "write_preview", preview)
    how = {"interpolation": "cubic", "border": "nearest"}
    result = stillscope.correct(recording, tmp_path / "c.zarr", preview=True, n_threads=1, **how)
    again = ["report", str(recording), str(result.shifts), "-q", "--threads", "1", "-o"]
    assert main([*again, str(tmp_path / "again.html")]) == 0
    assert main([*again, str(tmp_path / "again.mp4")]) == 0
    assert threads == [1, 1]
    with result.open() as written:
        shown = summarise(movie, written, result.motion, applying=how)
        write_preview(tmp_path / "p.mp4", movie, written, result.motion)
    of_run, of_command, expected = np.split(np.stack(pictures), 3)
    assert np.array_equal(of_run, expected) and np.array_equal(of_command, expected)
    for page in (result.report, tmp_path / "again.html"):
        text = page.read_text(encoding="utf-8")
        for row in _images(shown):
            assert all(picture["uri"] in text for picture in row["pair"])


def test_the_accessor_applies_fields(deforming):
    xr = pytest.importorskip("xarray")
    pytest.importorskip("dask.array")
    import stillscope.accessor  # noqa: F401

    movie = xr.DataArray(deforming, dims=("frame", "height", "width"))
    motion = movie.stillscope.estimate(nonrigid=True, spacing=40.0)
    expected = stillscope.apply_motion(deforming, motion)
    assert np.array_equal(movie.stillscope.apply(motion).values, expected)
    lazy = movie.chunk({"frame": 7, "height": 60}).stillscope.apply(motion)
    assert np.array_equal(lazy.values, expected)
    left = stillscope.residual_motion(deforming, motion, template=motion.template)
    turned = movie.transpose("width", "frame", "height")
    dataset = motion.to_xarray()
    for moves in (motion, motion.of_frames(slice(None)), dataset, dataset.transpose()):
        for given in (turned, turned.chunk({"frame": 7})):
            applied = given.stillscope.apply(moves)
            assert np.array_equal(applied.transpose(*movie.dims).values, expected)
            found = given.stillscope.residual_motion(moves, template=motion.template)
            assert np.array_equal(found, left)
    some = movie.isel(frame=slice(5, 9)).stillscope.apply(dataset.isel(frame=slice(5, 9)))
    assert np.array_equal(some.values, expected[5:9])
    rigid = stillscope.apply_motion(deforming, motion.shifts)
    assert np.array_equal(movie.stillscope.apply(dataset["motion"]).values, rigid)


# --- memory ---------------------------------------------------------------------------------------


def test_memory_is_bounded_and_does_not_grow_with_the_length(tmp_path):
    """In processes of their own: the peak of a run of many frames is that of a few."""
    script = textwrap.dedent("""
        import sys
        import numpy as np
        import stillscope
        n, memory, destination, report = int(sys.argv[1]), *sys.argv[2:4], sys.argv[4] == "report"
        class Movie:
            # Frames that are made as they are read.
            shape, dtype = (n, 200, 260), np.dtype("u1")
            base = np.random.default_rng(0).integers(0, 200, (230, 290), dtype=np.uint8)
            def __getitem__(self, run):
                return np.stack([self.base[k % 7:k % 7 + 200, k % 5:k % 5 + 260]
                                 for k in range(*run.indices(n))])
        stillscope.correct(Movie(), destination, memory=memory, n_threads=1, progress=False,
                           report=report)
        # Not by getrusage, which counts what the parent had when this process began.
        with open("/proc/self/status") as status:
            peak = next(line for line in status if line.startswith("VmHWM"))
        print(int(peak.split()[1]) * 1024)
    """)

    def peak(n, report):
        destination = str(tmp_path / f"{n}{report}.zarr")
        done = subprocess.run(
            [sys.executable, "-c", script, str(n), "400MB", destination, report],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return int(done.stdout)

    # Where reading happened not to be far ahead, a peak is up to 57e6 lower: the highest of a few.
    few, many = max(peak(2000, k) for k in "abc"), peak(8000, "a")
    assert max(few, many, peak(2000, "report")) < OVER_BUDGET * 400e6
    # What is known of each frame grows, nothing else does: measured 0.7 to 2.2 kB of a frame's 52.
    assert many - few < 6000 * 4000


def test_too_little_memory_is_refused_with_what_is_needed(movie, tmp_path):
    # In MB, or in GB where this process itself has grown to that.
    needed = r"^memory: expected at least [\d.]+ [MG]B for frames of 64x80, got 5 MB$"
    with pytest.raises(ValueError, match=needed):
        stillscope.correct(movie, tmp_path / "c.zarr", memory="5MB")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [("2GB", 2e9), ("1.5 GiB", 1.5 * 2**30), ("300m", 3e8), ("10", 10), (4096, 4096), ("7kB", 7e3)],
)
def test_sizes_are_read(text, count):
    assert byte_count(text, "memory") == count


@pytest.mark.parametrize("text", ["", "2 parsecs", "-1GB", 0, float("nan"), "GB", "0"])
def test_other_sizes_are_refused(text):
    with pytest.raises(ValueError, match="^memory: expected"):
        byte_count(text, "memory")
    with pytest.raises(TypeError, match="^memory: expected"):
        byte_count(None, "memory")


def test_sizes_are_told():
    assert [size_text(n) for n in (7, 1500, 2.5e6, 42e9, 3e12)] == [
        "7 bytes", "1.5 kB", "2.5 MB", "42 GB", "3 TB",
    ]  # fmt: skip


# --- reading ahead --------------------------------------------------------------------------------


def test_reading_ahead_gives_the_frames_that_are_asked_for(movie):
    asked = []
    with ReadAhead(movie, lambda *run: asked.append(run)) as ahead:
        for begin, end in [(0, 20), (20, 40), (40, 60), (0, 20), (5, 9), (9, 13), (59, 60), (0, 1)]:
            assert np.array_equal(ahead[begin:end], movie[begin:end])
    assert asked[0] == (0, 20) and len(asked) == 8


def test_errors_of_what_was_not_asked_for_do_not_matter(movie):
    class Failing:
        shape, dtype = movie.shape, movie.dtype

        def __getitem__(self, run):
            if run.stop > 40:
                raise OSError("the disk is gone")
            return movie[run]

    with ReadAhead(Failing()) as ahead:
        assert np.array_equal(ahead[20:40], movie[20:40])
        assert np.array_equal(ahead[0:20], movie[0:20])
        with pytest.raises(OSError, match="the disk is gone"):
            ahead[40:60]


# --- errors at the call ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"maxshift": 3}, TypeError, "^maxshift: expected an option of correct"),
        ({"max_shift": -1.0}, ValueError, "^max_shift: expected"),
        ({"preset": "mesoscope"}, ValueError, "^preset: expected"),
        ({"layout": "tiles"}, ValueError, "^layout: expected"),
        ({"chunks": (1, 2)}, ValueError, "^chunks: expected"),
        ({"chunks": 5}, ValueError, "^chunks: expected"),
        ({"restart": "no"}, TypeError, "^restart: expected"),
        ({"overwrite": 3}, TypeError, "^overwrite: expected"),
        ({"chunks": (1, 2, 0)}, ValueError, "^chunks: expected"),
        ({"layout": "pixels", "chunks": (1, 2, 3)}, ValueError, "^chunks: expected None"),
        ({"border": "nan"}, ValueError, "^border: expected"),
        ({"fill": 300}, ValueError, "^fill: expected"),
        ({"interpolation": "sinc"}, ValueError, "^interpolation: expected"),
        ({"n_threads": 0}, ValueError, "^n_threads: expected"),
        ({"progress": "bar"}, TypeError, "^progress: expected"),
        ({"client": "cluster"}, TypeError, "^client: expected"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_made(
    movie, tmp_path, options, error, message
):
    with pytest.raises(error, match=message):
        stillscope.correct(movie, tmp_path / "c.zarr", **options)
    assert list(tmp_path.iterdir()) == []


def test_wrong_destinations_are_refused(movie, tmp_path):
    (tmp_path / "file.txt").write_text("mine")
    (tmp_path / "mine.tif").write_text("mine")
    for destination, error in (
        (tmp_path / "file.txt", ValueError), (tmp_path / "c.mov", ValueError), (7, TypeError),
        (tmp_path / "mine.tif", FileExistsError),
    ):  # fmt: skip
        with pytest.raises(error, match="^destination: "):
            stillscope.correct(movie, destination, report=False)
    with pytest.raises(ValueError, match="^layout, chunks: expected a zarr destination"):
        stillscope.correct(movie, tmp_path / "c.tif", layout="pixels", report=False)
    assert (tmp_path / "mine.tif").read_text() == "mine"
    stillscope.correct(movie, tmp_path / "mine.tif", report=False, overwrite=True)
    assert len(read(tmp_path / "mine.tif")) == len(movie)


def test_the_plan_is_told_before_the_work(recording, tmp_path, capsys):
    pytest.importorskip("tqdm")
    stillscope.correct(recording, tmp_path / "c.zarr", report=False, progress=True)
    told = capsys.readouterr().err
    for word in ("60 frames of 64x80, uint8", "passes", "memory", "free", "about", "decode"):
        assert word in told
    stillscope.correct(recording, tmp_path / "d.zarr", report=False)
    assert capsys.readouterr().err == ""


def test_a_disk_without_room_is_refused_before_the_work(recording, tmp_path, monkeypatch):
    from stillscope.pipeline import plan

    monkeypatch.setattr(plan, "free_bytes", lambda path: 1000)
    with pytest.raises(OSError, match=r"c\.zarr: .* are needed .* 1 kB are free"):
        stillscope.correct(recording, tmp_path / "c.zarr", report=False)


def test_what_the_run_was_is_in_the_file(recording, tmp_path):
    from stillscope.io.motion_file import read_motion

    result = stillscope.correct(recording, tmp_path / "c.zarr", max_shift=9.0, report=False)
    attributes = read_motion(result.shifts)[1]
    assert attributes["stillscope_version"] == stillscope.__version__
    assert json.loads(attributes["parameters"])["max_shift"] == 9.0
    about = json.loads(attributes["recording"])
    assert [name for name, _ in about["files"]] == ["msCam8.avi", "msCam9.avi", "msCam10.avi"]
    assert about["shape"] == list(SHAPE)
    assert about["frame_rate"] == 30
