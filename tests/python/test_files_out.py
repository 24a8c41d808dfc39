# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies and shifts as files: what is written is what is read, in any order of runs, by ours and by
other libraries."""

import hashlib
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import stillscope
from stillscope.io.motion_file import write_csv
from stillscope.io.writers import MovieSpec, open_writer, write_movie
from stillscope.simulate import simulate_movie

for library in ("av", "zarr", "tifffile"):
    pytest.importorskip(library)

DTYPES = {
    ".avi": ["u1", "u2"],
    ".tif": ["u1", "u2", "i2", "u4", "i8", "f4", "f8"],
    ".zarr": ["u1", "u2", "i2", "u4", "i8", "f4", "f8", "?"],
}
SHAPES = [(1, 1, 1), (6, 5, 1), (3, 16, 16), (5, 17, 23), (70, 33, 40), (2, 1, 50)]


def movie_of(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        movie = rng.normal(0, 1e3, shape).astype(dtype)
        movie[0, 0, 0] = np.nan
        return movie
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def digest(path):
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return [(f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in files]


@pytest.mark.parametrize("suffix", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_written_is_read_bit_for_bit(tmp_path, suffix, shape):
    for dtype in DTYPES[suffix]:
        movie = movie_of(shape, dtype)
        path = tmp_path / f"movie_{dtype.strip('?')}{suffix}"
        write_movie(path, movie, frame_rate=12.5, pixel_size=(0.75, 1.5))
        with stillscope.open_movie(path) as found:
            assert found.shape == shape
            assert found.dtype == movie.dtype
            assert np.array_equal(found[:], movie, equal_nan=movie.dtype.kind == "f")
            if suffix == ".tif" and shape[2] == 1:
                continue  # these files hold no more than pixels
            assert found.frame_rate == pytest.approx(12.5)
            if suffix != ".avi":
                assert found.pixel_size == pytest.approx((0.75, 1.5))
        assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []


@pytest.mark.parametrize(
    ("name", "dtypes", "chunks"),
    [
        ("a.tif", (">u2", ">i4", ">f4", ">f8"), None),
        ("a.zarr", (">u2", ">f4"), None),
        ("a.zarr", (">u2", ">f4"), (6, 3, 4)),
        ("a.avi", (">u2",), None),
    ],
)
def test_numbers_of_the_other_byte_order_keep_their_values(tmp_path, name, dtypes, chunks):
    for dtype in dtypes:
        movie = movie_of((6, 17, 20), np.dtype(dtype).newbyteorder("=")).astype(dtype)
        write_movie(tmp_path / name, movie, chunks=chunks)
        with stillscope.open_movie(tmp_path / name) as found:
            assert found.dtype == movie.dtype.newbyteorder("=")
            assert np.array_equal(found[:], movie, equal_nan=movie.dtype.kind == "f")
        np.save(tmp_path / "a.npy", movie)
        with stillscope.open_movie(tmp_path / "a.npy") as found:
            assert np.array_equal(found[:], movie, equal_nan=movie.dtype.kind == "f")


@pytest.mark.parametrize(
    ("fmt", "chunks"),
    [("tiff", None), ("avi", None), ("zarr", (7, 33, 40)), ("zarr", (7, 10, 11)),
     ("zarr", (70, 4, 9))],
)  # fmt: skip
def test_bytes_depend_neither_on_the_order_nor_on_who_writes_a_run(tmp_path, fmt, chunks):
    movie = movie_of((70, 33, 40), "u1")
    spec = MovieSpec(fmt, movie.shape, movie.dtype, 20.0, None, chunks, "movie")
    found = []
    for order in ("forward", "backward", "several"):
        (tmp_path / order).mkdir()
        path = tmp_path / order / "movie"
        writer = open_writer(path, spec)
        writer.begin()
        begins = list(range(0, len(movie), writer.run))
        for begin in reversed(begins) if order == "backward" else begins:
            if order == "several":
                writer.close()
                writer = open_writer(path, spec)
            writer.write(begin, movie[begin : begin + writer.run])
        writer.finish(1 << 20)
        writer.finish(1 << 20)  # of what is finished: nothing to do
        writer.close()
        found.append(digest(path))
        assert [p.name for p in path.parent.iterdir()] == ["movie"]
    assert found[0] == found[1] == found[2]


def test_pixel_chunks_hold_all_frames_whatever_the_memory(tmp_path):
    movie = movie_of((50, 31, 29), "u2")
    digests = set()
    for memory in (1, 20_000, 1 << 30):
        path = tmp_path / str(memory)
        spec = MovieSpec("zarr", movie.shape, movie.dtype, None, None, (50, 4, 5), "movie")
        writer = open_writer(path, spec)
        writer.begin()
        for begin in range(0, 50, writer.run):
            writer.write(begin, movie[begin : begin + writer.run])
        writer.finish(memory)
        digests.add(tuple(digest(path)))
        import zarr

        array = zarr.open(str(path), mode="r")["movie"]
        assert array.chunks == (50, 4, 5)
        assert np.array_equal(array[:], movie)
    assert len(digests) == 1


def test_tiff_is_read_by_others_and_becomes_big_where_it_must(tmp_path):
    import tifffile

    movie = movie_of((6, 20, 30), "u2")
    write_movie(tmp_path / "m.tif", movie)
    with tifffile.TiffFile(tmp_path / "m.tif") as file:
        assert not file.is_bigtiff
        assert len(file.pages) == 6
        assert np.array_equal(file.asarray(), movie)
    # The layout alone: pixels of 5 GB that nobody has written take no room.
    spec = MovieSpec("tiff", (5000, 1000, 1000), np.dtype("u1"))
    open_writer(tmp_path / "big.tif", spec).begin()
    with tifffile.TiffFile(tmp_path / "big.tif") as file:
        assert file.is_bigtiff
        assert len(file.pages) == 5000


def test_avi_states_the_rate_and_every_frame_stands_alone(tmp_path):
    import av

    movie = movie_of((10, 40, 50), "u1")
    write_movie(tmp_path / "m.avi", movie, frame_rate=29.97)
    with av.open(str(tmp_path / "m.avi")) as container:
        stream = container.streams.video[0]
        assert stream.frames == 10
        assert float(stream.average_rate) == pytest.approx(29.97)
        assert Fraction(stream.average_rate).denominator <= 10_000
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert all(packet.is_keyframe for packet in packets)


@pytest.mark.parametrize("suffix", [".avi", ".tif"])
def test_a_format_refuses_what_it_cannot_hold(tmp_path, suffix):
    dtype = {".avi": "f4", ".tif": "?"}[suffix]
    with pytest.raises(TypeError, match="^destination: expected a movie"):
        write_movie(tmp_path / f"m{suffix}", movie_of((2, 4, 4), dtype))
    with pytest.raises(ValueError, match="^path: expected"):
        write_movie(tmp_path / "m.png", movie_of((2, 4, 4), "u1"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["m.tif", "m.avi", "m.zarr", "p.zarr"])
def test_a_movie_that_fails_leaves_nothing_but_the_old_one(tmp_path, monkeypatch, name):
    from stillscope.io import writers

    chunks = (70, 4, 9) if name == "p.zarr" else None
    movie = movie_of((70, 33, 40), "u1")
    write_movie(tmp_path / name, movie, chunks=chunks)
    write_movie(tmp_path / name, movie, chunks=chunks)  # in the place of the first
    assert [path.name for path in tmp_path.iterdir()] == [name]
    old = digest(tmp_path / name)
    opened = writers.open_writer

    def failing(stage):
        def stop(*_):
            raise OSError(28, "No space left on device")

        def open_writer(*given):
            writer = opened(*given)
            monkeypatch.setattr(writer, stage, stop)
            return writer

        return open_writer

    for stage in ("write", "finish"):
        monkeypatch.setattr(writers, "open_writer", failing(stage))
        with pytest.raises(OSError, match=f"No space left on device: .*{name}, 92,400 bytes"):
            write_movie(tmp_path / name, movie[::-1], chunks=chunks)
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert digest(tmp_path / name) == old


# --- shifts ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def motion():
    movie, _ = simulate_movie(40, 60, 80)
    movie[7] = 0
    return stillscope.estimate_motion(
        movie, preset="miniscope", region=(slice(4, 58), slice(3, 77)), bad_frames=[12]
    )


def same(a, b):
    """Whether two estimates are the same, but for the list of what each node of the tree did."""
    for name in ("shifts", "template", "mean_before", "fixed_pattern"):
        one, other = getattr(a, name), getattr(b, name)
        if not (one is other is None or np.array_equal(one, other, equal_nan=True)):
            return False
    if (a.quality is None) != (b.quality is None):
        return False
    if a.quality is not None:
        for name, value in vars(a.quality).items():
            other = getattr(b.quality, name)
            if name == "flags":
                if list(value) != list(other):
                    return False
                if not all(np.array_equal(value[flag], other[flag]) for flag in value):
                    return False
            elif not np.array_equal(value, other):
                return False
    return a.valid == b.valid and a.filtering == b.filtering


@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
def test_an_estimate_is_read_as_it_was_written(tmp_path, motion, suffix):
    path = tmp_path / f"m.shifts{suffix}"
    stillscope.save_motion(path, motion)
    found = stillscope.load_motion(path)
    assert same(found, motion)
    assert found.verdict == motion.verdict
    assert found.stats["passes"] == motion.stats["passes"]
    assert found.stats["counts"]["registrations"] == motion.stats["counts"]["registrations"]
    stillscope.save_motion(path, found)  # in place of the first
    assert same(stillscope.load_motion(path), motion)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
def test_an_estimate_without_quality_is_kept_too(tmp_path, suffix):
    movie, _ = simulate_movie(12, 40, 50)
    plain = stillscope.estimate_motion(movie, refine=0)
    stillscope.save_motion(tmp_path / f"m{suffix}", plain)
    assert same(stillscope.load_motion(tmp_path / f"m{suffix}"), plain)


@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
def test_an_estimate_that_fails_leaves_nothing_but_the_old_one(
    tmp_path, motion, monkeypatch, suffix
):
    from stillscope.io import durable, motion_file

    path = tmp_path / f"m{suffix}"
    stillscope.save_motion(path, motion)
    stillscope.save_motion(path, motion)
    assert list(tmp_path.iterdir()) == [path]
    old = digest(path)

    def stop(*_):
        raise OSError(28, "No space left on device")

    moved = durable.os.replace

    def stop_second(new, place):
        if place == path and new not in aside:  # what was there may go back
            stop()
        aside.append(place)
        moved(new, place)

    for module, name, failing in (
        (motion_file, "_save_zarr" if suffix == ".zarr" else "_save_netcdf", stop),
        (durable, "sync_tree", stop),
        (durable.os, "replace", stop_second),
    ):
        aside = []
        with monkeypatch.context() as patch:
            patch.setattr(module, name, failing)
            with pytest.raises(OSError, match=f"No space left on device: .*m{suffix}"):
                stillscope.save_motion(path, motion)
        assert list(tmp_path.iterdir()) == [path]
        assert digest(path) == old


def test_the_same_estimate_has_the_same_bytes(tmp_path, motion):
    for name in ("a", "b"):
        stillscope.save_motion(tmp_path / f"{name}.zarr", motion)
    assert digest(tmp_path / "a.zarr") == digest(tmp_path / "b.zarr")


def test_large_planes_have_the_same_bytes_too(tmp_path):
    """Blosc cuts them up; by several threads, as in the main one, their order would be chance's."""
    template = np.random.default_rng(1).normal(0, 1, (1080, 1440)).astype(np.float32)
    large = stillscope.MotionEstimate(np.zeros((5, 2)), template)
    found = set()
    for _ in range(8):  # of 12 digests 7 were different
        stillscope.save_motion(tmp_path / "m.zarr", large)
        found.add(tuple(digest(tmp_path / "m.zarr")))
    assert len(found) == 1


def test_arrays_of_many_frames_are_cut_into_chunks(tmp_path, monkeypatch):
    import zarr

    from stillscope.io import zarr_group

    monkeypatch.setattr(zarr_group, "_CHUNK_BYTES", 100)
    motion = stillscope.MotionEstimate(np.random.default_rng(2).normal(0, 1, (33, 2)),
                                       np.zeros((3, 4), np.float32))  # fmt: skip
    stillscope.save_motion(tmp_path / "m.zarr", motion)
    assert zarr.open(str(tmp_path / "m.zarr"), mode="r")["motion"].chunks == (6, 2)
    assert same(stillscope.load_motion(tmp_path / "m.zarr"), motion)


def test_xarray_opens_it(tmp_path, motion):
    xr = pytest.importorskip("xarray")
    stillscope.save_motion(tmp_path / "m.zarr", motion, {"mouse": "m7", "session": {"day": 3}})
    with xr.open_zarr(tmp_path / "m.zarr") as dataset:
        assert dataset["motion"].dims == ("frame", "shift_dim")
        assert list(dataset["shift_dim"].values) == ["height", "width"]
        assert np.array_equal(dataset["motion"].values, motion.shifts)
        assert list(dataset)[0] == "motion"  # what minian takes of a folder
        black = dataset["quality_flags"].sel(flag="black").values
        assert np.array_equal(black, motion.quality.flags["black"])
        assert dataset["template"].dims == ("height", "width")
        # Of a region: where it lies in the frame.
        assert dataset["height"].values[0] == 4 and dataset["width"].values[0] == 3
        assert dataset.attrs["mouse"] == "m7"


def test_the_table_has_a_line_a_frame(tmp_path, motion):
    write_csv(tmp_path / "m.csv", motion)
    lines = (tmp_path / "m.csv").read_text().splitlines()
    assert lines[0].startswith("frame,height,width,similarity_before,similarity,")
    assert len(lines) == 41
    assert lines[8].endswith("black") or "black" in lines[8]
    found = np.array([[float(v) for v in line.split(",")[1:3]] for line in lines[1:]])
    assert np.array_equal(found, motion.shifts)


@pytest.mark.parametrize(("missing", "extra"), [("xarray", "xarray"), ("netCDF4", "netcdf")])
def test_netcdf_names_what_it_needs(tmp_path, motion, monkeypatch, missing, extra):
    stillscope.save_motion(tmp_path / "m.nc", motion)
    for name in {missing, "h5netcdf"}:
        monkeypatch.setitem(sys.modules, name, None)
    message = rf'a netCDF file of shifts needs {missing}: pip install "stillscope\[{extra}\]"'
    with pytest.raises(ImportError, match=message):
        stillscope.load_motion(tmp_path / "m.nc")
    with pytest.raises(ImportError, match=message):
        stillscope.save_motion(tmp_path / "n.nc", motion)
    assert [path.name for path in tmp_path.iterdir()] == ["m.nc"]


def test_another_file_is_refused(tmp_path, motion):
    import zarr

    with pytest.raises(ValueError, match=r"^path: expected the suffix \.zarr or \.nc"):
        stillscope.save_motion(tmp_path / "m.csv", motion)
    with pytest.raises(FileNotFoundError, match="no such file"):
        stillscope.load_motion(tmp_path / "none.zarr")
    group = zarr.open_group(str(tmp_path / "other.zarr"), mode="w")
    with pytest.raises(ValueError, match="expected a file of shifts"):
        stillscope.load_motion(tmp_path / "other.zarr")
    group.attrs["format"] = "stillscope motion"
    with pytest.raises(ValueError, match="expected a file of shifts"):
        stillscope.load_motion(tmp_path / "other.zarr")
    stillscope.save_motion(tmp_path / "new.zarr", motion)
    zarr.open_group(str(tmp_path / "new.zarr"), mode="r+").attrs["format_version"] = 99
    with pytest.raises(ValueError, match="a newer stillscope"):
        stillscope.load_motion(tmp_path / "new.zarr")


@pytest.mark.parametrize(
    ("what", "value"),
    [("stats", None), ("stats", "{"), ("valid", "3"), ("format_version", None),
     ("format_version", "1"), ("quality_gain", None), ("nonrigid", "{}")],
)  # fmt: skip
def test_a_damaged_file_is_refused(tmp_path, motion, what, value):
    import zarr

    stillscope.save_motion(tmp_path / "m.zarr", motion)
    group = zarr.open_group(str(tmp_path / "m.zarr"), mode="r+")
    holder = group if what in group else group.attrs
    if value is None:
        del holder[what]
    else:
        holder[what] = value
    with pytest.raises(ValueError, match=r"m\.zarr: expected "):
        stillscope.load_motion(tmp_path / "m.zarr")


def test_importing_the_package_imports_no_extra():
    code = (
        "import sys, stillscope, stillscope.io, stillscope.pipeline; "
        "extras = {'av', 'zarr', 'tifffile', 'h5py', 'xarray', 'dask', 'matplotlib', 'jinja2', "
        "'tqdm', 'distributed'}; print(sorted(extras & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
