# SPDX-License-Identifier: GPL-3.0-or-later
"""Where minian 2.0.2 falls down, the drop-in does what the contract's table says, row by row."""

import warnings

import numpy as np
import pytest
from support import as_dtype, moving_movie, quietly, wrap

xr = pytest.importorskip("xarray")
da = pytest.importorskip("dask.array")

pytestmark = pytest.mark.usefixtures("synchronous")

SAME_SHIFT = 1e-9  # px, the same arithmetic on the same values; measured 0
# Five bad pixels of 11,520, replaced by the mean of the frame. Measured 0.02 px.
REPAIRED_SHIFT = 0.1


@pytest.fixture(scope="module")
def movie():
    frames = moving_movie(14)[0].astype("f4")
    frames.flags.writeable = False
    return frames


def estimate(ours, movie, chunk=None, **options):
    return ours.estimate_motion(wrap(movie, chunk), **options).compute().values


# --- the last slot --------------------------------------------------------------------------------


def test_the_last_slot_is_the_second_frame_unless_asked_for_the_last(ours, movie):
    template, shifts = ours.est_motion_chunk(movie[:3], None, 3, 5)
    last, _ = ours.est_motion_chunk(movie[:3], None, 3, 5, slot_last="last")
    warped = [ours.transform_perframe(f, s) for f, s in zip(movie[:3], shifts)]
    np.testing.assert_allclose(template[0], warped[0], atol=1e-3)  # of 250; measured 0
    np.testing.assert_allclose(template[2], warped[1], atol=1e-3)
    np.testing.assert_allclose(last[2], warped[2], atol=1e-3)
    np.testing.assert_array_equal(last[:2], template[:2])
    assert np.abs(template[2] - last[2]).max() > 1


def test_the_last_slot_can_be_asked_for_through_the_whole_estimate(ours):
    frames = moving_movie(27, seed=12, limit=12)[0]
    options = {"alt_error": 0.01}
    plain = estimate(ours, frames, 9, **options)
    assert np.array_equal(plain, estimate(ours, frames, 9, slot_last="second", **options))
    assert not np.array_equal(plain, estimate(ours, frames, 9, slot_last="last", **options))


# --- the input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 14])
def test_the_input_is_not_written_to_and_may_be_read_only(ours, movie, n):
    frames = movie[:n].copy()
    before = frames.tobytes()
    ours.est_motion_chunk(frames, None, 3, 5)
    assert frames.tobytes() == before
    frames.flags.writeable = False
    template, shifts = ours.est_motion_chunk(frames, None, 3, 5)
    assert frames.tobytes() == before
    assert not np.shares_memory(template, frames)
    assert shifts.shape == (n, 2)


@pytest.mark.parametrize("function", ["transform_perframe", "shift_perframe"])
def test_a_frame_is_not_written_to(ours, movie, function):
    frame = movie[0]  # read-only
    before = frame.tobytes()
    for shift in ([0, 0], [1.5, -2]):
        out = getattr(ours, function)(frame, np.array(shift), fill=0)
        assert not np.shares_memory(out, frame)
        assert frame.tobytes() == before


def test_a_movie_in_memory_gives_an_eager_result(ours, movie):
    shifts = ours.estimate_motion(wrap(movie))
    assert shifts.chunks is None and isinstance(shifts.data, np.ndarray)
    assert shifts.name is None
    lazy = ours.estimate_motion(wrap(movie, 14))
    assert shifts.identical(lazy.compute().rename(None))
    chunked = estimate(ours, movie, 5)
    assert np.array_equal(ours.estimate_motion(wrap(movie), chunk_nfm=5).values, chunked)


# --- parameters that crash or hang minian ---------------------------------------------------------


@pytest.mark.parametrize(("chunk", "npart"), [(9, 3), (14, 2), (4, 3), (1, 2)])
@pytest.mark.parametrize("off", [None, 0])
def test_alt_error_off_with_groups_of_one(ours, movie, chunk, npart, off):
    shifts = estimate(ours, movie[:10], chunk, npart=npart, alt_error=off)
    assert np.isfinite(shifts).all()
    # Without noise in the choice, both ways find the motion: the largest difference is drift.
    reference = estimate(ours, movie[:10], chunk, npart=npart)
    assert np.abs(shifts - reference).max() < 1  # px; measured 0.1


def test_four_chunks_of_nine_without_alt_error(ours):
    frames = moving_movie(36, 64, 72, seed=2)[0]
    assert np.isfinite(estimate(ours, frames, 9, alt_error=None)).all()


def test_npart_none_without_chunk_nfm(ours):
    frames = moving_movie(36, 64, 72, seed=2)[0]
    # max(3, ceil(sqrt(36 / 2))) = 5
    assert np.array_equal(estimate(ours, frames, 2, npart=None), estimate(ours, frames, 2, npart=5))
    assert np.array_equal(
        estimate(ours, frames, 36, npart=None), estimate(ours, frames, 36, npart=3)
    )
    assert np.array_equal(estimate(ours, frames, npart=None), estimate(ours, frames, npart=3))


def test_no_frames(ours, movie):
    for chunk in (None, 5):
        with pytest.raises(ValueError, match="varr"):
            ours.estimate_motion(wrap(movie, chunk).isel(frame=slice(0, 0)))


@pytest.mark.parametrize("npart", [1, 0, -3])
def test_npart_below_two(ours, movie, npart):
    with pytest.raises(ValueError, match="npart"):
        ours.estimate_motion(wrap(movie, 5), npart=npart)
    with pytest.raises(ValueError, match="npart"):
        ours.est_motion_chunk(movie, None, npart, 5)


# --- circ_thres -----------------------------------------------------------------------------------


def test_no_good_frame_at_all(ours, movie):
    """All frames of the group are used, with a warning."""
    with pytest.warns(UserWarning, match="0 of 3"):
        template, shifts = ours.est_motion_chunk(movie[:3], None, 3, 5, circ_thres=2.0)
    plain, reference = ours.est_motion_chunk(movie[:3], None, 3, 5)
    assert np.array_equal(shifts, reference)
    assert np.array_equal(template, plain)


@pytest.mark.parametrize("good", [0, 1, 2])
def test_one_good_frame_fills_the_slots(ours, good):
    frames = moving_movie(3, seed=13)[0].astype("f4")
    frames -= frames.mean(axis=(1, 2), keepdims=True)
    stripes = 50 * np.sin(0.8 * np.arange(96, dtype="f4"))[:, None]
    for i in {0, 1, 2} - {good}:
        frames[i] = stripes + 0.1 * frames[i]
    circularity = [ours.check_temp(f, 20) for f in frames]
    threshold = 0.5 * circularity[good]
    assert circularity[good] > 0 and max(np.delete(circularity, good)) < threshold
    with pytest.warns(UserWarning, match="1 of 3"):
        template, shifts = ours.est_motion_chunk(
            frames, None, 3, 5, circ_thres=threshold, max_sh=20
        )
    warped = ours.transform_perframe(frames[good], shifts[good])
    for slot in template:
        np.testing.assert_allclose(slot, warped, atol=1e-3)  # of 250; measured 0


# --- non-finite pixels ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_pixels_move_nothing(ours, movie, dtype, value):
    frames = movie.astype(dtype)
    clean = estimate(ours, frames, 7)
    frames[4, 10:15, 20] = value
    before = frames.tobytes()
    with pytest.warns(UserWarning, match="non-finite.* 1 "):
        shifts = estimate(ours, frames, 7)
    assert frames.tobytes() == before
    assert np.isfinite(shifts).all()
    assert np.abs(shifts - clean).max() < REPAIRED_SHIFT
    with pytest.warns(UserWarning, match="non-finite"):
        template, _ = ours.est_motion_chunk(frames[:7], None, 3, 5)
    assert np.isfinite(template).all() and (template[1] > 0).mean() > 0.8


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dead", [0, 4, 13])
@pytest.mark.parametrize("alt_error", [5, None])
def test_a_frame_without_any_finite_pixel_has_no_shift_and_no_influence(
    ours, movie, dead, value, alt_error
):
    frames = movie.copy()
    frames[dead] = value
    with pytest.warns(UserWarning, match="1 without any finite pixel"):
        shifts = estimate(ours, frames, 7, alt_error=alt_error)
    assert np.isnan(shifts[dead]).all()
    others = np.delete(shifts, dead, axis=0)
    assert np.isfinite(others).all()
    reference = np.delete(estimate(ours, movie, 7, alt_error=alt_error), dead, axis=0)
    difference = others - reference
    # The tree regroups round the gap: the answers agree to the tree's drift. Measured 0.12 px.
    assert np.abs(difference - difference.mean(axis=0)).max() < 0.3


def test_every_frame_without_any_finite_pixel(ours):
    frames = np.full((7, 20, 30), np.nan, "f4")
    with pytest.warns(UserWarning, match="7 without any finite pixel"):
        template, shifts = ours.est_motion_chunk(frames, None, 3, 5)
    assert np.isnan(template).all() and template.shape == (3, 20, 30)
    assert np.isnan(shifts).all() and shifts.shape == (7, 2)
    with pytest.warns(UserWarning, match="without any finite pixel"):
        assert np.isnan(estimate(ours, frames, 3)).all()


def test_a_dead_chunk_among_live_ones(ours, movie):
    frames = movie.copy()
    frames[5:10] = np.nan
    with pytest.warns(UserWarning, match="5 without any finite pixel"):
        shifts = estimate(ours, frames, 5)
    assert np.array_equal(np.isnan(shifts).all(axis=1), np.arange(14) // 5 == 1)
    assert np.isfinite(np.delete(shifts, np.s_[5:10], axis=0)).all()


def test_finite_movies_do_not_warn(ours, movie):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate(ours, movie, 5)


# --- keywords -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"foo": 1}, TypeError, "foo"),
        ({"aggregation": "median"}, ValueError, "aggregation"),
        ({"aggregation": None}, ValueError, "aggregation"),
        ({"npart": "a"}, TypeError, "npart"),
        ({"npart": 2.5}, TypeError, "npart"),
        ({"alt_error": "x"}, TypeError, "alt_error"),
        ({"alt_error": -1}, ValueError, "alt_error"),
        ({"alt_error": np.nan}, ValueError, "alt_error"),
        ({"circ_thres": "x"}, TypeError, "circ_thres"),
        ({"circ_thres": np.nan}, ValueError, "circ_thres"),
        ({"max_sh": -1}, ValueError, "max_sh"),
        ({"max_sh": 2.5}, TypeError, "max_sh"),
        ({"upsample": "x"}, TypeError, "upsample"),
        ({"niter": "x"}, TypeError, "niter"),
        ({"bin_thres": "x"}, TypeError, "bin_thres"),
        ({"chunk_nfm": 0}, ValueError, "chunk_nfm"),
        ({"chunk_nfm": "x"}, TypeError, "chunk_nfm"),
        ({"mesh_size": 3}, TypeError, "mesh_size"),
        ({"mesh_size": (1, 0)}, ValueError, "mesh_size"),
        ({"slot_last": "third"}, ValueError, "slot_last"),
        ({"registrar": "other"}, ValueError, "registrar"),
        ({"n_threads": 0}, ValueError, "n_threads"),
        ({"n_threads": 1.5}, TypeError, "n_threads"),
    ],
    ids=str,
)
@pytest.mark.parametrize("chunk", [5, None])
def test_a_bad_keyword_fails_at_the_call(ours, movie, chunk, options, error, name):
    with pytest.raises(error, match=name):
        ours.estimate_motion(wrap(movie, chunk), **options)  # not computed


@pytest.mark.parametrize("options", [{"foo": 1}, {"aggregation": "median"}], ids=str)
def test_bad_keywords_raise_what_they_raise_in_minian(theirs, ours, movie, options):
    with pytest.raises((TypeError, ValueError, NotImplementedError)) as reference:
        quietly(lambda: theirs.estimate_motion(wrap(movie, 5), **options).compute())
    with pytest.raises(reference.type):
        ours.estimate_motion(wrap(movie, 5), **options)


# --- mesh -----------------------------------------------------------------------------------------


@pytest.fixture
def nonrigid():
    quietly(pytest.importorskip, "SimpleITK")
    quietly(pytest.importorskip, "skimage.registration")


@pytest.mark.usefixtures("nonrigid")
def test_mesh_of_one_frame(ours, movie):
    template, coefficients = ours.est_motion_chunk(movie[:1], None, 3, 5, mesh_size=(2, 1), niter=2)
    assert coefficients.shape == (1, 2, 4, 5) and not coefficients.any()
    np.testing.assert_array_equal(template, np.stack([movie[0]] * 3))


@pytest.mark.usefixtures("nonrigid")
def test_mesh_of_float32_frames(ours):
    frames = moving_movie(5, 64, 72, seed=3)[0]
    options = {"mesh_size": (1, 1), "niter": 2}
    single, double = (
        ours.estimate_motion(wrap(frames.astype(t), 3), **options).compute() for t in ("f4", "f8")
    )
    assert single.dims == ("frame", "shift_dim", "grid0", "grid1")
    assert single.shape == (5, 2, 4, 4)
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-3)  # px; measured 1e-6
    # The sign is opposite to the rigid one, and slot 0 is x.
    rigid = estimate(ours, frames, 3)
    mesh = -single.values.mean(axis=(2, 3))[:, ::-1]
    assert np.abs(mesh - rigid).max() < 1.0  # px; measured 0.4 of 5
    applied = ours.apply_transform(wrap(frames.astype("f4"), 3), single)
    assert applied.dtype == np.float32 and applied.compute().std("frame").mean() > 0


@pytest.mark.usefixtures("nonrigid")
def test_mesh_size_is_read_from_the_grid_and_any_dim_will_do(ours, movie):
    rng = np.random.default_rng(3)
    shifts = xr.DataArray(
        rng.normal(0, 1, (4, 2, 5, 6)), dims=["session", "shift_dim", "grid0", "grid1"]
    ).assign_coords(session=list("abcd"), shift_dim=["height", "width"])
    varr = wrap(movie[:4], 2, dim="session").assign_coords(session=list("abcd"))
    applied = ours.apply_transform(varr, shifts)
    assert applied.chunks is not None and applied.dims == varr.dims
    explicit = ours.apply_transform(varr, shifts, mesh_size=(3, 2))
    np.testing.assert_array_equal(applied, explicit)
    frame = ours.transform_perframe(movie[1], shifts.values[1], mesh_size=(3, 2))
    np.testing.assert_array_equal(applied.values[1], frame)
    assert not np.array_equal(frame, movie[1])
    with pytest.raises(ValueError, match="mesh_size"):
        ours.apply_transform(varr, shifts, mesh_size=(1, 1)).compute()


def test_get_mesh_size_is_at_least_one(ours):
    assert tuple(ours.get_mesh_size(np.zeros((20, 50)))) == (1, 1)
    assert tuple(ours.get_mesh_size(np.zeros((1, 752)))) == (1, 8)


# --- fill -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("u1", np.nan),
        ("u1", 256),
        ("u1", -1),
        ("i2", 40000),
        ("u2", np.inf),
        ("?", 2),
        ("i4", 1e10),
    ],
)
@pytest.mark.parametrize("function", ["apply_transform", "apply_shifts"])
def test_a_fill_that_the_dtype_does_not_hold_fails_at_the_call(ours, movie, dtype, fill, function):
    frames = as_dtype(movie, dtype)
    shifts = xr.DataArray(np.zeros((14, 2)), dims=["frame", "shift_dim"])
    with pytest.raises(ValueError, match="fill"):
        getattr(ours, function)(wrap(frames, 5), shifts, fill=fill)
    perframe = {"apply_transform": "transform_perframe", "apply_shifts": "shift_perframe"}[function]
    with pytest.raises(ValueError, match="fill"):
        getattr(ours, perframe)(frames[0], np.zeros(2), fill=fill)


def test_apply_shifts_of_integers_by_default_fails_at_the_call(ours, movie):
    shifts = xr.DataArray(np.zeros((14, 2)), dims=["frame", "shift_dim"])
    with pytest.raises(ValueError, match="fill"):
        ours.apply_shifts(wrap(movie.astype("u1"), 5), shifts)


def test_taps_of_weight_zero_are_not_read(ours, movie):
    frame = movie[0].copy()
    frame[30, 40] = np.nan
    assert np.array_equal(
        ours.transform_perframe(frame, np.zeros(2), fill=np.nan), frame, equal_nan=True
    )
    moved = ours.transform_perframe(frame, np.array([2.0, -3.0]), fill=np.nan)
    expected = np.full_like(frame, np.nan)
    expected[2:, :-3] = frame[:-2, 3:]
    np.testing.assert_array_equal(moved, expected)
    half = ours.transform_perframe(frame, np.array([0.5, 0.0]), fill=0)
    assert np.argwhere(np.isnan(half)).tolist() == [[30, 40], [31, 40]]


# --- extra dims -----------------------------------------------------------------------------------


def test_two_extra_dims_keep_the_order_of_the_input(ours):
    frames = moving_movie(24, 32, 40, seed=4)[0].astype("f4").reshape(2, 3, 4, 32, 40)
    dims = ["zeta", "alpha", "frame", "height", "width"]
    coords = {"zeta": ["u", "v"], "alpha": [1, 2, 3]}
    varr = xr.DataArray(da.from_array(frames, chunks=(1, 1, 2, -1, -1)), dims=dims, coords=coords)
    result = ours.estimate_motion(varr)
    assert isinstance(result, xr.DataArray) and result.chunks is not None
    assert result.dims == ("zeta", "alpha", "frame", "shift_dim")
    assert result.coords["zeta"].values.tolist() == ["u", "v"]
    assert result.coords["alpha"].values.tolist() == [1, 2, 3]
    for z in range(2):
        for a in range(3):
            alone = estimate(ours, frames[z, a], 2)
            np.testing.assert_allclose(result[z, a], alone, rtol=0, atol=SAME_SHIFT)
    permuted = ours.estimate_motion(varr.transpose("height", "frame", "zeta", "width", "alpha"))
    np.testing.assert_array_equal(permuted.values, result.values)
    eager = ours.estimate_motion(varr.compute(), chunk_nfm=2)
    assert eager.chunks is None and eager.dims == result.dims
    np.testing.assert_array_equal(eager.values, result.values)


# --- shifts that lead nowhere ---------------------------------------------------------------------


@pytest.mark.parametrize("shift", [(np.nan, 0), (0, np.inf), (97, 0), (0, -121), (1e300, 0)])
@pytest.mark.parametrize("dtype", ["f4", "u1"])
@pytest.mark.parametrize("grid", ["exact", "cv2"])
def test_a_shift_out_of_the_frame_gives_fill(ours, movie, shift, dtype, grid):
    frame = movie[0].astype(dtype)
    out = ours.transform_perframe(frame, np.array(shift), fill=7, grid=grid)
    assert out.dtype == frame.dtype and (out == 7).all()
    assert (ours.shift_perframe(frame, np.array(shift), fill=7) == 7).all()


def test_a_pair_of_frames_with_non_finite_pixels(ours, movie):
    src, dst = movie[0].copy(), movie[5]
    reference = ours.est_motion_perframe(src, dst)
    src[10:15, 20] = np.nan
    assert np.abs(ours.est_motion_perframe(src, dst) - reference).max() < REPAIRED_SHIFT
    assert np.abs(ours.est_motion_perframe(dst, src) + reference).max() < REPAIRED_SHIFT
    assert np.isnan(ours.est_motion_perframe(np.full_like(dst, np.nan), dst)).all()


# --- rare input -----------------------------------------------------------------------------------


def test_multi_indexed_frames_are_aligned_by_their_labels(ours, movie):
    import pandas as pd

    def indexed(array, names):
        index = pd.MultiIndex.from_product(names, names=["trial", "time"])
        return array.assign_coords(xr.Coordinates.from_pandas_multiindex(index, "frame"))

    varr = wrap(movie[:6], 3).drop_vars("frame", errors="ignore")
    shifts = xr.DataArray(
        np.ones((6, 2)), dims=["frame", "shift_dim"], coords={"shift_dim": ["height", "width"]}
    )
    labels, others = (["a", "b"], [0, 1, 2]), (["q", "z"], [5, 6, 7])
    result = ours.apply_transform(indexed(varr, labels), indexed(shifts, labels))
    assert list(result.indexes["frame"]) == list(indexed(varr, labels).indexes["frame"])
    with pytest.raises(ValueError, match="frame"):
        ours.apply_transform(indexed(varr, labels), indexed(shifts, others))


def test_incoming_shifts_of_frames_do_not_silence_the_warning(ours, movie):
    broken = movie[:5].astype("f4")
    broken[2, 3, 4] = np.nan
    with pytest.warns(UserWarning, match="non-finite"):
        ours.est_motion_chunk(broken, [np.zeros((1, 2))] * 5, 3, 5)


def test_incoming_shifts_may_be_one_array(ours, movie):
    rows = np.arange(10.0).reshape(5, 1, 2)
    _, expected = ours.est_motion_chunk(movie[:5], list(rows), 3, 5)
    np.testing.assert_array_equal(ours.est_motion_chunk(movie[:5], rows, 3, 5)[1], expected)


@pytest.mark.parametrize("apply", ["apply_transform", "apply_shifts"])
def test_frames_without_pixels_are_refused_at_the_call(ours, movie, apply):
    varr = wrap(movie[:3].astype("f4"), 3)
    shifts = ours.estimate_motion(varr).compute()
    with pytest.raises(ValueError, match="varr: expected frames with pixels"):
        getattr(ours, apply)(varr[:, :, :0], shifts)


def test_arguments_of_meshes_are_checked_at_the_call(ours, movie):
    varr = wrap(movie[:3].astype("f4"), 3)
    dims = ["frame", "shift_dim", "grid0", "grid1"]
    coords = {"frame": varr.frame, "shift_dim": ["height", "width"]}
    trans = xr.DataArray(np.zeros((3, 2, 5, 6)), dims=dims, coords=coords)
    with pytest.raises(ValueError, match=r"mesh_size: expected \(3, 2\)"):
        ours.apply_transform(varr, trans, mesh_size=(9, 9))
    with pytest.raises(ValueError, match="trans: expected shape"):
        ours.apply_transform(varr, trans[:, :, :2])
    with pytest.raises(ValueError, match="trans: expected dims grid0 and grid1"):
        ours.apply_transform(varr, trans.isel(grid1=0))
    with pytest.raises(ValueError, match="varr: expected frames of at least"):
        ours.estimate_motion(varr[:, :3], mesh_size=(1, 1))
    with pytest.raises(ValueError, match="tx_coef: expected shape"):
        ours.transform_perframe(movie[0], np.zeros((2, 2)))
    with pytest.raises(ValueError, match="src_ma: expected shape"):
        ours.est_motion_perframe(movie[0], movie[1], mesh_size=(1, 1), src_ma=np.ones((2, 2)))
    with pytest.raises(ValueError, match="sh_org: expected 3 arrays"):
        ours.est_motion_chunk(movie[:3], [np.zeros((1, 2, 4, 4))], 3, 5, mesh_size=(1, 1))


def test_dims_that_cannot_be_are_named(ours, movie):
    varr = wrap(movie[:3].astype("f4"), 3)
    with pytest.raises(ValueError, match="dim: expected another dim"):
        ours.estimate_motion(varr, dim="height")
    shifts = ours.estimate_motion(varr).compute().assign_coords(shift_dim=["height", "height"])
    with pytest.raises(ValueError, match="shift_dim: expected two different"):
        ours.apply_transform(varr, shifts)
