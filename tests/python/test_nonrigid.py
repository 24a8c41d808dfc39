# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion that differs across the frame: fields, their application, the drop-in's native engine."""

import dask.array as darr
import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

import stillscope
from stillscope import motion_correction as ours
from stillscope.nonrigid import mesh_geometry

sitk = pytest.importorskip("SimpleITK")

HEIGHT, WIDTH, FRAMES = 208, 232, 24
MESH = (3, 2)  # x, y

# Share of the range, against SimpleITK; measured 1.2e-7 (float32's rounding).
RESAMPLE_TOLERANCE = 1e-3
# px RMS at positions 32 px from the border, mean over frames removed; measured 0.016.
FIELD_TOLERANCE = 0.04
# px RMS between the fields of good frames with and without bad ones among them; measured 0.0038.
UNHARMED_TOLERANCE = 0.02
# px, of a movie without deformation; fields are the shifts.
RIGID_TOLERANCE = 1e-9
# px RMS of a frame whose half jumps by 6 px, where the jump begins and ends; measured 0.29, 0.14.
JUMP_TOLERANCE = 0.5
# px, mean residual motion under stripes that stay; measured 0.033; moved first, 0.49.
LEFT_UNDER_STRIPES = 0.1


def scene(rng, shape):
    fine = ndimage.gaussian_filter(rng.standard_normal(shape), 2.0)
    wide = ndimage.gaussian_filter(rng.standard_normal(shape), 12.0)
    return 100 + 12 * fine / fine.std() + 10 * wide / wide.std()


def deformations(rng, frames=FRAMES, size=1.5):
    """Displacements of the scene at frame positions, smooth: (frame, height, width, 2)."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    fields = np.empty((frames, HEIGHT, WIDTH, 2))
    for field in fields:
        for axis in range(2):
            a, b, c = rng.uniform(-1, 1, 3)
            field[..., axis] = size * (
                a * np.cos(np.pi * y / HEIGHT) + b * np.sin(np.pi * x / WIDTH)
                + c * np.cos(np.pi * y / HEIGHT) * np.cos(np.pi * x / WIDTH)
            ) + rng.uniform(-3, 3)  # fmt: skip
    return fields


def seen(rng, canvas, displacement, noise=2.0):
    """frame(p) = scene(p - d(p)), from a canvas that is 24 px larger on every side."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    at = [y - displacement[..., 0] + 24, x - displacement[..., 1] + 24]
    frame = ndimage.map_coordinates(canvas, at, order=3, mode="nearest")
    return (frame + noise * rng.standard_normal(frame.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def deforming():
    rng = np.random.default_rng(3)
    canvas = scene(rng, (HEIGHT + 48, WIDTH + 48))
    fields = deformations(rng)
    return canvas, fields, np.stack([seen(rng, canvas, d) for d in fields])


@pytest.fixture(scope="module")
def estimate(deforming):
    return stillscope.estimate_motion(deforming[2], nonrigid=True)


def positions():
    return np.arange(32, HEIGHT - 32, 8.0), np.arange(32, WIDTH - 32, 8.0)


def at_template(displacement, y, x):
    """What `field` should be minus of: U(q) = D(q + U(q))."""
    q = np.stack(np.meshgrid(y, x, indexing="ij"))
    u = np.zeros_like(q)
    for _ in range(10):
        u = np.stack([
            ndimage.map_coordinates(displacement[..., axis], q + u, order=1, mode="nearest")
            for axis in range(2)
        ])  # fmt: skip
    return np.moveaxis(u, 0, -1)


def errors(motion, fields, frames=slice(None)):
    y, x = positions()
    truth = np.stack([at_template(d, y, x) for d in fields])
    error = (motion.field(y, x) + truth)[frames]
    error = error - error.mean(axis=0)
    return np.sqrt((error**2).mean(axis=(1, 2, 3)))


def test_a_deforming_movie_is_found(deforming, estimate):
    assert not estimate.deformation.is_rigid
    rigid = stillscope.estimate_motion(deforming[2])
    assert np.sqrt((errors(rigid, deforming[1]) ** 2).mean()) > 10 * FIELD_TOLERANCE
    assert np.sqrt((errors(estimate, deforming[1]) ** 2).mean()) < FIELD_TOLERANCE
    assert not estimate.quality.flagged.any()


def test_patches_alone_are_rougher_but_right(deforming):
    motion = stillscope.estimate_motion(deforming[2], nonrigid="patches")
    assert np.sqrt((errors(motion, deforming[1]) ** 2).mean()) < 5 * FIELD_TOLERANCE
    assert motion.deformation.from_patches.all()


def test_applying_takes_the_deformation_out(deforming, estimate):
    corrected = stillscope.apply_motion(deforming[2], estimate)
    inner = np.s_[:, 24:-24, 24:-24]
    rigid = stillscope.apply_motion(deforming[2], estimate.shifts)
    spread = corrected[inner].std(axis=0).mean()
    assert spread < 0.5 * rigid[inner].std(axis=0).mean()
    assert spread < 2.5  # the noise is 2
    assert corrected.dtype == deforming[2].dtype
    assert np.isfinite(corrected).all()


def test_the_shifts_are_the_means_of_the_fields(estimate):
    mean = estimate.field(*estimate.deformation.corners).mean(axis=(1, 2))
    np.testing.assert_allclose(mean, estimate.shifts, atol=1e-9)


def test_field_is_minus_the_coefficients(estimate):
    """In ITK's layout: slot 0 is x, and says where the frame is sampled."""
    deformation = estimate.deformation
    transform = sitk.BSplineTransformInitializer(
        sitk.Image([WIDTH, HEIGHT], sitk.sitkUInt8),
        [n - 3 for n in deformation.coefficients.shape[:1:-1]], 3,
    )  # fmt: skip
    transform.SetParameters(deformation.coefficients[5].ravel().tolist())
    y, x = np.array([0.0, 40.5, HEIGHT - 1]), np.array([3.0, 77.25])
    field = estimate.field(y, x)[5]
    for i, row in enumerate(y):
        for j, column in enumerate(x):
            moved = np.array(transform.TransformPoint((column, row)))
            np.testing.assert_allclose(field[i, j], -(moved - (column, row))[::-1], atol=1e-9)


@pytest.mark.parametrize("n_threads", [2, 7])
def test_threads_make_no_difference(deforming, estimate, n_threads):
    other = stillscope.estimate_motion(deforming[2], nonrigid=True, n_threads=n_threads)
    assert np.array_equal(other.deformation.coefficients, estimate.deformation.coefficients)
    assert np.array_equal(other.template, estimate.template, equal_nan=True)


def test_lazy_movies_give_the_same(deforming, estimate):
    lazy = darr.from_array(deforming[2], chunks=(7, 100, -1))
    other = stillscope.estimate_motion(lazy, nonrigid=True)
    assert np.array_equal(other.deformation.coefficients, estimate.deformation.coefficients)


def test_a_movie_without_deformation_keeps_its_shifts(deforming):
    rng = np.random.default_rng(5)
    shifts = rng.uniform(-4, 4, (FRAMES, 2))
    movie = np.stack([
        seen(rng, deforming[0], np.broadcast_to(s, (HEIGHT, WIDTH, 2))) for s in shifts
    ])  # fmt: skip
    motion = stillscope.estimate_motion(movie, nonrigid=True)
    rigid = stillscope.estimate_motion(movie)
    assert motion.deformation.is_rigid
    np.testing.assert_array_equal(motion.shifts, rigid.shifts)
    field = motion.field(*positions())
    assert np.abs(field - rigid.shifts[:, None, None]).max() < RIGID_TOLERANCE


@pytest.mark.parametrize("deforms", [False, True])
def test_a_frame_whose_part_jumps_is_recovered(deforming, deforms):
    rng = np.random.default_rng(6)
    fields = deformations(rng, size=1.5 if deforms else 0.0)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    bump = 1 / (1 + np.exp(-(x - 0.5 * WIDTH) / 12))  # the right half
    jump = 11
    fields[jump, ..., 0] += 6 * bump
    movie = np.stack([seen(rng, deforming[0], d) for d in fields])
    motion = stillscope.estimate_motion(movie, nonrigid=True)
    error = errors(motion, fields)
    assert error[jump] < JUMP_TOLERANCE
    assert np.delete(error, jump).max() < 2 * JUMP_TOLERANCE / 3
    assert not motion.quality.flags["field_not_converged"][jump]


def test_bad_frames_are_flagged_and_harm_no_other(deforming, estimate):
    rng = np.random.default_rng(7)
    movie = deforming[2].copy()
    movie[4] = 0
    movie[9] = np.nan
    movie[13] = 100 + 15 * rng.standard_normal(movie[13].shape)
    movie[17, 60:90, 60:90] = np.nan
    with pytest.warns(UserWarning, match="non-finite"):
        motion = stillscope.estimate_motion(movie, nonrigid=True)
    assert np.isfinite(motion.deformation.coefficients).all()
    assert motion.quality.flagged[[4, 9, 13]].all()
    assert motion.deformation.interpolated[[4, 9, 13]].all()
    good = np.setdiff1d(np.arange(FRAMES), [4, 9, 13, 17])
    # A wild frame moves the template, in which positions are counted.
    by = (motion.shifts[good] - estimate.shifts[good]).mean(axis=0)
    y, x = positions()
    apart = motion.field(y + by[0], x + by[1])[good] - estimate.field(y, x)[good]
    apart -= apart.mean(axis=0)
    assert np.sqrt((apart**2).mean()) < UNHARMED_TOLERANCE


def test_flat_regions_are_uncertain_and_smooth(deforming):
    rng = np.random.default_rng(8)
    canvas = deforming[0].copy()
    canvas[:, : WIDTH // 2] = 100
    fields = deformations(rng)
    movie = np.stack([seen(rng, canvas, d) for d in fields])
    motion = stillscope.estimate_motion(movie, nonrigid=True)
    field = motion.field(*positions())
    assert np.isfinite(field).all() and np.abs(field).max() < 20
    uncertainty = motion.deformation.uncertainty
    assert uncertainty[:, 0].min() > 3 * uncertainty[:, -2].max()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_flat_movies_give_no_field(value):
    motion = stillscope.estimate_motion(np.full((6, 64, 70), value, "f4"), nonrigid=True)
    assert np.isfinite(motion.deformation.coefficients).all()
    assert np.abs(motion.field([10, 50], [10, 60])).max() < 1e-6


@pytest.mark.parametrize("shape", [(1, 40, 40), (3, 40, 50), (5, 9, 7), (6, 1, 30), (6, 161, 23)])
def test_small_movies_have_finite_fields(shape):
    movie = np.random.default_rng(0).normal(100, 10, shape).astype("f4")
    motion = stillscope.estimate_motion(movie, nonrigid=True, spacing=10)
    assert np.isfinite(motion.deformation.coefficients).all()
    assert stillscope.apply_motion(movie, motion).shape == shape


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f8", "?", "i4", "f2"])
def test_any_dtype_is_deformed(deforming, estimate, dtype):
    movie = np.clip(deforming[2], 0, 255).astype(dtype)
    corrected = stillscope.apply_motion(movie, estimate)
    assert corrected.dtype == movie.dtype
    expected = stillscope.apply_motion(movie.astype("f4"), estimate)
    if dtype not in "?":
        off = np.abs(corrected.astype("f8") - expected)
        assert off.max() <= (0.5001 if np.dtype(dtype).kind in "iu" else 0.2)


def test_a_binned_movie_is_deformed_alike(deforming, estimate):
    movie = deforming[2]

    def pool(frames):
        return frames.reshape(FRAMES, HEIGHT // 2, 2, WIDTH // 2, 2).mean(axis=(2, 4))

    small = stillscope.apply_motion(pool(movie), estimate, binning=2)
    large = pool(stillscope.apply_motion(movie, estimate))
    inner = np.s_[:, 10:-10, 10:-10]
    assert np.abs(small[inner] - large[inner]).mean() < 1.5
    with pytest.raises(ValueError, match="movie: expected frames of about"):
        stillscope.apply_motion(pool(movie), estimate)


@pytest.mark.parametrize("frame", [None, 3, -1])
def test_fields_can_be_seen(estimate, tmp_path, frame):
    pytest.importorskip("matplotlib")
    from stillscope.report import plot_deformation

    plot_deformation(tmp_path / "field.png", estimate, frame)
    assert (tmp_path / "field.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match="^frame: expected"):
        plot_deformation(tmp_path / "field.png", estimate, FRAMES)
    rigid = stillscope.MotionEstimate(estimate.shifts, estimate.template)
    with pytest.raises(ValueError, match="^motion: expected"):
        plot_deformation(tmp_path / "field.png", rigid)


# --- against SimpleITK ----------------------------------------------------------------------------


def resampled(frame, coefficients, fill, param=None):
    mesh = [n - 3 for n in coefficients.shape[:0:-1]]
    if param is None:
        height, width = frame.shape
        image = sitk.Image([width, height], sitk.sitkUInt8)
        param = sitk.BSplineTransformInitializer(image, mesh, 3).GetFixedParameters()
    transform = sitk.BSplineTransform(2, 3)
    transform.SetFixedParameters(param)
    transform.SetParameters(coefficients.ravel().tolist())
    image = sitk.GetImageFromArray(frame)
    return sitk.GetArrayFromImage(sitk.Resample(image, transform, sitk.sitkLinear, fill))


@pytest.mark.parametrize("size", [0.0, 0.5, 4.0, 40.0])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "f4", "f8"])
def test_transform_perframe_is_sitk_resample(dtype, size):
    rng = np.random.default_rng(11)
    frame = rng.uniform(0, 250, (57, 71)).astype(dtype)
    coefficients = rng.uniform(-size, size, (2, MESH[1] + 3, MESH[0] + 3))
    for fill in (0, 7):
        a = ours.transform_perframe(frame, coefficients, fill).astype("f8")
        b = resampled(frame, coefficients, fill).astype("f8")
        off = np.abs(a - b)
        if np.dtype(dtype).kind == "f":
            assert off.max() <= RESAMPLE_TOLERANCE * 250
        else:
            assert off.max() <= 1 and (off > 0).mean() < 1e-3


def test_transform_perframe_takes_a_grid_of_another_frame():
    rng = np.random.default_rng(12)
    frame = rng.uniform(0, 250, (57, 71)).astype("f4")
    coefficients = rng.uniform(-4, 4, (2, MESH[1] + 3, MESH[0] + 3))
    param = ours.get_bspline_param(np.empty((40, 90)), MESH)
    a = ours.transform_perframe(frame, coefficients, 7, param)
    assert np.abs(a - resampled(frame, coefficients, 7, param)).max() <= RESAMPLE_TOLERANCE * 250
    turned = (*param[:6], 0.0, 1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="param: expected the axes of the frame"):
        ours.transform_perframe(frame, coefficients, 7, turned)


def test_mesh_geometry_is_itks():
    image = sitk.Image([71, 57], sitk.sitkUInt8)
    fixed = sitk.BSplineTransformInitializer(image, MESH, 3).GetFixedParameters()
    origin, spacing = mesh_geometry((57, 71), MESH[::-1])
    assert (*origin[::-1], *spacing[::-1]) == fixed[2:6]


def test_applying_needs_no_simpleitk(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    frame = np.ones((30, 40), "f4")
    ours.transform_perframe(frame, np.zeros((2, 5, 6)), param=ours.get_bspline_param(frame, (3, 2)))


# --- the drop-in ----------------------------------------------------------------------------------


def wrap(movie, chunks, dims=("frame", "height", "width")):
    return xr.DataArray(darr.from_array(movie, chunks=chunks), dims=dims)


@pytest.mark.parametrize("dtype", ["f4", "u1"])
def test_the_native_engine_is_the_plain_estimate(deforming, dtype):
    movie = np.clip(deforming[2], 0, 255).astype(dtype)
    coefficients = ours.estimate_motion(
        wrap(movie, (1, -1, -1)), mesh_size=MESH, engine="native", chunk_nfm=8
    )
    assert coefficients.dims == ("frame", "shift_dim", "grid0", "grid1")
    assert coefficients.shape == (FRAMES, 2, MESH[1] + 3, MESH[0] + 3)
    assert coefficients.chunks is not None
    plain = stillscope.estimate_motion(movie, nonrigid=True, mesh_size=MESH, chunk=8)
    np.testing.assert_array_equal(coefficients.values, plain.deformation.coefficients)


def test_native_fields_are_ready_for_apply_transform(deforming):
    movie = deforming[2]
    eager = xr.DataArray(movie, dims=["frame", "height", "width"])
    coefficients = ours.estimate_motion(eager, mesh_size=(4, 4), engine="native")
    corrected = ours.apply_transform(eager, coefficients).values
    inner = np.s_[:, 24:-24, 24:-24]
    assert corrected[inner].std(axis=0).mean() < 0.5 * movie[inner].std(axis=0).mean()


def test_the_native_engine_loops_over_further_dims(deforming):
    movies = np.stack([deforming[2][:8], deforming[2][8:16]])
    varr = wrap(movies, (1, 4, -1, -1), ("session", "frame", "height", "width"))
    coefficients = ours.estimate_motion(varr, mesh_size=MESH, engine="native")
    assert coefficients.dims == ("session", "frame", "shift_dim", "grid0", "grid1")
    one = ours.estimate_motion(varr[1], mesh_size=MESH, engine="native")
    np.testing.assert_array_equal(coefficients[1].values, one.values)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"nonrigid": "spline"}, ValueError, "nonrigid"),
        ({"nonrigid": 1}, TypeError, "nonrigid"),
        ({"nonrigid": True, "spacing": 4}, ValueError, "spacing"),
        ({"nonrigid": True, "spacing": np.inf}, ValueError, "spacing"),
        ({"nonrigid": True, "deformation": 0}, ValueError, "deformation"),
        ({"nonrigid": True, "deformation": "1"}, TypeError, "deformation"),
        ({"nonrigid": True, "mesh_size": (0, 2)}, ValueError, "mesh_size"),
        ({"nonrigid": True, "mesh_size": (900, 2)}, ValueError, "mesh_size"),
        ({"nonrigid": True, "refine": 0}, ValueError, "nonrigid"),
        ({"nonrigid": True, "region": (slice(0, 20), slice(0, 20))}, ValueError, "nonrigid"),
    ],
)
def test_unusable_options_are_refused(options, error, name):
    with pytest.raises(error, match=f"^{name}: expected .* got"):
        stillscope.estimate_motion(np.zeros((6, 40, 40), "f4"), **options)


def test_unusable_calls_of_the_drop_in_are_refused():
    varr = wrap(np.zeros((6, 40, 40), "f4"), (3, -1, -1))
    with pytest.raises(ValueError, match="^engine: expected .* got"):
        ours.estimate_motion(varr, mesh_size=MESH, engine="itk")
    with pytest.raises(ValueError, match="^mesh_size: expected .* got"):
        ours.estimate_motion(varr, engine="native")
    with pytest.raises(TypeError, match="unexpected keyword"):
        ours.estimate_motion(varr, mesh_size=MESH, engine="native", wrong=1)
    with pytest.raises(TypeError, match="^nonrigid: expected mesh_size"):
        ours.estimate_motion(varr, nonrigid=True)


def test_a_field_of_another_movie_is_refused(deforming, estimate):
    with pytest.raises(ValueError, match="^shifts: expected|^movie: expected"):
        stillscope.apply_motion(deforming[2][:5], estimate)
    with pytest.raises(ValueError, match="^grid: expected"):
        stillscope.apply_motion(deforming[2], estimate, grid="cv2")
    with pytest.raises(ValueError, match="^y: expected"):
        estimate.field(np.zeros((2, 2)), [0])


def test_a_rigid_estimate_checks_positions_too(deforming):
    rigid = stillscope.estimate_motion(deforming[2][:4])
    with pytest.raises(ValueError, match="^x: expected"):
        rigid.field([0], np.zeros((2, 2)))
    with pytest.raises(TypeError, match="^y: expected"):
        rigid.field("a", [0])
    with pytest.raises(ValueError, match="^y: expected .* got nan"):
        rigid.field([1.0, np.nan], [0])
    assert np.array_equal(rigid.field([3.5], [1, 2])[:, 0, 1], rigid.shifts)


def test_one_frame_is_taken_out_of_an_estimate(deforming, estimate):
    moved = stillscope.apply_motion(deforming[2][3:4], estimate.of_frames(3))
    assert np.array_equal(moved, stillscope.apply_motion(deforming[2], estimate)[3:4])


@pytest.mark.parametrize("frames", ["a", 99, 2.5, [0, -99]])
def test_frames_that_are_none_are_refused(estimate, frames):
    for motion in (estimate, estimate.of_frames(slice(None))):
        with pytest.raises(IndexError, match="^frames: expected .* got"):
            motion.of_frames(frames)


def test_what_stays_on_the_sensor_is_no_residual_motion(deforming):
    """It is taken away before frames are moved: moved, it would not stay."""
    stripes = 20 * np.sin(np.arange(HEIGHT) / 2.5, dtype="f4")[:, None]
    movie = deforming[2] + stripes
    motion = stillscope.estimate_motion(movie, nonrigid=True, preset="miniscope")
    left = motion.residual_motion(movie)
    assert left.after.mean() < LEFT_UNDER_STRIPES
    assert left.before.mean() > 4 * LEFT_UNDER_STRIPES
