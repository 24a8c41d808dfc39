# SPDX-License-Identifier: GPL-3.0-or-later
"""``movie.stillscope`` of xarray, and estimates as Datasets."""

import numpy as np
import pytest
from support import import_quietly, in_new_process, moving_movie, quietly

import stillscope

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
xr = pytest.importorskip("xarray")
pytest.importorskip("stillscope.accessor")

FRAMES = 40
ORDERS = [("frame", "height", "width"), ("width", "frame", "height"), ("height", "width", "frame")]


@pytest.fixture(scope="module")
def movie():
    """uint8, with coordinates of every kind, a name and attributes."""
    frames = np.rint(moving_movie(FRAMES, 72, 90, seed=3)[0]).astype("u1")
    return xr.DataArray(
        frames,
        dims=ORDERS[0],
        coords={
            "frame": np.arange(100, 100 + FRAMES),
            "width": np.arange(90) * 0.5,
            "time": ("frame", np.arange(FRAMES) / 30, {"units": "s"}),
            "light": (("height", "width"), np.ones((72, 90))),
            "animal": "a1",
        },
        attrs={"camera": "V4"},
        name="recording",
    )


@pytest.fixture(scope="module")
def native(movie):
    """The estimate of the plain API."""
    return stillscope.estimate_motion(movie.values)


@pytest.fixture(scope="module")
def corrected(movie, native):
    """The movie that the plain API makes."""
    return stillscope.apply_motion(movie.values, native)


def assert_same(given, expected):
    """Equal in everything but the coordinates that a correction adds."""
    added = [n for n in ("shift_height", "shift_width", "flagged") if n in given.coords]
    xr.testing.assert_identical(given.drop_vars(added).compute(), expected.compute())


# --- where it comes from --------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["stillscope.accessor", "stillscope.motion_correction"])
def test_importing_a_module_is_enough(module):
    has_it = in_new_process(
        "import json, sys, importlib, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "import stillscope\n"
        "assert 'xarray' not in sys.modules\n"
        "importlib.import_module(sys.argv[1])\n"
        "import xarray\n"
        "print(json.dumps(hasattr(xarray.DataArray, 'stillscope')))",
        module,
    )
    assert has_it


# --- the estimate ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("synchronous")
@pytest.mark.parametrize("dims", ORDERS)
@pytest.mark.parametrize("chunks", [None, {"frame": 7}, {"frame": 16, "height": 30, "width": 45}])
def test_the_estimate_is_that_of_the_plain_api(movie, native, dims, chunks):
    given = movie.transpose(*dims)
    given = given if chunks is None else given.chunk(chunks)
    motion = given.stillscope.estimate()
    assert motion.shifts.tobytes() == native.shifts.tobytes()
    assert motion.template.tobytes() == native.template.tobytes()


def test_options_are_those_of_the_plain_api(movie):
    mask = np.ones((72, 90), bool)
    mask[:20, :30] = False
    options = {"refine": 1, "max_shift": 8, "bad_frames": [3]}
    expected = stillscope.estimate_motion(movie.values, mask=mask, **options)
    turned = xr.DataArray(mask.T, dims=("width", "height"))
    motion = movie.stillscope.estimate(mask=turned, n_threads=2, **options)
    assert motion.shifts.tobytes() == expected.shifts.tobytes()


def test_frames_may_lie_along_another_dim(movie, native, corrected):
    given = movie.rename(frame="t")
    assert given.stillscope.estimate(dim="t").shifts.tobytes() == native.shifts.tobytes()
    result = given.stillscope.correct(dim="t")
    assert result.dims == ("t", "height", "width")
    assert result.values.tobytes() == corrected.tobytes()
    assert result.stillscope.motion.dims == ("t", "shift_dim")


@pytest.mark.usefixtures("synchronous")
def test_a_bar_for_every_reading(movie, capsys):
    pytest.importorskip("tqdm")
    movie.chunk(frame=16).stillscope.estimate(progress=True)
    shown = capsys.readouterr().err
    assert "estimate 1" in shown and "estimate 2" in shown and f"{FRAMES}/{FRAMES}" in shown
    movie.stillscope.residual_motion(progress=True)
    assert "residual 1" in capsys.readouterr().err
    movie.stillscope.estimate(progress=False)
    assert capsys.readouterr() == ("", "")


# --- applying -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("synchronous")
@pytest.mark.parametrize("dims", ORDERS)
@pytest.mark.parametrize("chunks", [None, {"frame": 1}, {"frame": 13}, {"frame": 20, "height": 11}])
def test_the_movie_is_that_of_the_plain_api(movie, native, corrected, dims, chunks):
    given = movie.transpose(*dims)
    given = given if chunks is None else given.chunk(chunks)
    result = given.stillscope.apply(native)
    assert result.dims == dims and result.dtype == movie.dtype
    assert (result.chunks is None) == (chunks is None)
    assert_same(result, movie.copy(data=corrected).transpose(*dims))


@pytest.mark.usefixtures("synchronous")
def test_a_lazy_movie_stays_lazy(movie, native):
    computed = []

    def block(frames):
        computed.append(len(frames))
        return frames

    lazy = da.from_array(movie.values, chunks=(10, -1, -1)).map_blocks(block, dtype="u1")
    given = movie.copy(data=lazy)
    computed.clear()  # dask tries it on nothing
    result = given.stillscope.apply(native)
    assert result.data.chunks == given.data.chunks and not computed
    assert_same(result.isel(frame=slice(10, 20)), movie.isel(frame=slice(10, 20)).copy(
        data=stillscope.apply_motion(movie.values[10:20], native.shifts[10:20])
    ))  # fmt: skip
    assert computed == [10]  # the one chunk that was asked for
    computed.clear()
    given.stillscope.correct()
    assert sum(computed) > FRAMES and sum(computed) % FRAMES == 0  # the estimate's readings


def test_lazy_options_reach_the_frames(movie, native):
    given = movie.astype("f4")
    how = {"interpolation": "cubic", "border": "nan", "binning": (1, 2)}
    expected = stillscope.apply_motion(given.values, native, **how)
    for result in (
        given.stillscope.apply(native, **how),
        given.chunk(frame=9).stillscope.apply(native, **how),
    ):
        np.testing.assert_array_equal(result.values, expected)
        np.testing.assert_array_equal(result.shift_width, native.shifts[:, 1] / 2)


def test_nan_stays_where_it_is(movie, native):
    given = movie.astype("f8").copy()
    given[4] = np.nan
    given[9, 30:33, 40:44] = np.nan
    still = np.zeros((FRAMES, 2))
    for array in (given, given.chunk(frame=8)):
        np.testing.assert_array_equal(array.stillscope.apply(still).values, given.values)
    with pytest.warns(UserWarning, match="non-finite pixels"):
        result = given.stillscope.correct()
    assert result.dtype == np.float64 and result.flagged.values[4]
    assert np.isfinite(result.shift_height).all()


@pytest.mark.usefixtures("synchronous")
def test_shifts_of_every_kind(movie, native):
    expected = movie.stillscope.apply(native).values
    dataset = native.to_xarray().assign_coords(frame=movie.frame)
    labelled = dataset["motion"]
    for motion in (
        native.shifts,
        native.shifts.tolist(),
        dataset,
        labelled,
        labelled.chunk(),
        labelled.T.sel(shift_dim=["width", "height"]),
        labelled.drop_vars(["frame", "shift_dim"]),
    ):
        np.testing.assert_array_equal(movie.stillscope.apply(motion).values, expected)


@pytest.mark.usefixtures("synchronous")
def test_a_movie_that_was_opened_from_zarr(movie, native, corrected, tmp_path):
    pytest.importorskip("zarr")
    movie.chunk(frame=10, height=20).to_zarr(tmp_path / "raw.zarr")
    opened = xr.open_zarr(tmp_path / "raw.zarr")["recording"]
    opened.stillscope.apply(native).to_zarr(tmp_path / "corrected.zarr")  # its chunks are others
    np.testing.assert_array_equal(
        xr.open_zarr(tmp_path / "corrected.zarr")["recording"].values, corrected
    )


# --- the movie knows its shifts -------------------------------------------------------------------


def test_a_corrected_movie_carries_its_shifts(movie, native):
    result = movie.stillscope.correct()
    motion = result.stillscope.motion
    assert motion.dims == ("frame", "shift_dim") and motion.name == "motion"
    assert motion.values.tobytes() == native.shifts.tobytes()
    np.testing.assert_array_equal(motion.frame, movie.frame)
    np.testing.assert_array_equal(result.flagged, native.quality.flagged)
    part = result.isel(frame=slice(5, 9)).stillscope.motion
    np.testing.assert_array_equal(part, native.shifts[5:9])
    np.testing.assert_array_equal(result.isel(frame=5).stillscope.motion, native.shifts[5])
    np.testing.assert_array_equal(movie.stillscope.apply(motion), result)


@pytest.mark.usefixtures("synchronous")
@pytest.mark.parametrize("suffix", ["zarr", "nc"])
def test_files_keep_them(movie, native, corrected, tmp_path, suffix):
    pytest.importorskip({"zarr": "zarr", "nc": "netCDF4"}[suffix])
    result = movie.chunk(frame=10).stillscope.correct()
    path = tmp_path / f"corrected.{suffix}"
    if suffix == "zarr":
        result.to_zarr(path)
        back = xr.open_zarr(path)["recording"]
    else:
        result.to_netcdf(path)
        back = xr.open_dataset(path)["recording"]
    xr.testing.assert_identical(back.compute(), result.compute())
    np.testing.assert_array_equal(back.values, corrected)
    assert back.stillscope.motion.values.tobytes() == native.shifts.tobytes()
    back.close()


def test_a_second_correction_takes_the_place_of_the_first(movie, native):
    first = movie.stillscope.apply(native)
    second = first.stillscope.apply(np.ones((FRAMES, 2)))
    assert (second.stillscope.motion == 1).all() and "flagged" not in second.coords


def test_minian_shows_them(movie, native):
    visualization = import_quietly("minian.visualization")
    import_quietly("holoviews.plotting.bokeh")
    result = movie.stillscope.apply(native)
    for motion in (result.stillscope.motion, native.to_xarray()["motion"]):
        shown = quietly(visualization.visualize_motion, motion)
        np.testing.assert_array_equal(
            shown["height"].dimension_values("motion"), native.shifts[:, 0]
        )


def test_the_drop_in_takes_them(ours, movie, native, corrected):
    motion = movie.stillscope.apply(native).stillscope.motion
    result = ours.apply_transform(movie.astype("f4"), motion)
    expected = stillscope.apply_motion(movie.values.astype("f4"), native)
    np.testing.assert_array_equal(result, expected)


# --- residual motion, Datasets --------------------------------------------------------------------


def test_residual_motion_is_that_of_the_plain_api(movie, native):
    before, after = native.residual_motion(movie.values)
    for array in (movie, movie.transpose("width", "height", "frame").chunk(frame=11)):
        left = array.stillscope.residual_motion(native)
        np.testing.assert_array_equal(left, after)
        assert left.dims == ("frame",) and set(left.coords) == {"frame", "time", "animal"}
    template = xr.DataArray(native.template, dims=("height", "width"))
    valid = native.valid
    seen = np.full_like(native.template, np.nan)
    seen[valid] = native.template[valid]
    left = movie.stillscope.residual_motion(template=template.copy(data=seen).T)
    np.testing.assert_array_equal(left, before)
    labelled = native.to_xarray().assign_coords(frame=movie.frame)
    expected = stillscope.residual_motion(movie.values, native.shifts)
    np.testing.assert_array_equal(movie.stillscope.residual_motion(labelled), expected)


def test_an_estimate_as_a_dataset(native, tmp_path):
    dataset = native.to_xarray()
    assert dataset["motion"].dims == ("frame", "shift_dim")
    assert list(dataset["shift_dim"].values) == ["height", "width"]
    np.testing.assert_array_equal(dataset["motion"], native.shifts)
    np.testing.assert_array_equal(dataset["template"], native.template)
    np.testing.assert_array_equal(dataset["quality_similarity"], native.quality.similarity)
    torn = dataset["quality_flags"].sel(flag="torn")
    np.testing.assert_array_equal(torn, native.quality.flags["torn"])
    kept = native.shifts.copy()
    dataset["motion"][:] = 0
    np.testing.assert_array_equal(native.shifts, kept)


def test_the_dataset_is_what_the_file_holds(native, tmp_path):
    pytest.importorskip("zarr")
    stillscope.save_motion(tmp_path / "m.zarr", native)
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "m.zarr").compute(), native.to_xarray())


def test_an_estimate_without_quality(movie):
    motion = movie.stillscope.estimate(refine=0)
    assert "quality_flags" not in motion.to_xarray()
    assert "flagged" not in movie.stillscope.apply(motion).coords


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [None, {}])
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.rename(height="y").stillscope.estimate(), ValueError,
         r"movie: expected dims \('frame', 'height', 'width'\) in any order, "
         r"got \('frame', 'y', 'width'\)"),
        (lambda m: m.stillscope.correct(dim="t"), ValueError, "movie: expected dims"),
        (lambda m: m.isel(frame=0).stillscope.correct(), ValueError, "movie: expected dims"),
        (lambda m: m.expand_dims("session").stillscope.estimate(), ValueError, "movie: expected"),
        (lambda m: m.stillscope.estimate(dim="height"), ValueError, "dim: expected another dim"),
        (lambda m: m.isel(frame=[]).stillscope.estimate(), ValueError, "movie: expected at least"),
        (lambda m: m.stillscope.estimate(presets="2p"), TypeError, "presets"),
        (lambda m: m.stillscope.estimate(progress="yes"), TypeError, "progress: expected True"),
        (lambda m: m.stillscope.correct(fill=np.nan), ValueError, "fill: expected"),
        (lambda m: m.stillscope.correct(border="nan"), ValueError, "border: expected another"),
        (lambda m: m.stillscope.apply(np.zeros((3, 2))), ValueError, r"motion: expected shape"),
        (lambda m: m.stillscope.apply(np.zeros((FRAMES, 2)), binning=0), ValueError, "binning"),
        (lambda m: m.stillscope.apply(np.zeros((FRAMES, 2)), grid="cv"), ValueError, "grid"),
        (lambda m: m.stillscope.apply(m), ValueError, "motion: expected dims"),
        (lambda m: m.stillscope.apply(xr.Dataset()), ValueError, "motion: expected a variable"),
        (lambda m: m.stillscope.motion, ValueError, "movie: expected coordinates shift_height"),
        (lambda m: m.stillscope.residual_motion(np.zeros((3, 2))), ValueError, "motion: expected"),
        (lambda m: m.astype("c8").stillscope.apply(np.zeros((FRAMES, 2))), TypeError, "movie"),
    ],
)  # fmt: skip
def test_errors_name_what_was_expected_and_given(movie, chunks, call, error, message):
    with pytest.raises(error, match=message):
        call(movie if chunks is None else movie.chunk(chunks))


def test_labels_of_other_frames_are_refused(movie, native):
    motion = native.to_xarray()["motion"]
    with pytest.raises(ValueError, match="motion: expected the movie's labels of 'frame' .*100 to"):
        movie.stillscope.apply(motion)
    with pytest.raises(ValueError, match="motion: expected shift_dim"):
        movie.stillscope.apply(motion.assign_coords(shift_dim=["x", "y"]))
