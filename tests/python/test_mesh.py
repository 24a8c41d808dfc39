# SPDX-License-Identifier: GPL-3.0-or-later
"""The B-spline (`mesh_size`) path: live parity with minian, properties, ground truth.

Frames are 64 x 72 px unless a test says otherwise: minian warps templates with the mesh that it
guesses from the frame size, which here is ``(1, 1)``, so only that mesh can be compared in groups.
"""

import importlib
import subprocess
import sys
import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    # SWIG's types raise DeprecationWarnings at import on some Python versions.
    warnings.simplefilter("ignore")
    sitk = pytest.importorskip("SimpleITK")
    pytest.importorskip("skimage.registration")
    ndimage = pytest.importorskip("scipy.ndimage")

from stillscope import _mesh, _mesh_tree

HEIGHT, WIDTH = 64, 72
MESH = (1, 1)
GRID = (2, 4, 4)
NITER = 3

# Against minian on the same machine. Not zero because minian's metric is summed in one part per
# processor and ours in a fixed number of parts.
MOTION_TOLERANCE = 1e-9  # px; measured 4.4e-16
TEMPLATE_TOLERANCE = 1e-6  # of 255 grey levels; measured 1.4e-12
# A whole-number pixel may truncate to the level below where the motion differs in its last bit.
FLIPPED_SHARE = 1e-3  # of the pixels, by one level; measured 0

# Against the formulas of the cubic B-spline and of linear interpolation, evaluated in NumPy.
WARP_TOLERANCE = 1e-9  # of 255 grey levels; measured 3.3e-13
WARP_TOLERANCE_FLOAT32 = 1e-4  # measured 7.6e-6, half a unit in the last place of float32

# A float32 movie against the same movie in float64: its templates are rounded.
FLOAT32_TOLERANCE = 1e-4  # px; measured 3.8e-10

SHIFT_TOLERANCE = 0.01  # px, a rolled frame; measured 0
REPAIR_TOLERANCE = 1e-3  # px, five broken pixels among 4608; measured 3.2e-5

# Ground truth, a known bend of 2 px amplitude; 100 iterations of a 2 x 2 mesh. The descent is
# minian's, and it stops early: it takes off only part of what the whole-frame shift leaves.
RIGID_TO_NOTHING = 0.75  # residual after the shift alone / before; measured 0.671, 0.591
MESH_TO_RIGID = 0.985  # residual after the mesh / after the shift; measured 0.948, 0.969


# --------------------------------------------------------------------------------------------------
# Material
# --------------------------------------------------------------------------------------------------


def texture(seed, height=HEIGHT, width=WIDTH):
    """Smooth random frame, float64, 0 to 255."""
    noise = np.random.default_rng(seed).random((height, width))
    smooth = ndimage.gaussian_filter(noise, 2.0)
    return (smooth - smooth.min()) / np.ptp(smooth) * 255


def sampled(base, dy, dx, margin, height=HEIGHT, width=WIDTH):
    """The part of `base` inside `margin`, sampled at displaced positions."""
    y, x = np.mgrid[:height, :width] + float(margin)
    return ndimage.map_coordinates(base, [y + dy, x + dx], order=3).clip(0, 255)


def movie(n, seed=0, height=HEIGHT, width=WIDTH):
    """`n` frames with a random shift and a random smooth bend each, float64."""
    rng = np.random.default_rng(seed)
    base = texture(seed, height + 20, width + 20)
    y, x = np.mgrid[:height, :width]
    frames = []
    for _ in range(n):
        (sy, sx), (by, bx) = rng.uniform(-2, 2, 2), rng.uniform(-1.5, 1.5, 2)
        dy, dx = sy + by * np.sin(2 * np.pi * y / height), sx + bx * np.sin(2 * np.pi * x / width)
        frames.append(sampled(base, dy, dx, 10, height, width))
    return np.array(frames)


def register(src, dst, **settings):
    return _mesh.register_mesh(src, dst, **{"mesh_size": MESH, "niter": NITER, **settings})


def chunk(items, incoming=None, npart=3, alt_error=5, **settings):
    settings = {"mesh_size": MESH, "niter": NITER, **settings}
    return _mesh_tree.est_motion_chunk_mesh(items, incoming, npart, alt_error, **settings)


def marked_good(frame, max_sh):
    """Stand-in for the circularity: the frame's first pixel says whether it is good."""
    return float(frame[0, 0] > 100)


# --------------------------------------------------------------------------------------------------
# Layer 1: live parity with minian
# --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def minian():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("minian.motion_correction")


def assert_same_pixels(ours, theirs):
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    difference = np.abs(ours.astype(float) - theirs.astype(float))
    if ours.dtype.kind == "f":
        assert difference.max() <= TEMPLATE_TOLERANCE
    else:
        assert difference.max() <= 1
        assert (difference > 0).mean() <= FLIPPED_SHARE


def assert_chunk_parity(minian, items, incoming=None, npart=3, alt_error=5, **settings):
    settings = {"mesh_size": MESH, "niter": NITER, **settings}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        template, motions = minian.est_motion_chunk(
            items.copy(), incoming, npart, alt_error, **settings
        )
        if "circ_thres" in settings:
            settings["check_temp"] = marked_good
        ours = _mesh_tree.est_motion_chunk_mesh(items, incoming, npart, alt_error, **settings)
    assert_same_pixels(ours[0], template)
    assert ours[1].dtype == motions.dtype == np.float64
    np.testing.assert_allclose(ours[1], motions, rtol=0, atol=MOTION_TOLERANCE)


@pytest.mark.parametrize("dtype", ["f8", "u1", "u2", "?"])
@pytest.mark.parametrize("mesh_size", [(1, 1), (3, 2)])
def test_pair_equals_minian(minian, dtype, mesh_size):
    src, dst = movie(2) > 128 if dtype == "?" else movie(2).astype(dtype)
    ours = register(src, dst, mesh_size=mesh_size, niter=8)
    theirs = minian.est_motion_perframe(src, dst, mesh_size=mesh_size, niter=8)
    assert ours.shape == theirs.shape == (2, mesh_size[1] + 3, mesh_size[0] + 3)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=MOTION_TOLERANCE)


@pytest.mark.parametrize("upsample", [1, 10, 2.5])
def test_pair_equals_minian_at_other_upsampling(minian, upsample):
    src, dst = movie(2)
    theirs = minian.est_motion_perframe(src, dst, upsample=upsample, mesh_size=MESH, niter=NITER)
    ours = register(src, dst, upsample=upsample)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=MOTION_TOLERANCE)


@pytest.mark.parametrize("masked", ["src", "dst", "both", "empty"])
def test_masked_pair_equals_minian(minian, masked):
    src, dst = movie(2)
    src_mask = src > 80 if masked in ("src", "both") else None
    dst_mask = dst > 60 if masked in ("dst", "both") else None
    if masked == "empty":
        src_mask = np.zeros(src.shape, dtype=bool)
    theirs = minian.est_motion_perframe(
        src, dst, src_ma=src_mask, dst_ma=dst_mask, mesh_size=MESH, niter=8
    )
    ours = register(src, dst, src_mask=src_mask, dst_mask=dst_mask, niter=8)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=MOTION_TOLERANCE)


@pytest.mark.parametrize("dtype", ["f8", "u1"])
@pytest.mark.parametrize("aggregation", ["mean", "max"])
@pytest.mark.parametrize("alt_error", [5, 0])
def test_chunk_equals_minian(minian, dtype, aggregation, alt_error):
    items = movie(5).astype(dtype)  # groups of 3 and 2, then one of 2
    assert_chunk_parity(minian, items, alt_error=alt_error, aggregation=aggregation)


def test_chunk_of_three_levels_equals_minian(minian):
    # Groups of 3, 3, 2, 2, then of 2, 2, then one.
    assert_chunk_parity(minian, movie(10), alt_error=0.1)


def test_chunk_equals_minian_on_a_frame_that_is_not_square(minian):
    items = movie(3, height=64, width=160)
    mesh_size = minian.get_mesh_size(items[0])
    assert mesh_size == _mesh.mesh_size_of(items[0]) == (1, 2)
    assert_chunk_parity(minian, items, mesh_size=mesh_size)


@pytest.mark.parametrize("alt_error", [5, None])
def test_chunk_with_brightness_mask_equals_minian(minian, alt_error):
    items = movie(4).astype(np.uint8)
    assert_chunk_parity(minian, items, alt_error=alt_error, bin_thres=90)


@pytest.mark.parametrize("n, alt_error", [(2, 5), (3, 1), (5, 5), (5, None)])
def test_templates_equal_minian(minian, n, alt_error):
    # Different frames in the slots, some rolled far, so that the touching slots disagree.
    frames = movie(3 * n, seed=n)
    frames[1::6] = np.roll(frames[1::6], (7, -4), (1, 2))
    incoming = [np.full((i + 1, *GRID), 0.3 * i) for i in range(n)]
    items = frames.reshape(n, 3, HEIGHT, WIDTH)
    assert_chunk_parity(minian, items, incoming, npart=5, alt_error=alt_error)


@pytest.mark.parametrize("aggregation", ["mean", "max"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "u1"])
def test_one_template_equals_minian(minian, aggregation, dtype):
    items = movie(3).astype(dtype)[np.newaxis]
    incoming = [np.full((2, *GRID), 0.5)]
    assert_chunk_parity(minian, items, incoming, aggregation=aggregation)


@pytest.mark.parametrize("good", ["1011", "0111", "1001"], ids=lambda good: f"good{good}")
@pytest.mark.parametrize("alt_error", [5, None])
def test_good_frames_equal_minian(minian, monkeypatch, good, alt_error):
    monkeypatch.setattr(minian, "check_temp", marked_good)
    items = movie(4)
    items[:, 0, 0] = [200 * int(flag) for flag in good]
    assert_chunk_parity(minian, items, npart=4, alt_error=alt_error, circ_thres=0.5)


@pytest.mark.parametrize("dtype", ["f8", "f4", "u1", "i1", "u2", "i2", "i4", "u4", "i8", "u8"])
def test_transform_equals_minian(minian, dtype):
    frame = movie(1)[0].astype(dtype)
    coefficients = np.random.default_rng(1).normal(0, 2, (2, 4, 5))
    param = minian.get_bspline_param(frame, (2, 1))
    ours = _mesh.transform_mesh(frame, coefficients, 7.7, param)
    theirs = minian.transform_perframe(frame, coefficients, 7.7, param)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("fill", [np.nan, np.inf, -5.0])
def test_transform_of_a_larger_frame_equals_minian(minian, fill):
    # The mesh was estimated on a crop: outside of it nothing is displaced.
    coefficients = np.random.default_rng(2).normal(0, 2, GRID)
    param = _mesh.bspline_param(np.empty((HEIGHT, WIDTH)), MESH)
    frame = texture(3, 120, 110)
    ours = _mesh.transform_mesh(frame, coefficients, fill, param)
    theirs = minian.transform_perframe(frame, coefficients, fill, param)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(ours[80:, 90:], frame[80:, 90:])


@pytest.mark.parametrize("shape", [(64, 72), (480, 752), (150, 250), (149, 51), (1, 20)])
def test_geometry_equals_minian(minian, shape):
    image = np.zeros(shape)
    assert _mesh.mesh_size_of(image) == tuple(max(1, n) for n in minian.get_mesh_size(image))
    for mesh_size in [(1, 1), (3, 2)]:
        ours = _mesh.bspline_param(image, mesh_size)
        assert ours == minian.get_bspline_param(image, mesh_size)


# --------------------------------------------------------------------------------------------------
# Layer 2: properties
# --------------------------------------------------------------------------------------------------


def spline_displacement(coefficients, param):
    """Displacement (x, y) of every pixel, by the definition of the cubic B-spline."""

    def weights(n, origin, spacing, count):
        distance = np.abs((np.arange(n)[:, np.newaxis] - origin) / spacing - np.arange(count))
        near = 2 / 3 - distance**2 + distance**3 / 2
        far = (2 - distance) ** 3 / 6
        return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))

    gx, gy, ox, oy, sx, sy = param[:6]
    along_y = weights(HEIGHT, oy, sy, int(gy))
    along_x = weights(WIDTH, ox, sx, int(gx))
    return [along_y @ component @ along_x.T for component in coefficients]


def bilinear(frame, y, x):
    """Bilinear samples and where all four neighbours exist."""
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    inside = (top >= 0) & (left >= 0) & (top < HEIGHT - 1) & (left < WIDTH - 1)
    top, left = np.where(inside, top, 0), np.where(inside, left, 0)
    fy, fx = y - top, x - left
    upper = (1 - fx) * frame[top, left] + fx * frame[top, left + 1]
    lower = (1 - fx) * frame[top + 1, left] + fx * frame[top + 1, left + 1]
    return (1 - fy) * upper + fy * lower, inside


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("mesh_size", [(1, 1), (2, 1), (3, 4)])
def test_transform_samples_the_frame_where_the_spline_says(dtype, mesh_size):
    frame = texture(4).astype(dtype)
    grid = (2, mesh_size[1] + 3, mesh_size[0] + 3)
    coefficients = np.random.default_rng(4).normal(0, 2, grid)
    dx, dy = spline_displacement(coefficients, _mesh.bspline_param(frame, mesh_size))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    expected, inside = bilinear(frame.astype(float), y + dy, x + dx)
    warped = _mesh.transform_mesh(frame, coefficients, 0)
    tolerance = WARP_TOLERANCE if dtype == "f8" else WARP_TOLERANCE_FLOAT32
    np.testing.assert_allclose(warped[inside], expected[inside], rtol=0, atol=tolerance)
    assert inside.mean() > 0.8


def test_uniform_coefficients_sample_to_the_right_and_below():
    frame = texture(5)
    coefficients = np.empty(GRID)
    coefficients[0], coefficients[1] = 5, 3  # x, y
    warped = _mesh.transform_mesh(frame, coefficients, -1)
    np.testing.assert_allclose(warped[:-4, :-6], frame[3:-1, 5:-1], rtol=0, atol=WARP_TOLERANCE)
    assert (warped[-2:] == -1).all()
    assert (warped[:, -4:] == -1).all()


def test_zero_coefficients_change_nothing_not_even_beside_nan():
    frame = texture(6)
    frame[20, 30] = np.nan
    np.testing.assert_array_equal(_mesh.transform_mesh(frame, np.zeros(GRID), np.nan), frame)


def test_a_moved_frame_gets_its_move_as_coefficients_in_x_then_y():
    frame = texture(7)
    coefficients = register(np.roll(frame, (3, -6), (0, 1)), frame)
    assert abs(coefficients[0] + 6).max() <= SHIFT_TOLERANCE
    assert abs(coefficients[1] - 3).max() <= SHIFT_TOLERANCE


@pytest.mark.parametrize("dtype", ["f4", "f2", ">f4", ">f8", ">u2", "f4-readonly"])
def test_every_real_dtype_registers_like_float64(dtype):
    readonly = dtype.endswith("readonly")
    dtype = np.dtype(dtype.partition("-")[0])
    pair = movie(2).astype(dtype)
    pair.flags.writeable = not readonly
    np.testing.assert_array_equal(register(*pair), register(*pair.astype("f8")))


@pytest.mark.parametrize(
    "dtype, mean_dtype",
    [("?", "f8"), ("i1", "f8"), (">u2", "f8"), ("f2", "f2"), (">f4", "f4")],
)
def test_template_dtypes(dtype, mean_dtype):
    items = movie(2) > 128 if dtype == "?" else (movie(2) / 2).astype(dtype)
    for aggregation, expected in (("mean", mean_dtype), ("max", items.dtype.newbyteorder("="))):
        template, motions = chunk(items, aggregation=aggregation)
        assert template.dtype == expected
        assert motions.dtype == np.float64
        assert np.isfinite(motions).all()


def test_a_float32_movie_moves_like_the_same_in_float64():
    items = movie(5).astype("f4")
    expected = chunk(items.astype("f8"))[1]
    np.testing.assert_allclose(chunk(items)[1], expected, rtol=0, atol=FLOAT32_TOLERANCE)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", ">u2", "i8", "f2", ">f4"])
def test_transform_keeps_every_real_dtype(dtype):
    frame = movie(1)[0] > 128 if dtype == "?" else (movie(1)[0] / 2).astype(dtype)
    frame.flags.writeable = False
    coefficients = np.full(GRID, 1.25)
    warped = _mesh.transform_mesh(frame, coefficients, 1)
    assert warped.dtype == frame.dtype
    wide = "f4" if dtype == "f2" else "f8"  # from float64 it would be rounded twice
    exact = _mesh.transform_mesh(frame.astype(wide), coefficients, 1)
    if frame.dtype.kind in "iu":
        exact = np.trunc(exact)
    if frame.dtype.kind == "b":
        exact = exact == 1
    np.testing.assert_array_equal(warped, exact.astype(frame.dtype))


def test_results_do_not_depend_on_the_number_of_threads():
    items = movie(3)
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    results = []
    try:
        for threads in (1, 2, 7):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            results.append(chunk(items))
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    for template, motions in results[1:]:
        np.testing.assert_array_equal(template, results[0][0])
        np.testing.assert_array_equal(motions, results[0][1])


@pytest.mark.parametrize("spoil", [False, True])
def test_input_is_never_written_to(spoil):
    items = movie(4).astype(np.float32)
    if spoil:
        items[1, 5, 5] = np.nan
    before = items.copy()
    items.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chunk(items)
        chunk(items[np.newaxis, :3], [np.zeros((3, *GRID))])
    np.testing.assert_array_equal(items, before)


def test_strided_input_gives_what_a_copy_gives():
    items = movie(6)[::2, :, ::-1]
    np.testing.assert_array_equal(chunk(items)[1], chunk(items.copy())[1])


@pytest.mark.parametrize("alt_error", [5, None])
@pytest.mark.parametrize("n, npart", [(1, 3), (3, 2), (5, 2)])
def test_groups_of_one_work_at_every_level(alt_error, n, npart):
    template, motions = chunk(movie(n).astype("u1"), npart=npart, alt_error=alt_error)
    assert motions.shape == (n, *GRID)
    assert np.isfinite(motions).all()
    assert template.shape == ((HEIGHT, WIDTH) if alt_error is None else (3, HEIGHT, WIDTH))
    assert template.dtype == np.float64


def test_one_frame_is_its_own_template_and_does_not_move():
    frame = movie(1)
    template, motions = chunk(frame)
    np.testing.assert_array_equal(template, np.concatenate([frame] * 3))
    assert not motions.any()
    template, motions = chunk(frame, [np.full((4, *GRID), 2.0)], alt_error=None)
    np.testing.assert_array_equal(template, frame[0])
    np.testing.assert_array_equal(motions, np.full((4, *GRID), 2.0))


def test_motions_of_a_group_are_centred_over_frames_and_grid():
    motions = chunk(movie(3))[1]
    np.testing.assert_allclose(motions.mean(axis=(0, 2, 3)), 0, atol=MOTION_TOLERANCE)


def test_last_slot_is_the_second_frame_or_on_request_the_last():
    items = movie(3)
    template, motions = chunk(items)
    np.testing.assert_array_equal(template[2], _mesh.transform_mesh(items[1], motions[1], 0))
    template, motions = chunk(items, slot_last="last")
    np.testing.assert_array_equal(template[2], _mesh.transform_mesh(items[2], motions[2], 0))


@pytest.mark.parametrize("mesh_size", [(2, 1), (1, 3)])
def test_templates_are_warped_with_the_mesh_of_the_estimate(mesh_size):
    items = movie(3)
    template, motions = chunk(items, mesh_size=mesh_size)
    warped = [_mesh.transform_mesh(*pair, 0) for pair in zip(items, motions, strict=True)]
    np.testing.assert_array_equal(template[1], np.mean(warped, axis=0))


@pytest.mark.parametrize("alt_error", [5, None])
def test_one_good_frame_fills_the_template(alt_error):
    items = movie(3)
    items[:, 0, 0] = 0, 0, 200
    with pytest.warns(UserWarning, match=r"1 of 3 frames .* circ_thres"):
        template, motions = chunk(
            items, alt_error=alt_error, circ_thres=0.5, check_temp=marked_good
        )
    warped = _mesh.transform_mesh(items[2], motions[2], 0)
    np.testing.assert_array_equal(template, np.broadcast_to(warped, template.shape))


@pytest.mark.parametrize("alt_error", [5, None])
def test_without_a_good_frame_all_are_used(alt_error):
    items = movie(3)
    items[:, 0, 0] = 0
    with pytest.warns(UserWarning, match="0 of 3 frames .* all of them are used"):
        result = chunk(items, alt_error=alt_error, circ_thres=0.5, check_temp=marked_good)
    for ours, expected in zip(result, chunk(items, alt_error=alt_error), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_circularity_is_asked_with_max_sh_and_only_of_frames():
    asked = []

    def check_temp(frame, max_sh):
        asked.append((frame.shape, max_sh))
        return 1.0

    chunk(movie(4), circ_thres=0.5, max_sh=20, check_temp=check_temp)  # then one group of 4-D
    assert asked == [((HEIGHT, WIDTH), 20)] * 4


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_broken_pixels_cost_their_frame_little_and_the_others_nothing(bad):
    clean = movie(3)
    broken = clean.copy()
    broken[0, 10:15, 20] = bad
    with pytest.warns(UserWarning, match="in 1 of 3 frames .* 0 had no finite pixel"):
        template, motions = chunk(broken)
    np.testing.assert_allclose(motions, chunk(clean)[1], rtol=0, atol=REPAIR_TOLERANCE)
    assert np.isfinite(template).all()


def test_a_pair_with_broken_pixels_or_none_at_all():
    src, dst = movie(2)
    clean = register(src, dst)
    src[10:15, 20] = np.nan
    np.testing.assert_allclose(register(src, dst), clean, rtol=0, atol=REPAIR_TOLERANCE)
    assert np.isnan(register(np.full_like(src, np.nan), dst)).all()
    assert not register(np.full_like(src, 3), dst).any()


@pytest.mark.parametrize("dead", [0, 1, 2])
@pytest.mark.parametrize("alt_error", [5, None])
def test_a_dead_frame_gets_nan_alone_and_shapes_no_template(dead, alt_error):
    items = movie(3).astype(np.float32)
    items[dead] = np.nan
    with pytest.warns(UserWarning, match="in 0 of 3 frames .* 1 had no finite pixel"):
        template, motions = chunk(items, alt_error=alt_error)
    living = np.delete(items, dead, axis=0)
    alone_template, alone_motions = chunk(living, alt_error=alt_error)
    assert np.isnan(motions[dead]).all()
    assert np.isfinite(np.delete(motions, dead, axis=0)).all()
    assert np.isfinite(template).all()
    assert template.dtype == alone_template.dtype == np.float32
    if dead == 2:  # then the middle is the same frame as without the dead one
        np.testing.assert_array_equal(motions[:2], alone_motions)
        np.testing.assert_array_equal(template, alone_template)


@pytest.mark.parametrize("alt_error", [5, None])
def test_a_dead_group_stays_dead_and_harms_no_other(alt_error):
    items = movie(6)
    items[3:6] = np.nan
    with pytest.warns(UserWarning, match="3 had no finite pixel"):
        template, motions = chunk(items, alt_error=alt_error)
    assert np.isnan(motions[3:6]).all()
    assert np.isfinite(np.delete(motions, slice(3, 6), axis=0)).all()
    assert np.isfinite(template).all()


@pytest.mark.parametrize("alt_error", [5, None])
def test_a_dead_chunk_passes_through_the_reduction(alt_error):
    with pytest.warns(UserWarning, match="4 had no finite pixel"):
        dead, dead_motions = chunk(np.full((4, HEIGHT, WIDTH), np.nan), alt_error=alt_error)
    assert np.isnan(dead).all()
    assert np.isnan(dead_motions).all()
    living, living_motions = chunk(movie(3), alt_error=alt_error)
    # With incoming motions the frames below have been counted: no second warning.
    template, motions = chunk(
        np.stack([living, dead]), [living_motions, dead_motions], alt_error=alt_error
    )
    np.testing.assert_array_equal(motions[:3], living_motions)
    assert np.isnan(motions[3:]).all()
    assert np.isfinite(template).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["f4", "u1", "?"])
def test_coefficients_that_are_not_finite_give_a_frame_of_fill(bad, dtype):
    frame = movie(1)[0].astype(dtype)
    coefficients = np.zeros(GRID)
    coefficients[1, 2, 3] = bad
    warped = _mesh.transform_mesh(frame, coefficients, 1.0)
    assert warped.dtype == frame.dtype
    assert (warped == 1).all()


def test_mesh_size_of_rounds_half_to_even_and_stays_positive():
    assert _mesh.mesh_size_of(np.empty((20, 50))) == (1, 1)
    assert _mesh.mesh_size_of(np.empty((150, 250))) == (2, 2)
    assert _mesh.mesh_size_of(np.empty((480, 752))) == (5, 8)


# --------------------------------------------------------------------------------------------------
# Arguments and imports
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ({"mesh_size": 3}, TypeError, "mesh_size: expected two whole numbers"),
        ({"mesh_size": (1, 2, 3)}, ValueError, "mesh_size: .*got"),
        ({"mesh_size": (0, 1)}, ValueError, "mesh_size: expected at least 1, got 0"),
        ({"mesh_size": (1.5, 1)}, TypeError, "mesh_size: expected an integer, got 1.5"),
        ({"niter": -1}, ValueError, "niter: expected at least 0, got -1"),
        ({"niter": 2.5}, TypeError, "niter: expected an integer, got 2.5"),
        ({"upsample": 0}, ValueError, "upsample: .*got 0"),
        ({"upsample": np.nan}, ValueError, "upsample: .*got nan"),
        ({"src": np.zeros((3, HEIGHT, WIDTH))}, ValueError, "src: expected 2 dim.*got shape"),
        ({"src": np.zeros((HEIGHT, WIDTH), complex)}, TypeError, "src: .*got complex128"),
        ({"dst": np.zeros((HEIGHT, 70))}, ValueError, "dst: expected the shape of src"),
        ({"src": np.eye(3), "dst": np.eye(3)}, ValueError, "src: .*at least 4 px"),
        ({"src_mask": np.ones((2, 2))}, ValueError, "src_mask: expected shape"),
        ({"dst_mask": np.ones((2, 2))}, ValueError, "dst_mask: expected shape"),
    ],
)
def test_register_names_the_argument_that_is_wrong(arguments, error, match):
    arguments = {"src": texture(0), "dst": texture(1), **arguments}
    with pytest.raises(error, match=match):
        register(**arguments)


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ({"items": np.zeros((0, HEIGHT, WIDTH))}, ValueError, "items: .*at least one frame"),
        ({"items": np.zeros((2, 2, HEIGHT, WIDTH))}, ValueError, "items: .*got shape"),
        ({"items": np.zeros((2, 3, 3))}, ValueError, "items: .*at least 4 px"),
        ({"items": np.zeros((2, 9, 9), "M8[s]")}, TypeError, "items: expected a real dtype"),
        ({"npart": 1}, ValueError, "npart: expected at least 2, got 1"),
        ({"npart": 2.5}, TypeError, "npart: expected an integer"),
        ({"aggregation": "median"}, ValueError, "aggregation: .*'mean' or 'max'.*got 'median'"),
        ({"slot_last": "third"}, ValueError, "slot_last: .*got 'third'"),
        ({"circ_thres": 0.5}, TypeError, "check_temp: expected a callable"),
        ({"incoming": [np.zeros((1, *GRID))]}, ValueError, "incoming: .*each of the 2 items"),
        ({"incoming": [np.zeros((1, 2))] * 2}, ValueError, r"incoming: .*\(k, 2, 4, 4\)"),
        ({"niter": -1}, ValueError, "niter: expected at least 0"),
        ({"upsample": 0}, ValueError, "upsample: "),
    ],
)
def test_chunk_names_the_argument_that_is_wrong(arguments, error, match):
    with pytest.raises(error, match=match):
        chunk(**{"items": movie(2), **arguments})


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ({"frame": np.zeros(5)}, ValueError, "frame: expected 2 dim"),
        ({"frame": np.zeros((9, 9), object)}, TypeError, "frame: expected a real dtype"),
        ({"coefficients": np.zeros(32)}, ValueError, "coefficients: expected shape"),
        ({"coefficients": np.zeros((2, 3, 4))}, ValueError, "coefficients: .*at least 4"),
        ({"mesh_size": (2, 1)}, ValueError, r"mesh_size: expected \(1, 1\), .*got \(2, 1\)"),
        ({"param": (1.0, 2.0)}, ValueError, "param: expected the 10 values"),
        ({"fill": np.nan, "frame": np.zeros((9, 9), "u1")}, ValueError, "fill: .*uint8.*nan"),
        ({"fill": "black"}, TypeError, "fill: expected a number, got 'black'"),
        ({"fill": 256, "frame": np.zeros((9, 9), "u1")}, ValueError, "fill: .*uint8.*256"),
        ({"fill": -1, "frame": np.zeros((9, 9), "u2")}, ValueError, "fill: .*uint16.*-1"),
        ({"fill": 2, "frame": np.zeros((9, 9), bool)}, ValueError, "fill: .*bool.*2"),
    ],
)
def test_transform_names_the_argument_that_is_wrong(arguments, error, match):
    arguments = {"frame": texture(0), "coefficients": np.zeros(GRID), "fill": 0, **arguments}
    with pytest.raises(error, match=match):
        _mesh.transform_mesh(**arguments)


def test_param_of_another_grid_is_refused():
    param = _mesh.bspline_param(texture(0), (2, 1))
    with pytest.raises(ValueError, match=r"param: .*grid of \(4, 4\)"):
        _mesh.transform_mesh(texture(0), np.zeros(GRID), 0, param)


@pytest.mark.parametrize("missing", ["SimpleITK", "skimage.registration"])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r'pip install "stillscope\[nonrigid\]"'):
        register(*movie(2))


def test_optional_packages_are_not_imported_with_the_module():
    module = importlib.import_module("stillscope._mesh").__name__
    code = f"import sys, {module}; sys.exit('SimpleITK' in sys.modules or 'skimage' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --------------------------------------------------------------------------------------------------
# Layer 3: ground truth
# --------------------------------------------------------------------------------------------------


def bent_pair(seed):
    """A frame and the same frame moved by (1.3, -2.1) px and bent by up to 2 px."""
    base = texture(seed, HEIGHT + 40, WIDTH + 40)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    bend_y = 2 * np.sin(np.pi * y / (HEIGHT - 1)) * np.cos(np.pi * x / (WIDTH - 1))
    bend_x = 2 * np.sin(np.pi * x / (WIDTH - 1))
    return sampled(base, -1.3 - bend_y, 2.1 - bend_x, 20), sampled(base, 0, 0, 20)


def residual(frame, target, margin=8):
    inner = slice(margin, -margin)
    return np.sqrt(np.mean((frame - target)[inner, inner] ** 2))


@pytest.mark.parametrize("seed", [0, 1])
def test_registration_lowers_the_residual_of_a_known_bend(seed):
    src, dst = bent_pair(seed)
    rigid = register(src, dst, mesh_size=(2, 2), niter=0)
    mesh = register(src, dst, mesh_size=(2, 2), niter=100)
    before = residual(src, dst)
    after_rigid = residual(_mesh.transform_mesh(src, rigid, 0), dst)
    after_mesh = residual(_mesh.transform_mesh(src, mesh, 0), dst)
    assert after_rigid < RIGID_TO_NOTHING * before
    assert after_mesh < MESH_TO_RIGID * after_rigid


def test_a_chunk_template_is_sharper_than_the_mean_of_the_movie():
    items = movie(7, seed=3)
    template = chunk(items, alt_error=None, niter=10)[0]
    inner = (slice(8, -8), slice(8, -8))
    assert template[inner].std() > items.mean(axis=0)[inner].std()
