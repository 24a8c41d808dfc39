# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of every kind are one movie, read as asked for, in order, with their exact values."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from support import RECORDING, import_quietly, in_new_process

from stillscope import estimate_motion
from stillscope.io import MissingFrame, Recording, open_movie
from stillscope.io.files import find_files

# FFmpeg stretches studio-range luma (16 to 235) to 0 to 255 with rounding. Measured 1 grey level.
STUDIO_RANGE_TOLERANCE = 1
# Motion JPEG at its best quality on a smooth image. Measured 1 grey level.
JPEG_TOLERANCE = 2

# MPEG-4 of a smooth image, the mean of a frame; the next one differs by 8. Measured 2.4.
MPEG_MEAN_TOLERANCE = 3.5


def noise(frames, height, width, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal((frames, height, width)).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, (frames, height, width), dtype, True)


def encode(path, movie, codec="ffv1", pixel_format=None, array_format=None, rate=20, **options):
    """Write a video by FFmpeg's own means."""
    av = pytest.importorskip("av")
    array_format = array_format or ("gray" if movie.dtype == np.uint8 else "gray16le")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={"g": "1", **options})
        stream.height, stream.width = movie.shape[1:3]
        stream.pix_fmt = pixel_format or array_format
        for k, image in enumerate(movie):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=array_format)
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def state_frames(path, number):
    """Overwrite the two places of an AVI header that state how many frames there are."""
    content = bytearray(path.read_bytes())
    for chunk, offset in ((b"avih", 24), (b"strh", 40)):
        at = content.index(chunk) + offset
        content[at : at + 4] = number.to_bytes(4, "little")
    path.write_bytes(content)


def write_tiff(path, movie, **options):
    options = {"photometric": "minisblack", **options}
    import_quietly("tifffile").imwrite(path, movie, **options)


def write_zarr(path, movie, dimensions=None, **attributes):
    zarr = import_quietly("zarr")
    group = zarr.open_group(str(path), mode="w")
    for name, values in (("movie", movie), ("frame", np.arange(len(movie)))):
        make = getattr(group, "create_array", None) or group.create_dataset
        array = make(name, shape=values.shape, dtype=values.dtype, chunks=values.shape)
        array[:] = values
        if name == "movie" and dimensions:
            array.attrs["_ARRAY_DIMENSIONS"] = list(dimensions)
            array.attrs.update(attributes)


def write_hdf5(path, movie, name="movie", **attributes):
    with pytest.importorskip("h5py").File(path, "w") as root:
        root[name] = movie
        root[name].attrs.update(attributes)


WRITERS = {
    "movie.avi": encode,
    "movie.mkv": encode,
    "movie.tif": write_tiff,
    "big.tiff": lambda path, movie: write_tiff(path, movie, bigtiff=True),
    "imagej.tif": lambda path, movie: write_tiff(path, movie, imagej=True),
    "ome.tif": lambda path, movie: write_tiff(path, movie, ome=True),
    "motorola.tif": lambda path, movie: write_tiff(path, movie, byteorder=">"),
    "deflate.tif": lambda path, movie: write_tiff(path, movie, compression="zlib"),
    "lzw.tif": lambda path, movie: write_tiff(path, movie, compression="lzw", predictor=True),
    "tiles.tif": lambda path, movie: write_tiff(path, movie, tile=(16, 16)),
    "movie.npy": np.save,
    "fortran.npy": lambda path, movie: np.save(path, np.asfortranarray(movie)),
    "movie.zarr": write_zarr,
    "movie.h5": write_hdf5,
}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("check", [True, False])
def test_every_format_gives_back_what_was_written(tmp_path, name, dtype, check):
    movie = noise(23, 18, 20, dtype)
    WRITERS[name](tmp_path / name, movie)
    with open_movie(tmp_path / name, check=check) as recording:
        assert recording.shape == movie.shape and recording.ndim == 3
        assert recording.dtype == movie.dtype and recording.dtype.isnative
        assert len(recording) == 23 and recording.nbytes == movie.nbytes
        assert recording.files == (tmp_path / name,)
        assert recording.missing == ()
        for key in (slice(None), slice(5, 9), 22, 0, slice(None, None, -4), [7, 7, 2]):
            read = recording[key]
            assert np.array_equal(read, movie[key]) and read.dtype == movie.dtype
        for size in (1, 5, 23, 100):
            blocks = list(recording.blocks(size))
            assert [len(block) for block in blocks[:-1]] == [size] * (len(blocks) - 1)
            assert np.array_equal(np.concatenate(blocks), movie)


@pytest.mark.parametrize(
    "name", ["movie.tif", "deflate.tif", "movie.npy", "movie.zarr", "movie.h5"]
)
@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_other_types_are_kept_where_a_format_has_them(tmp_path, name, dtype):
    movie = noise(4, 16, 16, dtype)
    WRITERS[name](tmp_path / name, movie)
    with open_movie(tmp_path / name) as recording:
        assert recording.dtype == dtype
        assert np.array_equal(recording[:], movie)


KEYS = [
    3, -1, np.int64(4), slice(None), slice(3, 25, 7), slice(None, None, -3), slice(9, 9),
    [5, 2, 2, 29], [], np.array([[1, 2], [-3, 4]]), np.arange(30) % 4 == 0, Ellipsis, (Ellipsis, 3),
    (slice(3, 20, 4), slice(2, 5)), (4, slice(None), 1), (4, [1, 2], [3, 4]),
    ([1, 2], [3, 4], [5, 6]), (slice(0, 2), None), (7, 8, 9),
]  # fmt: skip


@pytest.mark.parametrize("suffix", [".avi", ".npy"])
def test_indices_mean_what_they_mean_to_numpy(tmp_path, suffix):
    movie = noise(30, 10, 12)
    for k, part in enumerate(np.split(movie, 3)):
        (encode if suffix == ".avi" else np.save)(tmp_path / f"part{k}{suffix}", part)
    with open_movie(tmp_path) as recording:
        for key in KEYS:
            assert np.array_equal(recording[key], movie[key]), key
        for key in (30, -31, [1, 30], "a", 1.5, np.ones(29, bool), (0, 99)):
            with pytest.raises(IndexError):
                recording[key]
        assert np.array_equal(np.asarray(recording), movie)
        assert np.array_equal(list(recording), movie)


def test_what_is_read_is_the_readers_own(tmp_path):
    np.save(tmp_path / "movie.npy", noise(20, 64, 64))
    recording = open_movie(tmp_path / "movie.npy")
    read = recording[3:5]
    read[:] = 0
    assert recording[3:5].any()
    assert recording[:, 0, 0].base is None  # a pixel a frame does not keep the frames


def test_files_are_joined_in_natural_order(tmp_path):
    movie = noise(33, 12, 14)
    for k, part in enumerate(np.split(movie, 11), start=1):
        encode(tmp_path / f"msCam{k}.avi", part)
    (tmp_path / "timestamps.csv").write_text("not a movie")
    (tmp_path / "._msCam1.avi").write_text("nor is this")
    (tmp_path / "folder.avi").mkdir()
    np.save(tmp_path / "result.npy", movie)
    for source in (tmp_path, str(tmp_path), sorted(tmp_path.glob("ms*.avi"))):
        with open_movie(source) as recording:
            assert [file.stem for file in recording.files] == [f"msCam{k}" for k in range(1, 12)]
            assert recording.frames_of_files == (3,) * 11
            assert np.array_equal(recording[:], movie)
            assert np.array_equal(np.concatenate(list(recording.blocks(7))), movie)
            assert recording.name == tmp_path.name


def test_folders_and_files_are_sorted_together(tmp_path):
    names = ["day2/b.avi", "day10/a1.avi", "day10/a2.avi"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    kind, found = find_files([str(tmp_path / "day10"), tmp_path / "day2" / "b.avi"])
    assert kind == "video" and found == [tmp_path / name for name in names]


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_folder_of_single_images_is_a_movie(tmp_path, compression):
    movie = noise(12, 9, 11, np.uint16)
    for k, image in enumerate(movie):
        write_tiff(tmp_path / f"frame{k}.tif", image, compression=compression)
    with open_movie(tmp_path) as recording:
        assert len(recording.files) == 12
        assert recording.is_costly == (compression is not None)
        assert np.array_equal(recording[:], movie)
        assert np.array_equal(np.concatenate(list(recording.blocks(5))), movie)


def test_frame_rate_and_pixel_size_are_kept(tmp_path):
    movie = noise(4, 16, 18)
    encode(tmp_path / "movie.avi", movie, rate=25)
    imagej = {"axes": "TYX", "finterval": 0.1, "unit": "um"}
    write_tiff(tmp_path / "ij.tif", movie, imagej=True, metadata=imagej, resolution=(2, 4))
    ome = {"axes": "TYX", "TimeIncrement": 50, "TimeIncrementUnit": "ms"}
    ome |= {"PhysicalSizeX": 0.5, "PhysicalSizeY": 250, "PhysicalSizeYUnit": "nm"}
    write_tiff(tmp_path / "ome.tif", movie, ome=True, metadata=ome)
    own = {"axes": "TYX", "fps": 15.0, "PhysicalSizeY": 2.0, "PhysicalSizeX": 1.5}
    write_tiff(tmp_path / "own.tif", movie, metadata=own)
    order = ("frame", "height", "width")
    write_zarr(tmp_path / "movie.zarr", movie, order, frame_rate=12.5, pixel_size=[1.5, 2])
    write_hdf5(tmp_path / "movie.h5", movie, "mov", fr=30)
    np.save(tmp_path / "movie.npy", movie)
    stated = {
        "movie.avi": (25, None), "ij.tif": (10, (0.25, 0.5)), "ome.tif": (20, (0.25, 0.5)),
        "own.tif": (15, (2, 1.5)), "movie.zarr": (12.5, (1.5, 2)), "movie.h5": (30, None),
        "movie.npy": (None, None),
    }  # fmt: skip
    for name, (rate, size) in stated.items():
        with open_movie(tmp_path / name) as recording:
            assert recording.frame_rate == pytest.approx(rate)
            assert recording.pixel_size == pytest.approx(size)
        with open_movie(tmp_path / name, frame_rate=7, pixel_size=3) as recording:
            assert recording.frame_rate == 7 and recording.pixel_size == (3, 3)
            assert "7 Hz, 3x3 um" in repr(recording)


def test_hyperstacks_give_the_channel_that_is_asked_for(tmp_path):
    movie = noise(10, 12, 16).reshape(5, 2, 12, 16)
    write_tiff(tmp_path / "two.tif", movie, imagej=True, metadata={"axes": "TCYX"})
    with pytest.raises(ValueError, match=r"two\.tif: .*T: 5, C: 2; choose by dataset="):
        open_movie(tmp_path / "two.tif")
    for channel in (0, 1):
        recording = open_movie(tmp_path / "two.tif", dataset=f"C{channel}")
        assert np.array_equal(recording[:], movie[:, channel])
    for wrong in ("C2", "Q0", "movie"):
        with pytest.raises(ValueError, match=r"two\.tif: expected dataset="):
            open_movie(tmp_path / "two.tif", dataset=wrong)


def test_imagej_files_without_directories_are_read_whole(tmp_path):
    movie = noise(6, 12, 16, np.uint16)
    write_tiff(tmp_path / "all.tif", movie, imagej=True)
    content = bytearray((tmp_path / "all.tif").read_bytes())
    tifffile = import_quietly("tifffile")
    with tifffile.TiffFile(tmp_path / "all.tif") as tif:
        first, tags = tif.pages[0].offset, len(tif.pages[0].tags)
        end = tif.pages[0].dataoffsets[0] + movie.nbytes
    content[first + 2 + 12 * tags : first + 6 + 12 * tags] = bytes(4)  # no second directory
    (tmp_path / "one.tif").write_bytes(content[:end])
    assert np.array_equal(open_movie(tmp_path / "one.tif")[:], movie)
    (tmp_path / "cut.tif").write_bytes(content[: end - 100])
    with pytest.warns(UserWarning, match="states 6 frames, the file holds 5"):
        recording = open_movie(tmp_path / "cut.tif")
    assert np.array_equal(recording[:], movie[:5])
    assert recording.missing[0].frame is None


def test_colour_becomes_its_luma(tmp_path):
    colours = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]]], np.uint8)
    encode(tmp_path / "colour.avi", colours, pixel_format="bgr0", array_format="rgb24")
    write_tiff(tmp_path / "colour.tif", colours, photometric="rgb")
    for name in ("colour.avi", "colour.tif"):
        with open_movie(tmp_path / name) as recording:
            assert recording[0].tolist() == [[76, 150, 29, 255]]


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "tolerance"),
    [
        ("studio.mkv", "ffv1", "yuv420p", STUDIO_RANGE_TOLERANCE),
        ("studio.mkv", "rawvideo", "nv12", STUDIO_RANGE_TOLERANCE),
        ("full.avi", "mjpeg", "yuvj420p", JPEG_TOLERANCE),
        ("raw.avi", "rawvideo", "gray", 0),
        ("alpha.mkv", "ffv1", "ya8", 0),
    ],
)
def test_grey_comes_out_of_any_pixel_format(tmp_path, name, codec, pixel_format, tolerance):
    ramp = (np.add.outer(np.arange(48), np.arange(64)) * 2).astype(np.uint8)
    encode(tmp_path / name, ramp[None], codec, pixel_format, qmin="1", q="1")
    with open_movie(tmp_path / name) as recording:
        assert np.abs(recording[0].astype(int) - ramp).max() <= tolerance


@pytest.mark.parametrize("bits", [9, 10, 12, 14])
def test_deep_grey_keeps_the_sensor_values(tmp_path, bits):
    av = pytest.importorskip("av")
    if f"gray{bits}le" not in {f.name for f in av.Codec("ffv1", "w").video_formats or ()}:
        pytest.skip(f"this FFmpeg writes no {bits}-bit FFV1")
    movie = noise(3, 20, 30, np.uint16) >> (16 - bits)
    encode(tmp_path / "deep.mkv", movie, array_format=f"gray{bits}le")
    with open_movie(tmp_path / "deep.mkv") as recording:
        assert np.array_equal(recording[:], movie)


@pytest.mark.parametrize("check", [True, False])
def test_frames_that_refer_to_others_are_found_again(tmp_path, check):
    ramp = np.add.outer(np.arange(48), np.arange(64)) // 4
    movie = (20 + ramp + np.arange(24)[:, None, None] * 8).astype(np.uint8)
    try:
        encode(tmp_path / "movie.mp4", movie, "mpeg4", "yuv420p", g="12", bf="2", b="4000000")
    except Exception:
        pytest.skip("this FFmpeg writes no MPEG-4")
    with open_movie(tmp_path / "movie.mp4", check=check) as recording:
        whole = recording[:]
        assert np.abs(whole.mean((1, 2)) - movie.mean((1, 2))).max() < MPEG_MEAN_TOLERANCE
        for k in (23, 3, 14, 18, 0):
            assert np.array_equal(recording[k], whole[k])


def test_matlab_axes_are_turned_back(tmp_path):
    movie = noise(5, 6, 7)
    write_hdf5(tmp_path / "movie.mat", movie.transpose(0, 2, 1))  # as MATLAB saves (6, 7, 5)
    with open_movie(tmp_path / "movie.mat") as recording:
        assert np.array_equal(recording[:], movie)


def write_nwb(path, movie, rate, spacing, unit):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as root:
        series = root.create_group("acquisition/OnePhotonSeries")
        series["data"] = movie
        series["starting_time"] = 0.0
        series["starting_time"].attrs["rate"] = rate
        series["imaging_plane/grid_spacing"] = spacing
        series["imaging_plane/grid_spacing"].attrs["unit"] = unit


def test_neurodata_without_borders_states_its_rate(tmp_path):
    movie = noise(5, 6, 7)
    write_nwb(tmp_path / "movie.nwb", movie, 15.0, [2e-6, 1e-6], "meters")
    with open_movie(tmp_path / "movie.nwb") as recording:
        assert recording.frame_rate == 15 and recording.pixel_size == pytest.approx((1, 2))
        assert np.array_equal(recording[:], movie)


@pytest.mark.parametrize(
    ("rate", "spacing", "unit"),
    [
        (b"fast", [b"a", b"b"], "meters"),
        (float("nan"), [float("nan"), 1e-6], "meters"),
        (0.0, [0.0, 1e-6], "meters"),
        (-5.0, [-1e-6, 1e-6], "meters"),
        (float("inf"), [float("inf"), 1e-6], "meters"),
        ([15.0, 15.0], [1e-6], "meters"),
        ([], [1e-6] * 4, "meters"),
        (15 + 1j, 1e-6, "meters"),
        ("", [[1e-6, 1e-6]], "meters"),
        (float("nan"), [1e-6, 1e-6], b"inches"),
        (float("nan"), [1e-6, 1e-6], 3),
        (float("nan"), [1e-6, 1e-6], [1, 2]),
    ],
)
def test_what_neurodata_state_wrongly_is_unknown(tmp_path, rate, spacing, unit):
    movie = noise(5, 6, 7)
    write_nwb(tmp_path / "movie.nwb", movie, rate, spacing, unit)
    with open_movie(tmp_path / "movie.nwb") as recording:
        assert recording.frame_rate is None and recording.pixel_size is None
        assert np.array_equal(recording[:], movie)


@pytest.mark.parametrize(
    ("times", "rate"),
    [
        (np.arange(5) / 10, 10),
        ([0, 0.1, np.nan, 0.3, 0.4], None),
        ([0.0] * 5, None),
        (np.arange(5) * -0.1, None),
        ([b"a", b"b"], None),
        ([0.0, np.inf], None),
        ([5e-324 * k for k in range(5)], None),  # a rate that is not finite
        ([], None),
        (0.5, None),
    ],
)
def test_the_rate_of_timestamps(tmp_path, times, rate):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "movie.nwb", "w") as root:
        series = root.create_group("acquisition/OnePhotonSeries")
        series["data"] = noise(5, 6, 7)
        series["timestamps"] = times
    with open_movie(tmp_path / "movie.nwb") as recording:
        assert recording.frame_rate == (rate and pytest.approx(rate))


@pytest.mark.parametrize("beside", ["starting_time", "timestamps", "imaging_plane"])
def test_groups_and_numbers_where_neurodata_have_others(tmp_path, beside):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "movie.nwb", "w") as root:
        series = root.create_group("acquisition/OnePhotonSeries")
        series["data"] = noise(5, 6, 7)
        if beside == "imaging_plane":
            series[beside] = 3.0
        else:
            series.create_group(beside)
    with open_movie(tmp_path / "movie.nwb") as recording:
        assert recording.frame_rate is None and recording.pixel_size is None


@pytest.mark.parametrize("suffix", [".zarr", ".h5"])
@pytest.mark.parametrize(
    ("rate", "size"),
    [("fast", "wide"), (0, [1, 0]), (-3.0, [1, -1]), ([1, 2], [1, 2, 3]), ("", ""), (True, [])],
)
def test_attributes_that_are_no_rate_or_size_are_not_known(tmp_path, suffix, rate, size):
    write = write_zarr if suffix == ".zarr" else write_hdf5
    write(tmp_path / f"m{suffix}", noise(5, 6, 7), frame_rate=rate, pixel_size=size)
    with open_movie(tmp_path / f"m{suffix}") as recording:
        assert recording.frame_rate is None and recording.pixel_size is None


def test_named_dimensions_tell_the_axes(tmp_path):
    movie = noise(5, 6, 7)
    for order in ("frame height width", "height width frame", "width frame height"):
        names = order.split()
        axes = [("frame", "height", "width").index(name) for name in names]
        write_zarr(tmp_path / f"{names[0]}.zarr", movie.transpose(axes), names)
        assert np.array_equal(open_movie(tmp_path / f"{names[0]}.zarr")[1:4], movie[1:4])


@pytest.mark.parametrize("suffix", [".zarr", ".h5"])
def test_of_several_arrays_one_must_be_named(tmp_path, suffix):
    movie, path = noise(5, 6, 7), tmp_path / f"both{suffix}"
    if suffix == ".zarr":
        write_zarr(path, movie)
        group = import_quietly("zarr").open_group(str(path), mode="a")
        (getattr(group, "create_array", None) or group.create_dataset)(
            "inner/other", shape=(3, 4, 5), dtype="u1"
        )
    else:
        write_hdf5(path, movie)
        with pytest.importorskip("h5py").File(path, "a") as root:
            root["inner/other"] = movie[:3]
            root["timestamps"] = np.arange(5)
    with pytest.raises(ValueError, match=r"dataset=; got .*inner/other \(3, .*movie \(5, 6, 7\)"):
        open_movie(path)
    assert np.array_equal(open_movie(path, dataset="movie")[:], movie)
    assert len(open_movie(path, dataset="/inner/other")) == 3
    with pytest.raises(ValueError, match=r"^dataset: expected an array of .*got 'none'"):
        open_movie(path, dataset="none")


def test_the_estimate_takes_a_recording(tmp_path):
    movie = noise(20, 40, 40)
    encode(tmp_path / "movie.avi", movie)
    with open_movie(tmp_path / "movie.avi") as recording:
        assert np.array_equal(estimate_motion(recording).shifts, estimate_motion(movie).shifts)


def test_recordings_travel_to_other_processes(tmp_path):
    movie = noise(8, 18, 20)
    for name in ("movie.avi", "deflate.tif", "movie.npy", "movie.zarr", "movie.h5"):
        WRITERS[name](tmp_path / name, movie)
        recording = open_movie(tmp_path / name)
        recording[3]
        copy = pickle.loads(pickle.dumps(recording))
        assert np.array_equal(copy[2:5], movie[2:5])
        assert repr(copy) == repr(recording)


def test_the_real_recording_is_read_whole():
    if not RECORDING.exists():
        pytest.skip(f"no real recording at {RECORDING}")
    with open_movie(RECORDING) as recording:
        assert recording.shape == (60, 200, 200) and recording.dtype == np.uint8
        assert recording.frame_rate == 20 and recording.name == "wireless_corrupted"
        cv2 = pytest.importorskip("cv2")
        capture, frames = cv2.VideoCapture(str(RECORDING)), []
        while (frame := capture.read()[1]) is not None:
            frames.append(frame[..., 0])
        assert np.array_equal(recording[:], frames)


def test_what_is_shown_of_a_recording(tmp_path):
    np.save(tmp_path / "mouse.npy", noise(5, 6, 7))
    recording = open_movie(tmp_path / "mouse.npy", frame_rate=20)
    assert isinstance(recording, Recording)
    assert repr(recording) == "<Recording 'mouse': 5 frames 6x7 uint8, 20 Hz, mouse.npy>"


# What can't be read.


def test_paths_that_are_not_there_or_not_known(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.avi"):
        open_movie(tmp_path / "missing.avi")
    with pytest.raises(ValueError, match=f"{tmp_path.name}: expected a folder with movies"):
        open_movie(tmp_path)
    with pytest.raises(ValueError, match="^source: expected at least one"):
        open_movie([])
    with pytest.raises(TypeError, match="^source: expected a path"):
        open_movie(3)
    (tmp_path / "movie.xyz").touch()
    with pytest.raises(ValueError, match=r"movie\.xyz: expected .*\.avi.*\.tif.*\.npy"):
        open_movie(tmp_path / "movie.xyz")
    np.save(tmp_path / "a.npy", noise(2, 4, 4))
    write_hdf5(tmp_path / "a.h5", noise(2, 4, 4))
    with pytest.raises(ValueError, match=r"files of one kind, got .*npy \(a\.npy\)"):
        open_movie(tmp_path)
    with pytest.raises(ValueError, match=r"every file once, got .*a\.npy twice"):
        open_movie([tmp_path / "a.npy", tmp_path / "a.npy"])


@pytest.mark.parametrize("name", ["a.avi", "a.tif", "a.npy", "a.h5", "a.mat"])
@pytest.mark.parametrize("content", [b"", b"no movie at all" * 100])
def test_files_that_are_not_what_they_are_called(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: expected "):
        open_movie(tmp_path / name)


def test_sound_alone_is_no_movie(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match=r"sound\.mkv: .* no video stream"):
        open_movie(tmp_path / "sound.mkv")


def test_an_unknown_codec_is_named(tmp_path):
    encode(tmp_path / "movie.avi", noise(3, 16, 16))
    content = (tmp_path / "movie.avi").read_bytes()
    (tmp_path / "movie.avi").write_bytes(content.replace(b"FFV1", b"QQQ7"))
    for check in (True, False):
        with pytest.raises(ValueError, match=r"movie\.avi: .*does not know its codec"):
            open_movie(tmp_path / "movie.avi", check=check)


@pytest.mark.parametrize("name", ["cam.avi", "cam.tif", "cam.npy"])
@pytest.mark.parametrize(
    ("other", "given"),
    [(noise(2, 16, 18), "16x18 uint8"), (noise(2, 16, 16, np.uint16), "16x16 uint16")],
)
def test_files_that_do_not_fit_together(tmp_path, name, other, given):
    write = WRITERS[name.replace("cam", "movie")]
    write(tmp_path / f"1{name}", noise(2, 16, 16))
    write(tmp_path / f"2{name}", other)
    with pytest.raises(ValueError, match=rf"2{name}: expected .* 16x16 uint8 .* got {given}"):
        open_movie(tmp_path)


def test_a_size_that_changes_within_a_file(tmp_path):
    tifffile = import_quietly("tifffile")
    for compression in (None, "zlib"):
        with tifffile.TiffWriter(tmp_path / "sizes.tif") as writer:
            for k in range(10):
                image = noise(1, 16, 16 + 2 * (k > 5))[0]
                writer.write(image, compression=compression, photometric="minisblack")
        with pytest.raises(ValueError, match=r"sizes\.tif: .*one size, got 16x16.* and 16x18"):
            open_movie(tmp_path / "sizes.tif")


@pytest.mark.parametrize("shape", [(4, 5), (0, 4, 4), (3, 0, 4), (2, 2, 2, 2)])
@pytest.mark.parametrize("name", ["a.npy", "a.h5", "a.zarr"])
def test_arrays_that_are_no_movie(tmp_path, name, shape):
    writer = {"a.npy": np.save, "a.h5": write_hdf5, "a.zarr": write_zarr}[name]
    if name == "a.zarr" and 0 in shape:
        pytest.skip("zarr has no chunks of nothing")
    writer(tmp_path / name, np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match=rf"{name}: expected"):
        open_movie(tmp_path / name)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"frame_rate": 0}, "frame_rate"),
        ({"frame_rate": float("nan")}, "frame_rate"),
        ({"pixel_size": (1, -1)}, "pixel_size"),
        ({"pixel_size": float("inf")}, "pixel_size"),
        ({"n_threads": 0}, "n_threads"),
        ({"timeout": 0}, "timeout"),
        ({"dataset": "movie"}, "dataset"),
    ],
)
def test_options_out_of_range(tmp_path, options, named):
    np.save(tmp_path / "a.npy", noise(2, 4, 4))
    with pytest.raises(ValueError, match=f"^{named}: expected"):
        open_movie(tmp_path / "a.npy", **options)
    with pytest.raises(ValueError, match="^size: expected"):
        open_movie(tmp_path / "a.npy").blocks(0)


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("a.avi", "av", "video"),
        ("a.tif", "tifffile", "tiff"),
        ("a.zarr", "zarr", "zarr"),
        ("a.h5", "h5py", "hdf5"),
    ],
)
def test_a_missing_extra_is_named(tmp_path, monkeypatch, name, module, extra):
    if name == "a.zarr":
        (tmp_path / name).mkdir()
        (tmp_path / name / ".zgroup").touch()
    else:
        (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'reading .*: pip install "stillscope\[{extra}\]"'):
        open_movie(tmp_path / name)


def test_importing_is_light():
    heavy = in_new_process(
        """
        import json, sys
        import stillscope.io
        heavy = ("av", "tifffile", "zarr", "h5py")
        print(json.dumps([name for name in heavy if name in sys.modules]))
        """
    )
    assert heavy == []


def test_a_missing_frame_is_a_tuple():
    missing = MissingFrame(Path("a.avi"), 3, "cut off")
    assert tuple(missing) == (Path("a.avi"), 3, "cut off")
