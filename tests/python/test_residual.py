# SPDX-License-Identifier: GPL-3.0-or-later
"""Residual motion by optical flow: against OpenCV's own, known motion, and properties."""

import numpy as np
import pytest
from support import as_dtype, fourier_shift, import_quietly, texture

import stillscope
from stillscope.simulate import simulate_movie

# px: of the same steps in NumPy and OpenCV 5, another version than the one that is linked. Measured
# 8.9e-6.
SAME = 1e-3
# px: of a texture moved by a Fourier shift, whose length is known. Measured 0.069 (uint16).
LENGTH = 0.15
# Simulated recordings: what is left after their known motion is taken out, root mean square over
# frames [px]; how far the flow before is from the known displacement, relative to it; and
# correlation of the two over frames. Measured 0.024, 0.013 and 0.9999.
LEFT = 0.06
RELATIVE = 0.04
CORRELATION = 0.999

EXTENT = (150, 180)
PATH = np.array([(0, 0), (0.5, 0), (0, -1.25), (3.3, 4.1), (-6.7, 2.2), (9, -9), (-0.3, -0.2)])


@pytest.fixture(scope="module")
def canvas():
    return texture(EXTENT[0] + 40, EXTENT[1] + 40, seed=31, sigma=3.0)


@pytest.fixture(scope="module")
def movie(canvas):
    """float32: a texture that moves by PATH, nothing wraps into the frame."""
    frames = [fourier_shift(canvas, *step)[20:-20, 20:-20] for step in PATH]
    return (100 + 30 * np.stack(frames)).astype("f4")


@pytest.fixture(scope="module")
def template(movie):
    return movie[0]


# --- what it is -----------------------------------------------------------------------------------


def reference_flow(cv2, template, frame, binning):
    """The documented steps, in NumPy."""

    def binned(image):
        h, w = (n // binning for n in image.shape)
        image = image[: h * binning, : w * binning].astype(float)
        return image.reshape(h, binning, w, binning).mean((1, 3))

    def scaled(image):
        return ((image - image.mean()) * (50 / image.std())).astype("f4")

    def halved(image):
        h, w = (n // 2 for n in image.shape)
        return image[: 2 * h, : 2 * w].reshape(h, 2, w, 2).mean((1, 3), dtype="f4")

    pairs = [(scaled(binned(template)), scaled(binned(frame)))]
    while len(pairs) <= 2 and min(pairs[-1][0].shape) >= 64:
        pairs.append(tuple(halved(image) for image in pairs[-1]))
    flow = None
    for a, b in reversed(pairs):
        if flow is None:
            start = np.zeros((*a.shape, 2), "f4")
        else:
            y = np.minimum(np.arange(a.shape[0]) // 2, flow.shape[0] - 1)
            x = np.minimum(np.arange(a.shape[1]) // 2, flow.shape[1] - 1)
            start = np.ascontiguousarray(2 * flow[y][:, x])
        flow = cv2.calcOpticalFlowFarneback(
            a, b, start, 0.5, 0, 61, 3, 7, 1.5, cv2.OPTFLOW_USE_INITIAL_FLOW
        )
    return binning * np.sqrt((flow.astype(float) ** 2).sum(axis=2).mean())


@pytest.mark.parametrize("binning", [1, 2, 3])
def test_against_the_same_steps_in_numpy(movie, template, binning):
    cv2 = import_quietly("cv2")
    lengths = stillscope.residual_motion(movie, template=template, binning=binning)
    expected = [reference_flow(cv2, template, frame, binning) for frame in movie]
    np.testing.assert_allclose(lengths, expected, rtol=0, atol=SAME)


@pytest.mark.parametrize("binning", [None, 1, 2, 3])
def test_it_is_the_length_of_a_known_motion(movie, template, binning):
    lengths = stillscope.residual_motion(movie, template=template, binning=binning)
    assert lengths.shape == (len(PATH),) and lengths.dtype == np.float64
    np.testing.assert_allclose(lengths, np.hypot(*PATH.T), rtol=0, atol=LENGTH)


def test_taking_the_motion_out_leaves_little(movie, template):
    left = stillscope.residual_motion(movie, -PATH, template=template)
    assert left.max() <= LENGTH
    wrong = stillscope.residual_motion(movie, -PATH + (1.5, -2.0), template=template)
    np.testing.assert_allclose(wrong, 2.5, rtol=0, atol=LENGTH)


def test_without_a_template_it_is_the_mean_of_the_moved_frames(movie):
    assert stillscope.residual_motion(movie, -PATH).max() <= LENGTH
    # A motion that all frames have in common is none.
    assert stillscope.residual_motion(movie, -PATH + (4.0, 3.0)).max() <= LENGTH


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f2", "f4", "f8", ">u2"])
def test_dtypes(movie, template, dtype):
    lengths = stillscope.residual_motion(as_dtype(movie, dtype), template=template)
    np.testing.assert_allclose(lengths, np.hypot(*PATH.T), rtol=0, atol=LENGTH)


def test_it_sees_a_deformation(canvas):
    """A stretch of the frame by 2 px at its ends has no shift that takes it out."""
    from scipy import ndimage

    y, x = np.mgrid[: EXTENT[0], : EXTENT[1]].astype(float)
    field = 4.0 * (y / EXTENT[0] - 0.5)
    stretched = ndimage.map_coordinates(canvas, [y + 20 - field, x + 20], order=5)
    still = canvas[20:-20, 20:-20]
    (length,) = stillscope.residual_motion(stretched[None], template=still)
    expected = np.sqrt((field**2).mean())
    # The window averages the field, most at the ends. Measured 0.89.
    assert 0.8 * expected < length < expected


# --- known motion ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_before_it_follows_the_known_motion_and_after_it_is_small(seed):
    frames, displacement = simulate_movie(60, seed=seed)
    motion = stillscope.estimate_motion(frames)
    before, after = motion.residual_motion(frames)
    # The template lies where the estimate puts it.
    path = displacement - (displacement + motion.shifts).mean(axis=0)
    known = np.hypot(*path.T)
    moved = known > 2
    assert np.abs(before / known - 1)[moved].max() <= RELATIVE
    assert np.corrcoef(before, known)[0, 1] >= CORRELATION
    assert np.sqrt((after**2).mean()) <= LEFT
    # A registration that is off by a pixel shows.
    off = motion.shifts + (0.6, -0.8) * np.where(np.arange(60) % 2, 1, -1)[:, None]
    wrong = stillscope.residual_motion(frames, off, template=motion.template)
    assert np.median(wrong) > 0.9  # measured 1.01


def test_an_estimate_brings_its_template(movie):
    motion = stillscope.estimate_motion(movie)
    before, after = motion.residual_motion(movie)
    again = stillscope.residual_motion(movie, motion)
    assert after.tobytes() == again.tobytes()
    template = np.full(EXTENT, np.nan)
    template[motion.valid] = motion.template[motion.valid]
    given = stillscope.residual_motion(movie, motion.shifts, template=template)
    assert given.tobytes() == again.tobytes()
    as_it_is = stillscope.residual_motion(movie, template=template)
    assert before.tobytes() == as_it_is.tobytes()
    assert np.median(before) > 5 * np.median(after)
    tree = stillscope.estimate_motion(movie, refine=0)
    assert np.isfinite(tree.residual_motion(movie).after).all()


# --- properties -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f4", "u1"])
def test_the_result_does_not_depend_on_threads_or_on_what_holds_the_movie(movie, dtype):
    da = pytest.importorskip("dask.array")
    xr = pytest.importorskip("xarray")
    frames = as_dtype(np.concatenate([movie] * 9), dtype)
    shifts = np.random.default_rng(3).uniform(-3, 3, (len(frames), 2))
    one = stillscope.residual_motion(frames, shifts, n_threads=1)
    for n_threads in (2, 7):
        again = stillscope.residual_motion(frames, shifts, n_threads=n_threads)
        assert again.tobytes() == one.tobytes()
    turned = xr.DataArray(np.moveaxis(frames, 0, 2), dims=["height", "width", "frame"])
    for held in (
        np.asfortranarray(frames),
        da.from_array(frames, chunks=(10, 60, -1)),
        turned,
        frames.astype(frames.dtype.newbyteorder()),
    ):
        assert stillscope.residual_motion(held, shifts).tobytes() == one.tobytes()


def test_the_movie_is_read_once_and_once_more_for_a_template(movie, template):
    class Counting:
        shape, dtype, read = movie.shape, movie.dtype, 0

        def __getitem__(self, key):
            self.read += len(movie[key])
            return movie[key]

    counting = Counting()
    stillscope.residual_motion(counting, template=template)
    assert counting.read == len(movie)
    stillscope.residual_motion(counting)
    assert counting.read == 3 * len(movie)


def test_the_input_is_not_written_to(movie, template):
    frames, shifts, reference = movie.copy(), -PATH, template.copy()
    for array in (frames, shifts, reference):
        array.flags.writeable = False
    stillscope.residual_motion(frames, shifts, template=reference)
    assert frames.tobytes() == movie.tobytes() and reference.tobytes() == template.tobytes()


def test_frames_that_cannot_be_compared(movie, template):
    frames, shifts = movie.copy(), np.zeros((len(movie), 2))
    frames[1] = 7
    frames[2] = np.nan
    shifts[3] = np.nan
    shifts[4] = (0, EXTENT[1] - 10)
    frames[6, 40:60, 50:70] = np.inf
    lengths = stillscope.residual_motion(frames, shifts, template=template)
    assert np.isnan(lengths).tolist() == [False, True, True, True, True, False, False]
    assert abs(lengths[6] - np.hypot(*PATH[6])) <= LENGTH  # measured 0.001


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"shifts": np.zeros((3, 2))}, ValueError, r"shifts: expected shape \(7, 2\)"),
        ({"shifts": "a"}, TypeError, "shifts: expected a real dtype"),
        ({"template": np.zeros((3, 4))}, ValueError, "template: expected shape"),
        ({"template": np.zeros((3, 4, 5))}, ValueError, "template: expected 2 dimensions"),
        ({"template": np.full(EXTENT, "a")}, TypeError, "template: expected a real dtype"),
        ({"binning": 0}, ValueError, "binning: expected at least 1, got 0"),
        ({"binning": 2.0}, TypeError, "binning: expected an integer"),
        ({"binning": 10}, ValueError, "binning: expected at least 16 binned px .* got 10"),
        ({"n_threads": 0}, ValueError, "n_threads: expected at least 1"),
    ],
)
def test_arguments_are_checked(movie, options, error, match):
    with pytest.raises(error, match=match):
        stillscope.residual_motion(movie, **options)


def test_movies_that_cannot_be(movie):
    with pytest.raises(ValueError, match="movie: expected 3 dimensions"):
        stillscope.residual_motion(movie[0])
    with pytest.raises(ValueError, match="movie: expected at least one frame"):
        stillscope.residual_motion(movie[:0])
    with pytest.raises(ValueError, match="binning: expected at least 16 binned px"):
        stillscope.residual_motion(movie[:, :15])
