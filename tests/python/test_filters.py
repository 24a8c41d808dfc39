# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for the estimate alone: presets, what they do, fixed patterns over known motion."""

import numpy as np
import pytest
from support import error_of

import stillscope
from stillscope import _core
from stillscope.simulate import simulate_movie

# Grey levels of 0 to 255: float32 against float64 sums of the same taps. Measured 6.0e-5.
SAME = 2e-4
# px, RMS against the known motion. Measured at least 1.25 with the default, where a pattern holds
# the estimate, and 0.0118 with the preset; 0.0104 with it without a pattern or under a vignette,
# which costs the preset without a background 0.135.
HELD = 1.0
FREE = 0.03
VIGNETTE = 0.15
# px: motion of 0.2 px RMS. Measured 0.0056; 0.8 where it was taken for a pattern.
SMALL = 0.02
# px: what is made of a scene that stands still. Measured 0.018.
STILL = 0.05
# px: root mean square flow after an estimate; before it is 3.8. Measured 0.053.
LEFT = 0.15
# Correlation of the pattern that is found with what is there, filtered. Measured 0.9986.
ALIKE = 0.99

EXTENT = (200, 256)
FRAMES = 120


def walk(frames=FRAMES, seed=3, step=1.5, limit=10):
    rng = np.random.default_rng(seed)
    path = np.zeros((frames, 2))
    for t in range(1, frames):
        path[t] = np.clip(0.95 * path[t - 1] + rng.normal(0, step, 2), -limit, limit)
    return path


def pattern_of(kind):
    """What stays on the sensor, grey levels: (height, width) float64."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[: EXTENT[0], : EXTENT[1]]
    if kind == "dust":
        places = rng.uniform((0, 0), EXTENT, (40, 2))
        widths = rng.uniform(1.5, 4, 40)
        return sum(
            -120 * np.exp(-0.5 * ((y - cy) ** 2 + (x - cx) ** 2) / width**2)
            for (cy, cx), width in zip(places, widths)
        )
    if kind == "stripes":
        return 30.0 * (y % 6 == 0) + 16 * rng.standard_normal((EXTENT[0], 1))
    if kind == "vignette":
        return 120 * np.exp(-((y - 100) ** 2 + (x - 128) ** 2) / 90**2)
    return sum(pattern_of(kind) for kind in ("dust", "stripes", "vignette"))


@pytest.fixture(scope="module")
def path():
    return walk()


@pytest.fixture(scope="module")
def clean(path):
    return simulate_movie(FRAMES, *EXTENT, seed=3, dtype="float32", displacement=path).movie


@pytest.fixture(scope="module")
def held(clean):
    """All patterns over the moving scene."""
    return (clean + pattern_of("all")).astype("f4")


@pytest.fixture(scope="module")
def small_movie():
    return np.random.default_rng(1).uniform(0, 255, (30, 37, 41)).astype("f4")


# --- presets and what the filter does -------------------------------------------------------------


def test_presets_and_what_overrides_them(small_movie):
    def filtering(**options):
        return stillscope.estimate_motion(small_movie, refine=0, **options).filtering

    none = {"smooth": 0.0, "background": 0.0, "fixed_pattern": False, "region": None}
    assert filtering() == none
    preset = {"smooth": 1.0, "background": 8.0, "fixed_pattern": True, "region": None}
    assert filtering(preset="miniscope") == preset
    assert filtering(preset="2p") == {**none, "smooth": 1.0}
    assert filtering(preset="miniscope", smooth=0) == {**preset, "smooth": 0.0}
    assert filtering(preset="miniscope", background=5) == {**preset, "background": 5.0}
    assert filtering(preset="miniscope", fixed_pattern=False) == {**preset, "fixed_pattern": False}
    assert filtering(background=4.5) == {**none, "background": 4.5}
    region = (slice(3, -2), slice(None, 30))
    assert filtering(region=region) == {**none, "region": (3, 35, 0, 30)}


def blurred(frame, sigma):
    """The sum under a Gaussian to four standard deviations; edge pixels are repeated."""
    reach = int(np.ceil(4 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        padding = [(reach, reach) if axis == a else (0, 0) for a in (0, 1)]
        frame = np.apply_along_axis(
            np.convolve, axis, np.pad(frame, padding, "edge"), weights, "valid"
        )
    return frame


def background_of(frame, sigma):
    """Means over cells of half a standard deviation, blurred, and linear between their centres."""
    cell = max(1, int(sigma / 2))
    axes = []
    for n in frame.shape:
        starts = np.arange(0, n, cell)
        axes.append((starts, np.minimum(starts + cell, n)))
    (tops, bottoms), (lefts, rights) = axes
    cells = [[frame[a:b, c:d].mean() for c, d in zip(lefts, rights)] for a, b in zip(tops, bottoms)]
    cells = blurred(np.array(cells), sigma / cell)
    for axis, (starts, ends) in enumerate(axes):
        at, centres = np.arange(frame.shape[axis]), (starts + ends - 1) / 2
        cells = np.apply_along_axis(
            lambda values, a=at, c=centres: np.interp(a, c, values), axis, cells
        )
    return cells


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4", "f8", "i4", ">u2"])
def test_filter_movie_against_numpy(small_movie, dtype):
    movie = small_movie[:4].astype(dtype)
    pattern = np.random.default_rng(2).normal(0, 9, (25, 30))
    region = np.s_[5:30, 4:34]
    options = {"smooth": 1.2, "background": 7, "region": region, "pattern": pattern}
    seen = stillscope.filter_movie(movie, **options)
    assert seen.dtype == np.float32 and seen.shape == (4, 25, 30)
    for got, frame in zip(seen, movie.astype(float)):
        smooth = blurred(frame[region], 1.2)
        expected = smooth - background_of(smooth, 7) - pattern
        assert np.abs(got - expected).max() <= SAME
    one = stillscope.filter_movie(movie[0], **options)
    assert one.tobytes() == seen[0].tobytes()
    again = stillscope.filter_movie(np.asfortranarray(movie), **options, n_threads=2)
    assert again.tobytes() == seen.tobytes()
    assert stillscope.filter_movie(movie).tobytes() == movie.astype("f4").tobytes()


def test_pixels_that_are_no_numbers_are_filled(small_movie):
    movie = small_movie[:3].copy()
    movie[0, 5, 5] = np.nan
    movie[2] = np.inf
    filled = movie.copy()
    filled[0, 5, 5] = np.nanmean(movie[0].astype(float))
    filled[2] = 0
    pattern = np.full(movie.shape[1:], 3.0)
    seen = stillscope.filter_movie(movie, preset="2p", pattern=pattern)
    expected = stillscope.filter_movie(filled, preset="2p", pattern=pattern)
    np.testing.assert_allclose(seen[:2], expected[:2], rtol=0, atol=SAME)
    assert not seen[2].any()
    with pytest.warns(UserWarning, match="pixels: 1 estimated with .* 1 without any finite"):
        motion = stillscope.estimate_motion(movie, preset="2p", refine=0)
    assert np.isnan(motion.shifts).all(axis=1).tolist() == [False, False, True]


# --- known motion ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dust", "stripes", "all"])
def test_the_preset_frees_an_estimate_that_is_held(clean, path, kind):
    movie = (clean + pattern_of(kind)).astype("f4")
    assert error_of(stillscope.estimate_motion(movie).shifts, path)[0] >= HELD
    motion = stillscope.estimate_motion(movie, preset="miniscope")
    assert error_of(motion.shifts, path)[0] <= FREE
    assert motion.helps and not motion.quality.flagged.any()
    # What it took for the pattern looks like it, filtered; at the edges less.
    inner = np.s_[20:-20, 20:-20]
    known = stillscope.filter_movie(pattern_of(kind), preset="miniscope")
    alike = np.corrcoef(motion.fixed_pattern[inner].ravel(), known[inner].ravel())[0, 1]
    assert alike >= ALIKE


def test_a_vignette_and_a_movie_without_a_pattern(clean, path):
    for movie in (clean, (clean + pattern_of("vignette")).astype("f4")):
        for preset, limit in (("miniscope", FREE), ("2p", VIGNETTE)):
            motion = stillscope.estimate_motion(movie, preset=preset)
            assert error_of(motion.shifts, path)[0] <= limit


@pytest.mark.parametrize("seed", [9, 10])
def test_small_motion_is_not_taken_for_a_pattern(seed):
    path = np.random.default_rng(seed).normal(0, 0.2, (FRAMES, 2))
    movie = simulate_movie(FRAMES, *EXTENT, seed=seed, dtype="float32", displacement=path).movie
    for options in ({}, {"preset": "miniscope"}):
        motion = stillscope.estimate_motion(movie, **options)
        assert error_of(motion.shifts, path)[0] <= SMALL
        assert not motion.quality.flagged.any()


@pytest.mark.parametrize("stripes", [0, 1])
def test_what_does_not_move_stays(stripes):
    """Activity, flicker, fixed stripes and noise over a still scene."""
    still = np.zeros((60, 2))
    movie = simulate_movie(60, *EXTENT, seed=9, dtype="float32", displacement=still).movie
    movie *= 1 + 0.05 * np.random.default_rng(4).standard_normal((60, 1, 1)).astype("f4")
    movie = (movie + stripes * pattern_of("stripes")).astype("f4")
    for options in ({}, {"preset": "miniscope"}, {"preset": "2p"}):
        shifts = stillscope.estimate_motion(movie, **options).shifts
        assert np.abs(shifts - np.median(shifts, axis=0)).max() <= STILL


# --- what an estimate with a filter says ----------------------------------------------------------


def test_a_region_is_the_cropped_movie(held):
    region = np.s_[20:180, 16:250]
    movie = held[:60]
    motion = stillscope.estimate_motion(movie, preset="miniscope", region=region)
    cropped = stillscope.estimate_motion(movie[(slice(None), *region)], preset="miniscope")
    assert motion.shifts.tobytes() == cropped.shifts.tobytes()
    assert motion.template.tobytes() == cropped.template.tobytes()
    assert motion.fixed_pattern.tobytes() == cropped.fixed_pattern.tobytes()
    # Valid are rows and columns of whole frames: corrected, they have no filling there.
    corrected = stillscope.apply_motion(movie, motion, fill=np.nan)[(slice(None), *motion.valid)]
    assert np.isnan(corrected).mean(axis=0).max() <= 0.1  # 5 % on each axis
    assert motion.valid[0].stop - motion.valid[0].start > 160
    assert motion.valid[1].stop - motion.valid[1].start > 234
    rows, columns = motion.valid_template
    assert (rows.start, rows.stop) == (max(motion.valid[0].start - 20, 0), 160)
    assert (columns.start, columns.stop) == (max(motion.valid[1].start - 16, 0), 234)
    before, after = motion.crispness
    assert np.isfinite([before, after]).all() and after > before


def test_a_region_leaves_out_what_holds_the_estimate(clean, path):
    movie = clean.copy()
    movie[:, :40] = pattern_of("stripes")[:40] * 5 + 100
    region = (slice(40, None), slice(None))
    assert error_of(stillscope.estimate_motion(movie, region=region).shifts, path)[0] <= FREE


@pytest.mark.parametrize("region", [None, np.s_[20:180, 16:250]])
def test_residual_motion_sees_what_the_estimate_saw(held, path, region):
    movie = held[:60]
    motion = stillscope.estimate_motion(movie, preset="miniscope", region=region)
    before, after = motion.residual_motion(movie)
    assert np.isfinite(before).all() and np.isfinite(after).all()
    assert np.sqrt((after**2).mean()) <= LEFT < np.median(before) / 4
    seen = stillscope.filter_movie(
        movie, preset="miniscope", region=region, pattern=motion.fixed_pattern
    )
    template = np.full(seen.shape[1:], np.nan, "f4")
    template[motion.valid_template] = motion.template[motion.valid_template]
    again = stillscope.residual_motion(seen, motion.shifts, template=template)
    assert again.tobytes() == after.tobytes()


def test_residual_motion_of_a_frame_without_any_number(held):
    movie = held[:30].copy()
    movie[7] = np.nan
    with pytest.warns(UserWarning, match="non-finite"):
        motion = stillscope.estimate_motion(movie, preset="miniscope")
    before, after = motion.residual_motion(movie)
    for lengths in (before, after):
        assert np.flatnonzero(np.isnan(lengths)).tolist() == [7]


def test_without_refinement(held):
    movie = held[:30]
    for region in (None, np.s_[10:150, 20:230]):
        motion = stillscope.estimate_motion(movie, preset="miniscope", region=region, refine=0)
        assert np.isfinite(motion.shifts).all()
        assert motion.quality is None and motion.mean_before is None
        assert motion.fixed_pattern.shape == motion.template.shape
        assert np.isfinite(motion.residual_motion(movie).after).all()
        with pytest.raises(ValueError, match="crispness: expected a refined estimate"):
            _ = motion.crispness


def test_dask_and_threads_give_the_same_bits_and_nothing_is_written(held):
    da = pytest.importorskip("dask.array")
    movie = held[:40].copy()
    movie.flags.writeable = False
    options = {"preset": "miniscope", "region": np.s_[8:190, 4:]}
    one = stillscope.estimate_motion(movie, n_threads=1, **options)
    assert movie.tobytes() == held[:40].tobytes()
    lazy = da.from_array(movie, chunks=(7, 60, -1))
    for again in (
        stillscope.estimate_motion(movie, n_threads=2, **options),
        stillscope.estimate_motion(lazy, **options),
        stillscope.estimate_motion(np.asfortranarray(movie), **options),
    ):
        assert again.shifts.tobytes() == one.shifts.tobytes()
        assert again.template.tobytes() == one.template.tobytes()
        assert again.fixed_pattern.tobytes() == one.fixed_pattern.tobytes()
        assert again.valid == one.valid
    assert one.residual_motion(lazy).after.tobytes() == one.residual_motion(movie).after.tobytes()


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [stillscope.estimate_motion, stillscope.filter_movie])
@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"preset": "3p"}, ValueError, "preset: expected 'miniscope' or '2p', got '3p'"),
        ({"preset": 1}, ValueError, "preset: expected"),
        ({"smooth": -1}, ValueError, "smooth: expected from 0 to 1000 px, got -1"),
        ({"smooth": float("nan")}, ValueError, "smooth: expected"),
        ({"smooth": "a"}, TypeError, "smooth: expected a number"),
        ({"background": float("inf")}, ValueError, "background: expected from 0"),
        ({"background": [3]}, TypeError, "background: expected a number"),
        ({"smooth": 3, "background": 2}, ValueError, "background: expected more than smooth"),
        ({"preset": "miniscope", "smooth": 9}, ValueError, "background: expected more than smooth"),
        ({"region": (0, 5)}, TypeError, "region: expected a slice of rows and a slice"),
        ({"region": slice(0, 5)}, TypeError, "region: expected a slice of rows and a slice"),
        ({"region": np.s_[0:5, 0:9:2]}, ValueError, "region: expected slices without a step"),
        ({"region": np.s_[5:5, :]}, ValueError, "region: expected some of the pixels"),
        ({"region": np.s_[100:, :]}, ValueError, "region: expected some of the pixels"),
    ],
)
def test_arguments_are_checked(small_movie, call, options, error, match):
    with pytest.raises(error, match=match):
        call(small_movie, **options)


def test_arguments_of_one_function(small_movie):
    with pytest.raises(TypeError, match="fixed_pattern: expected True or False"):
        stillscope.estimate_motion(small_movie, fixed_pattern=1)
    with pytest.raises(ValueError, match=r"pattern: expected shape \(37, 41\), got \(3, 4\)"):
        stillscope.filter_movie(small_movie, pattern=np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"pattern: expected shape \(5, 41\)"):
        stillscope.filter_movie(small_movie, region=np.s_[:5, :], pattern=np.zeros((37, 41)))
    with pytest.raises(TypeError, match="pattern: expected a real dtype"):
        stillscope.filter_movie(small_movie, pattern=np.zeros((37, 41), complex))
    with pytest.raises(ValueError, match="movie: expected 2 or 3 dimensions"):
        stillscope.filter_movie(small_movie[0, 0])
    with pytest.raises(ValueError, match="movie: expected at least one frame"):
        stillscope.filter_movie(small_movie[:0])
    with pytest.raises(ValueError, match="n_threads: expected at least 1"):
        stillscope.filter_movie(small_movie, n_threads=0)


def test_the_extension_refuses_a_pattern_of_another_size():
    settings = {"smooth": 1.0, "background": 0.0, "fixed_pattern": False, "region": None}
    movie = np.zeros((2, 20, 30), np.uint8)
    with pytest.raises(ValueError, match="pattern: expected 20x30, got 10x30"):
        _core.filter_movie(movie, settings, np.zeros((10, 30), np.float32), 1)


def test_residual_motion_filters_with_the_threads_that_it_is_given(monkeypatch):
    movie = np.random.default_rng(0).normal(100, 5, (8, 64, 64)).astype("f4")
    motion = stillscope.estimate_motion(movie, smooth=1.0)
    given = []
    kernel = _core.filter_movie
    monkeypatch.setattr(_core, "filter_movie", lambda *args: given.append(args[3]) or kernel(*args))
    motion.residual_motion(movie, n_threads=1)
    assert given and set(given) == {1}


@pytest.mark.parametrize("options", [{}, {"smooth": 1.0}])
def test_residual_motion_of_a_movie_of_another_size_names_the_movie(options):
    movie = np.random.default_rng(0).normal(100, 5, (8, 64, 64)).astype("f4")
    motion = stillscope.estimate_motion(movie, **options)
    with pytest.raises(ValueError, match=r"movie: expected frames of \(64, 64\).*\(40, 64\)"):
        motion.residual_motion(movie[:, :40])
    with pytest.raises(ValueError, match=r"movie: expected frames of \(64, 64\).*\(40, 64\)"):
        stillscope.residual_motion(movie[:, :40], motion)
