# SPDX-License-Identifier: GPL-3.0-or-later
"""The drop-in against the real minian 2.0.2, live: values, dims, coordinates, dtypes, laziness."""

import inspect
import pickle

import numpy as np
import pytest
from support import as_dtype, moving_movie, quietly, wrap

xr = pytest.importorskip("xarray")
da = pytest.importorskip("dask.array")
cv2 = pytest.importorskip("cv2")

pytestmark = pytest.mark.usefixtures("synchronous")

# Bounds of the contract; the figures measured are the largest over the cases below.
SHIFT_MAX = 0.01  # px, float32 and float64
SHIFT_MEAN = 0.001
INTEGER_SHIFT_MAX = 0.02  # px
INTEGER_SHIFT_MEAN = 0.004
TEMPLATE_MEAN = 1e-3  # share of the range
PIXEL_MAX = 5e-3 / 255  # share of the range, float32
INTEGER_PIXEL_MAX = 1  # level
INTEGER_PIXEL_SHARE = 1e-3  # of the pixels

PUBLIC = [
    "estimate_motion", "est_motion_part", "_est_motion_reduce", "est_motion_chunk",
    "_xcorr_subpixel", "est_motion_perframe", "match_temp", "check_temp", "apply_shifts",
    "shift_perframe", "get_mask", "apply_transform", "transform_perframe", "get_bspline_param",
    "get_mesh_size",
]  # fmt: skip
MODULE_NAMES = [
    "xr", "np", "cv2", "sitk", "da", "darr", "itt", "warnings", "Any", "phase_cross_correlation",
    "xrconcat_recursive",
]  # fmt: skip


@pytest.fixture(scope="module")
def movie():
    return moving_movie(23)[0]


def estimates(theirs, ours, movie, chunk, **options):
    return [
        quietly(lambda m=m: m.estimate_motion(wrap(movie, chunk), **options).compute().values)
        for m in (theirs, ours)
    ]


def assert_same_shifts(reference, mine, dtype):
    assert mine.shape == reference.shape and mine.dtype == reference.dtype == np.float64
    difference = np.abs(mine - reference)
    is_float = np.dtype(dtype).kind == "f"
    assert difference.max() <= (SHIFT_MAX if is_float else INTEGER_SHIFT_MAX)
    assert difference.mean() <= (SHIFT_MEAN if is_float else INTEGER_SHIFT_MEAN)
    assert np.ptp(reference) > 1  # there was motion to find


def assert_same_pixels(reference, mine, span):
    assert mine.dtype == reference.dtype and mine.shape == reference.shape
    difference = np.abs(mine.astype(float) - reference.astype(float))
    if mine.dtype.kind == "f":
        rounding = np.finfo(mine.dtype).eps  # float16 has 3 digits
        assert difference.max() <= max(PIXEL_MAX, rounding) * span
    else:
        assert difference.max() <= INTEGER_PIXEL_MAX
        assert (difference > 0).mean() <= INTEGER_PIXEL_SHARE


# --- estimate_motion ------------------------------------------------------------------------------


# Measured, max / mean: float32 9e-6 / 3e-6, float64 7e-7 / 4e-7, integers 8e-4 / 3e-4 px.
@pytest.mark.parametrize("aggregation", ["mean", "max"])
@pytest.mark.parametrize(
    "dtype",
    ["f4", "f8", "f2", ">f4", ">f8", "?", "i1", "u1", "i2", "u2", ">u2", "i4", "u4", "i8"],
)
def test_shifts_of_every_dtype(theirs, ours, movie, dtype, aggregation):
    frames = as_dtype(movie, dtype)
    assert_same_shifts(*estimates(theirs, ours, frames, 8, aggregation=aggregation), dtype)


@pytest.mark.parametrize(
    ("chunk", "options"),
    [
        (23, {}),
        (7, {}),
        (1, {}),
        (4, {"alt_error": 0.5}),
        (4, {"alt_error": 0.01}),
        (8, {"alt_error": None}),
        (8, {"alt_error": 0}),
        (8, {"npart": 2}),
        (8, {"npart": 5}),
        (8, {"npart": 30}),
        (3, {"npart": None, "chunk_nfm": 3}),
        (5, {"chunk_nfm": 9}),
        (9, {"upsample": 10}),
        (8, {"aggregation": "max", "alt_error": None}),
    ],
    ids=str,
)
def test_shifts_under_every_option(theirs, ours, movie, chunk, options):
    frames = movie.astype("f4")
    assert_same_shifts(*estimates(theirs, ours, frames, chunk, **options), "f4")


@pytest.mark.parametrize("size", [(61, 83), (97, 120), (96, 113), (131, 64), (200, 151)])
@pytest.mark.parametrize("dtype", ["f4", "u1"])
def test_shifts_of_odd_and_prime_sizes(theirs, ours, size, dtype):
    frames = as_dtype(moving_movie(11, *size, seed=3)[0], dtype)
    assert_same_shifts(*estimates(theirs, ours, frames, 4), dtype)


def test_an_even_axis_wraps_at_its_half(theirs, ours):
    """A displacement of just over half the frame is a negative one."""
    frame = moving_movie(1, 64, 72, seed=4)[0][0]
    for shift in ((31, 0), (32, 35), (33, 36), (0, 37)):
        moved = np.roll(frame, shift, (0, 1))
        mine, reference = (m.est_motion_perframe(moved, frame) for m in (ours, theirs))
        np.testing.assert_allclose(mine, reference, rtol=0, atol=1e-6)  # measured 2e-13


# Filtered frames with three that are stripes: the circularity of these is 0, of the others 0.7.
def filtered(n=27):
    frames = moving_movie(n, 96, 120, seed=5, limit=3)[0].astype("f4")
    frames = np.stack(
        [cv2.GaussianBlur(f, (0, 0), 2) - cv2.GaussianBlur(f, (0, 0), 12) for f in frames]
    )
    stripes = 10 * np.sin(0.8 * np.arange(96, dtype="f4"))[:, None]
    frames[[4, 13, 20]] = np.broadcast_to(stripes, (96, 120))
    return frames


@pytest.mark.parametrize("alt_error", [5, None])
def test_shifts_with_bad_frames(theirs, ours, alt_error):
    frames = filtered()
    good = [theirs.check_temp(f, 20) > 0.3 for f in frames]
    assert good.count(False) == 3
    options = {"circ_thres": 0.3, "max_sh": 20, "alt_error": alt_error}
    reference, mine = estimates(theirs, ours, frames, 27, **options)
    assert_same_shifts(reference[good], mine[good], "f4")
    without = estimates(theirs, ours, frames, 27, alt_error=alt_error)[0]
    assert np.abs(without - reference)[good].max() > SHIFT_MAX  # the option did something


def test_few_good_frames_warn(ours):
    with pytest.warns(UserWarning, match="good"):
        ours.est_motion_chunk(filtered(), None, 3, 5, circ_thres=0.3, max_sh=20)


def layouts(movie):
    frames = movie.astype("f4")
    lazy = da.from_array(frames, chunks=(8, -1, -1))
    dims = ["frame", "height", "width"]
    labels = [f"s{i:02d}" for i in range(len(frames))]
    yield "plain", xr.DataArray(lazy, dims=dims), {}
    yield "irregular chunks", xr.DataArray(lazy.rechunk(((8, 3, 12), -1, -1)), dims=dims), {}
    yield "named", xr.DataArray(lazy, dims=dims, name="movie", attrs={"unit": "counts"}), {}
    coords = {"frame": np.arange(len(frames)) * 2 + 5, "height": np.arange(96)}
    yield "labels", xr.DataArray(lazy, dims=dims, coords=coords), {}
    coords = {"frame": ("frame", np.arange(23) * 2), "t": ("frame", np.arange(23) / 10.0), "a": "x"}
    yield "other coords", xr.DataArray(lazy, dims=dims, coords=coords), {}
    session = xr.DataArray(lazy, dims=["session", *dims[1:]], coords={"session": labels})
    yield "string labels", session, {"dim": "session"}
    two = xr.DataArray(da.stack([lazy, lazy[::-1]]), dims=["animal", *dims])
    yield "extra dim", two.assign_coords(animal=["p", "q"]), {}
    yield "extra dim without labels", two, {}


@pytest.mark.parametrize("name", [name for name, *_ in layouts(np.zeros((23, 96, 120)))])
def test_dims_coords_and_values_of_a_layout(theirs, ours, movie, name):
    varr, options = next((v, o) for n, v, o in layouts(movie) if n == name)
    reference = quietly(theirs.estimate_motion, varr.copy(deep=True), **options)
    mine = ours.estimate_motion(varr, **options)
    assert mine.dims == reference.dims
    assert mine.dtype == reference.dtype == np.float64
    assert mine.name is None
    assert mine.attrs == reference.attrs
    assert (mine.chunks is None) == (reference.chunks is None)
    assert set(mine.coords) == set(reference.coords)
    for key in reference.coords:
        assert mine.coords[key].dims == reference.coords[key].dims
        assert mine.coords[key].values.tolist() == reference.coords[key].values.tolist()
    assert_same_shifts(quietly(reference.compute).values, mine.compute().values, "f4")


@pytest.mark.parametrize("order", [("width", "frame", "height"), ("height", "width", "frame")])
def test_order_of_dims_does_not_matter(ours, movie, order):
    varr = wrap(movie.astype("f4"), 8)
    permuted = varr.transpose(*order).chunk({"height": 50, "width": 33})
    assert ours.estimate_motion(permuted).identical(ours.estimate_motion(varr).compute())


# --- est_motion_chunk, est_motion_part ------------------------------------------------------------


def stack_of_templates(frames):
    return np.stack([frames[i : i + 3] for i in range(0, 12, 3)])


INCOMING = [np.full((k, 2), float(k)) for k in (3, 1, 2, 5)]


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "i2"])
@pytest.mark.parametrize(
    ("n", "options"),
    [
        (1, {}),
        (2, {}),
        (3, {}),
        (9, {}),
        (23, {}),
        (23, {"npart": 2}),
        (22, {"npart": 4, "aggregation": "max"}),
        (9, {"alt_error": None}),
        (23, {"alt_error": None, "aggregation": "max"}),
    ],
    ids=str,
)
def test_chunk_of_frames(theirs, ours, movie, dtype, n, options):
    frames = as_dtype(movie[:n], dtype)
    options = {"npart": 3, "alt_error": 5, **options}
    reference, mine = (
        quietly(m.est_motion_chunk, frames.copy(), None, **options) for m in (theirs, ours)
    )
    assert mine[0].shape == reference[0].shape
    if n > 1 or frames.dtype.kind == "f":
        assert mine[0].dtype == reference[0].dtype
    else:  # minian hands a single frame back as it is; ours is as of any other chunk
        assert mine[0].dtype == np.float64
    span = np.ptp(frames.astype(float))
    template = np.abs(mine[0].astype(float) - reference[0].astype(float))
    assert template.mean() <= TEMPLATE_MEAN * span  # measured 7e-7
    tolerance = SHIFT_MAX if frames.dtype.kind == "f" else INTEGER_SHIFT_MAX
    np.testing.assert_allclose(mine[1], reference[1], rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["?", "i1", "f2", "i4", "u4", "i8", ">u2"])
@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_template_of_other_dtypes(theirs, ours, movie, dtype, aggregation):
    frames = as_dtype(movie, dtype)
    reference, mine = (
        quietly(m.est_motion_chunk, frames.copy(), None, 3, 5, aggregation=aggregation)[0]
        for m in (theirs, ours)
    )
    assert mine.dtype == reference.dtype and mine.shape == reference.shape
    difference = np.abs(mine.astype(float) - reference.astype(float))
    assert difference.mean() <= TEMPLATE_MEAN * np.ptp(frames.astype(float))  # measured 2e-4


@pytest.mark.parametrize("options", [{}, {"aggregation": "max"}, {"alt_error": 0.01}], ids=str)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_chunk_of_templates_with_incoming_shifts(theirs, ours, movie, n, dtype, options):
    stack = stack_of_templates(movie.astype(dtype))[:n]
    options = {"npart": 3, "alt_error": 5, **options}
    reference, mine = (
        quietly(m.est_motion_chunk, stack.copy(), INCOMING[:n], **options) for m in (theirs, ours)
    )
    assert mine[0].shape == reference[0].shape == (3, 96, 120)
    assert mine[0].dtype == reference[0].dtype == dtype
    difference = np.abs(mine[0] - reference[0])
    assert difference.mean() <= TEMPLATE_MEAN * np.ptp(stack)  # measured 2e-7
    assert mine[1].shape == reference[1].shape
    np.testing.assert_allclose(mine[1], reference[1], rtol=0, atol=SHIFT_MAX)  # measured 6e-6


def test_chunk_of_frames_with_incoming_shifts(theirs, ours, movie):
    frames = movie[:4].astype("f4")
    reference, mine = (
        quietly(m.est_motion_chunk, frames.copy(), INCOMING, 3, 5)[1] for m in (theirs, ours)
    )
    assert mine.shape == reference.shape == (11, 2)
    np.testing.assert_allclose(mine, reference, rtol=0, atol=SHIFT_MAX)


def test_the_touching_slots_are_taken_where_the_aggregates_disagree(theirs, ours):
    """Of two templates, the middle slots lie 12 px apart, the touching ones 1 px."""
    frame = moving_movie(1, 96, 120, seed=6)[0][0].astype("f4")
    rolled = {k: np.roll(frame, k, 1) for k in (0, 1, 12)}
    stack = np.stack([[rolled[0], rolled[0], rolled[0]], [rolled[1], rolled[12], rolled[12]]])
    for alt_error, apart in ((5, 1), (20, 12)):
        reference, mine = (
            m.est_motion_chunk(stack.copy(), None, 3, alt_error)[1] for m in (theirs, ours)
        )
        np.testing.assert_allclose(mine, reference, rtol=0, atol=SHIFT_MAX)
        assert np.abs(mine[0] - mine[1]).max() == pytest.approx(apart, abs=0.3)


@pytest.mark.parametrize("options", [{}, {"alt_error": None}, {"aggregation": "max"}], ids=str)
@pytest.mark.parametrize("dtype", ["f4", "u2"])
def test_part(theirs, ours, movie, dtype, options):
    frames = as_dtype(movie, dtype)
    results = [
        quietly(
            lambda m=m: [
                x.compute()
                for x in m.est_motion_part(
                    da.from_array(frames.copy(), chunks=(9, -1, -1)), 3, None, **options
                )
            ]
        )
        for m in (theirs, ours)
    ]
    (t0, s0), (t1, s1) = results
    assert t1.shape == t0.shape and t1.dtype == t0.dtype
    assert np.abs(t1.astype(float) - t0).mean() <= TEMPLATE_MEAN * np.ptp(frames)
    assert_same_shifts(s0, s1, dtype)


def test_reduce(theirs, ours, movie):
    stack = stack_of_templates(movie.astype("f4"))
    results = list(zip(stack, INCOMING))
    reference, mine = (quietly(m._est_motion_reduce, list(results), 5, 3) for m in (theirs, ours))
    assert np.abs(mine[0] - reference[0]).mean() <= TEMPLATE_MEAN * np.ptp(stack)
    np.testing.assert_allclose(mine[1], reference[1], rtol=0, atol=SHIFT_MAX)


# --- helpers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(96, 120), (61, 83), (16, 1), (1, 17), (2, 2)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "i2", "?"])
def test_pair_and_its_spectra(theirs, ours, size, dtype):
    rng = np.random.default_rng(7)
    src, dst = (as_dtype(rng.uniform(0, 250, size), dtype) for _ in range(2))
    src = np.roll(dst, 1, 1) if dtype != "?" else src
    spectra = [np.fft.rfft2(f) for f in (src, dst)]
    plain = ours.est_motion_perframe(src, dst)
    given = ours.est_motion_perframe(src, dst, src_fft=spectra[0], dst_fft=spectra[1])
    half = ours.est_motion_perframe(src, dst, dst_fft=spectra[1])
    assert plain.tobytes() == given.tobytes() == half.tobytes()
    peak = ours._xcorr_subpixel(*spectra, src.shape)
    np.testing.assert_array_equal(peak, -plain)
    if dtype == "?":
        return  # random bits: the peak is the reference's rounding's to choose
    np.testing.assert_allclose(
        plain,
        theirs.est_motion_perframe(src, dst),
        rtol=0,
        atol=1e-4,  # measured 2e-6, float32
    )
    np.testing.assert_allclose(peak, theirs._xcorr_subpixel(*spectra, src.shape), rtol=0, atol=1e-4)


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("subpixel", [False, True])
@pytest.mark.parametrize("max_sh", [2, 8, 20])
@pytest.mark.parametrize("dtype", ["f4", "u1", "f8"])
def test_match_temp(theirs, ours, movie, dtype, max_sh, local, subpixel):
    for i, j in ((0, 1), (3, 9), (12, 22)):
        src, dst = movie[i].astype(dtype), movie[j].astype(dtype)
        # The reference takes what OpenCV does: uint8 and float32.
        taken = (f.astype("f4") if dtype == "f8" else f for f in (src, dst))
        reference = theirs.match_temp(*taken, max_sh, local, subpixel)
        mine = ours.match_temp(src, dst, max_sh, local, subpixel)
        assert mine.dtype == np.asarray(reference).dtype and mine.shape == (2,)
        # Measured 2e-6 px: the coefficients are float32's.
        np.testing.assert_allclose(mine, reference, rtol=0, atol=1e-3 if subpixel else 0)


def test_match_temp_of_flat_frames(theirs, ours):
    flat = np.ones((10, 12), "f4")
    for local, subpixel in ((False, False), (True, True)):
        mine, reference = (m.match_temp(flat, flat, 3, local, subpixel) for m in (ours, theirs))
        assert list(mine) == list(reference) == [0, 0]


@pytest.mark.parametrize("max_sh", [5, 20, 100])
def test_check_temp(theirs, ours, max_sh):
    frames = [*filtered()[3:6], moving_movie(1)[0][0].astype("f4"), np.zeros((30, 40), "f4")]
    for frame in frames:
        mine, reference = (m.check_temp(frame, max_sh) for m in (ours, theirs))
        assert isinstance(mine, float)
        # Measured 0.0: it is a count of pixels.
        assert mine == pytest.approx(reference, abs=1e-6)
    assert len({round(ours.check_temp(f, max_sh), 3) for f in frames}) > 1


@pytest.mark.parametrize(("threshold", "window"), [(2, 3), (5, 21), (0, 11), (-3.5, 7)])
def test_get_mask(theirs, ours, movie, threshold, window):
    frame = movie[0].astype("u1")
    mine, reference = (m.get_mask(frame, threshold, window) for m in (ours, theirs))
    assert mine.dtype == reference.dtype == bool
    np.testing.assert_array_equal(mine, reference)
    assert mine.any() and not mine.all()


@pytest.mark.parametrize("mesh_size", [(1, 1), (2, 3), (5, 4)])
def test_get_bspline_param(theirs, ours, mesh_size):
    pytest.importorskip("SimpleITK")
    image = np.zeros((96, 120), "f4")
    mine, reference = (m.get_bspline_param(image, mesh_size) for m in (ours, theirs))
    assert isinstance(mine, tuple) and mine == tuple(reference)


@pytest.mark.parametrize("size", [(51, 149), (150, 250), (350, 480), (752, 608), (99, 1000)])
def test_get_mesh_size(theirs, ours, size):
    mine, reference = (m.get_mesh_size(np.zeros(size)) for m in (ours, theirs))
    assert tuple(mine) == tuple(reference)


# --- applying -------------------------------------------------------------------------------------

SHIFTS = [
    (0, 0), (1, -2), (0.5, 0.25), (1.2345, -0.7771), (-3.1416, 2.7183), (95.5, 0), (0, -119.5),
    (200, 1), (0.0123, 11.98765),
]  # fmt: skip
# Blends of integers by these weights lie on integers, or within float32's rounding of them.
SHIFTS_OF_TIES = [(-0.3, 3.7), (1e-9, -1e-9), (-1.999999, 2.000001)]


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "u1", "i2", "u2", "i1", "?", "i4", ">f4"])
@pytest.mark.parametrize("fill", [0, 7])
def test_transform_perframe(theirs, ours, movie, dtype, fill):
    frame = as_dtype(movie, dtype)[0]
    fill = min(fill, 1) if dtype == "?" else fill
    for shift in SHIFTS:
        mine, reference = (
            m.transform_perframe(frame.copy(), np.array(shift), fill=fill) for m in (ours, theirs)
        )
        assert_same_pixels(reference, mine, 250)


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "i2", "i4"])
@pytest.mark.parametrize("shift", SHIFTS_OF_TIES)
def test_transform_perframe_where_rounding_decides(theirs, ours, movie, dtype, shift):
    frame = as_dtype(movie, dtype)[0]
    mine, reference = (m.transform_perframe(frame, np.array(shift)) for m in (ours, theirs))
    difference = np.abs(mine.astype(float) - reference.astype(float))
    assert difference.max() <= (PIXEL_MAX * 250 if dtype[0] == "f" else INTEGER_PIXEL_MAX)


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "i2", "?"])
@pytest.mark.parametrize("size", [(6, 7), (1, 9), (8, 1)])
def test_shift_perframe(theirs, ours, dtype, size):
    frame = np.random.default_rng(8).integers(0, 100, size).astype(dtype)
    for shift in [(0, 0), (1, -1), (0.5, 1.5), (2.5, -0.5), (-3.49, 0), (6, 0), (50, 1), (0, -50)]:
        mine, reference = (
            m.shift_perframe(frame.copy(), np.array(shift), fill=1) for m in (ours, theirs)
        )
        assert mine.dtype == reference.dtype
        np.testing.assert_array_equal(mine, reference)


def test_shift_perframe_fills_with_nan_and_keeps_frames_without_any_number(theirs, ours):
    frame = np.arange(12.0).reshape(3, 4)
    empty = np.full((3, 4), np.nan)
    for m in (theirs, ours):
        assert np.isnan(m.shift_perframe(frame.copy(), np.array([1, 0]))[0]).all()
        assert np.isnan(m.shift_perframe(empty.copy(), np.array([1, 0]), fill=0)).all()


def movies_to_apply(movie):
    frames = movie.astype("f4")
    coords = {"frame": np.arange(23) * 2, "t": ("frame", np.arange(23) / 10.0), "animal": "a"}
    full = wrap(frames, 8, coords=coords, name="movie", attrs={"unit": "counts"})
    shifts = xr.DataArray(
        np.random.default_rng(9).normal(0, 3, (23, 2)),
        dims=["frame", "shift_dim"],
        coords={"frame": np.arange(23) * 2, "shift_dim": ["height", "width"]},
    )
    sessions = full.isel(frame=slice(0, 6)).drop_vars(["t", "animal"])
    sessions = sessions.assign_coords(frame=list("abcdef")).rename(frame="session")
    units = xr.concat([sessions, 2 * sessions], "unit_id").assign_coords(unit_id=[3, 7])
    units = units.transpose("session", "unit_id", "height", "width")
    units = units.chunk({"height": -1, "width": -1})
    by_session = shifts.isel(frame=slice(0, 6)).assign_coords(frame=list("abcdef"))
    by_session = by_session.rename(frame="session")
    unlabelled = full.drop_vars("frame"), shifts.drop_vars("frame")
    many = shifts.drop_vars("frame").expand_dims(trial=3, axis=1)
    yield "plain", full, shifts
    yield "numpy", full.compute(), shifts
    yield "lazy shifts", full, shifts.chunk({"frame": 5})
    yield "shifts permuted", full, shifts.T
    yield "movie permuted", full.transpose("width", "frame", "height"), shifts
    yield "no labels", *unlabelled
    yield "uint8", full.astype("u1"), shifts
    yield "sessions and units", units, by_session
    yield "dims in the shifts alone", unlabelled[0].isel(frame=slice(0, 23)), many
    yield "one shift for all", full, shifts.isel(frame=4, drop=True)
    yield "chunks in a frame", full.chunk({"height": 50, "width": 33}), shifts
    yield "width before height", full, shifts.isel(shift_dim=[1, 0])


@pytest.mark.parametrize("function", ["apply_transform", "apply_shifts"])
@pytest.mark.parametrize("name", [n for n, *_ in movies_to_apply(np.zeros((23, 96, 120)))])
def test_applying_to_a_layout(theirs, ours, movie, name, function):
    varr, shifts = next((v, s) for n, v, s in movies_to_apply(movie) if n == name)
    # minian can't roll a movie in memory, nor one whose frames are split.
    if function == "apply_shifts" and name in ("numpy", "chunks in a frame"):
        reference = quietly(
            theirs.apply_shifts, varr.chunk({"frame": 8, "height": -1, "width": -1}), shifts, 0
        )
    elif name == "chunks in a frame":
        reference = quietly(theirs.apply_transform, varr.chunk({"height": -1, "width": -1}), shifts)
    else:
        reference = quietly(getattr(theirs, function), varr.copy(deep=True), shifts, fill=0)
    mine = getattr(ours, function)(varr, shifts, fill=0)
    assert mine.name == reference.name and mine.attrs == reference.attrs
    assert mine.dtype == reference.dtype and mine.chunks is not None
    assert set(mine.dims) == set(reference.dims)
    if function == "apply_transform":
        assert mine.dims == reference.dims
        if name != "numpy":
            assert mine.chunks == reference.chunks
    assert set(mine.coords) == set(reference.coords)
    for key in reference.coords:
        assert mine.coords[key].values.tolist() == reference.coords[key].values.tolist()
    mine, reference = mine.compute(), quietly(reference.compute).transpose(*mine.dims)
    assert_same_pixels(reference.values, mine.values, 500)
    assert not np.array_equal(mine.values.ravel()[:1000], varr.values.ravel()[:1000])


def test_units_without_any_number_stay_so(theirs, ours, movie):
    _, units, shifts = next(m for m in movies_to_apply(movie) if m[0] == "sessions and units")
    units = units.where(units.unit_id != 7)
    reference = quietly(theirs.apply_shifts, units, shifts, fill=0).transpose(*units.dims)
    mine = ours.apply_shifts(units, shifts, fill=0)
    np.testing.assert_array_equal(mine.values, reference.values)
    assert np.isnan(mine.sel(unit_id=7).values).all() and not np.isnan(mine.sel(unit_id=3)).any()


def test_the_movie_keeps_its_coordinates_whatever_those_of_the_shifts(ours, movie):
    _, varr, shifts = next(movies_to_apply(movie))
    other = shifts.assign_coords(animal="b", t=("frame", np.zeros(23)), z=3)
    for function in (ours.apply_transform, ours.apply_shifts):
        result = function(varr, other, fill=0)
        assert set(result.coords) == set(varr.coords)
        assert result.coords["animal"].item() == "a"
        assert result.coords["t"].values.tolist() == varr.coords["t"].values.tolist()


def test_shifts_of_a_crop_apply_to_the_full_frame(theirs, ours, movie):
    varr = wrap(movie.astype("f4"), 8)
    shifts = ours.estimate_motion(varr.isel(height=slice(10, 80), width=slice(5, 100))).compute()
    mine, reference = (quietly(m.apply_transform, varr, shifts).values for m in (ours, theirs))
    assert_same_pixels(reference, mine, 250)


# --- what other code reads ------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLIC)
def test_signature(theirs, ours, name):
    mine, reference = (inspect.getfullargspec(getattr(m, name)) for m in (ours, theirs))
    assert mine.args == reference.args
    assert mine.varargs == reference.varargs
    assert mine.varkw == reference.varkw
    assert repr(mine.defaults) == repr(reference.defaults)  # NaN is not equal to itself
    assert inspect.isfunction(getattr(ours, name))
    # What is ours can be left out.
    assert set(mine.kwonlyargs) == set(mine.kwonlydefaults or {})


def test_every_function_of_minian_is_there(theirs):
    functions = {
        name
        for name, value in vars(theirs).items()
        if inspect.isfunction(value) and value.__module__ == theirs.__name__
    }
    assert functions == set(PUBLIC)


@pytest.mark.parametrize("name", MODULE_NAMES)
def test_module_level_name(theirs, ours, name):
    if name == "xrconcat_recursive":
        assert callable(getattr(ours, name))
    assert getattr(ours, name) is getattr(theirs, name)


@pytest.mark.parametrize("name", PUBLIC)
def test_functions_pickle(ours, name):
    function = getattr(ours, name)
    assert pickle.loads(pickle.dumps(function)) is function
