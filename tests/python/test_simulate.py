# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated movie moves by exactly what it says it does, and by nothing else."""

import numpy as np
import pytest

from stillscope.simulate import residual_motion, simulate_movie

# What the phase slope leaves of the stated sub-pixel displacement [px]. Measured at most 0.020 over
# the seeds below, where the scene moved by 7 px (the vignette stays), and 0.009 below 1 px.
PHASE_TOLERANCE = 0.03
# Correlation of frames that are a whole frame apart, and so share no tissue, and of frames at the
# same place, as they would be if the scene wrapped. Measured at most 0.05 and 0.990.
UNRELATED_CORRELATION = 0.3
SAME_CORRELATION = 0.9
# Residual of an exact correction: rounding of float64 alone. Measured 1e-15.
ROUNDING = 1e-12


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def integer_motion(reference, frame, reach):
    """Brute force: the displacement at which the frame's middle is most like the reference."""
    height, width = frame.shape
    middle = frame[reach : height - reach, reach : width - reach]
    scores = {
        (dy, dx): correlation(
            middle,
            reference[reach - dy : height - reach - dy, reach - dx : width - reach - dx],
        )
        for dy in range(-reach, reach + 1)
        for dx in range(-reach, reach + 1)
    }
    return max(scores, key=scores.get)


def window(shape, motion):
    """A bell over the frame that goes with the motion: (height, width)."""
    bells = []
    for size, moved in zip(shape, motion):
        t = (np.arange(size) + 0.5 - moved) / size
        bells.append(np.where((t > 0) & (t < 1), np.sin(np.pi * t) ** 2, 0))
    return np.outer(*bells)


def remaining_motion(reference, frame, stated):
    """What the stated motion leaves: slope of the phase of the cross-spectrum, (dy, dx) [px]."""
    first = np.fft.fft2((reference - reference.mean()) * window(frame.shape, (0, 0)))
    second = np.fft.fft2((frame - frame.mean()) * window(frame.shape, stated))
    fy, fx = np.meshgrid(*(np.fft.fftfreq(n) for n in frame.shape), indexing="ij")
    cross = np.conj(first) * second * np.exp(2j * np.pi * (fy * stated[0] + fx * stated[1]))
    band = (np.hypot(fy, fx) > 0.05) & (np.hypot(fy, fx) < 0.2)  # above the vignette, below noise
    weight = np.abs(cross[band])
    design = -2 * np.pi * np.stack([fy[band], fx[band]], axis=1) * weight[:, None]
    return np.linalg.lstsq(design, np.angle(cross[band]) * weight, rcond=None)[0]


def test_the_scene_moves_by_the_stated_whole_pixels():
    displacement = [(0, 0), (3, -5), (-6, 2), (0, 6), (-1, 0)]
    movie, stated = simulate_movie(len(displacement), 120, 150, displacement=displacement, cells=0)
    assert np.array_equal(stated, displacement)
    found = [integer_motion(movie[0], frame, reach=7) for frame in movie]
    assert found == displacement


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_scene_moves_by_the_stated_fractions_of_a_pixel(seed):
    motion = np.array([(0, 0), (0.5, 0), (0, -0.25), (0.37, 0.71), (-0.9, 0.1), (4.5, -7.3)])
    repeats, height, width = 25, 128, 135  # frames at each position, averaged against noise
    movie, _ = simulate_movie(
        repeats * len(motion), height, width, seed, np.float32,
        displacement=motion.repeat(repeats, axis=0), cells=0,
    )  # fmt: skip
    means = movie.reshape(-1, repeats, height, width).mean(axis=1)
    left = [remaining_motion(means[0], mean, stated) for mean, stated in zip(means, motion)]
    assert np.abs(left).max() < PHASE_TOLERANCE


def test_nothing_wraps_into_the_frame():
    height, repeats = 90, 10
    motion = np.array([(0, 0), (height, 0), (-height, 0), (0, 0)]).repeat(repeats, axis=0)
    movie, _ = simulate_movie(len(motion), height, 80, displacement=motion, cells=0)
    means = movie.reshape(-1, repeats, height, 80).mean(axis=1)
    details = means[:, 4:] - means[:, :-4]  # without the vignette, which all have in common
    unrelated = [correlation(details[0], details[k]) for k in (1, 2)]
    assert np.abs(unrelated).max() < UNRELATED_CORRELATION
    assert correlation(details[0], details[3]) > SAME_CORRELATION


def test_the_vignette_stays_with_the_sensor():
    movie, _ = simulate_movie(2, 100, 120, displacement=[(0, 0), (30, -40)])
    for frame in movie.astype(float):
        ends = (slice(15), slice(-15, None))
        corners = [frame[y, x].mean() for y in ends for x in ends]
        assert max(corners) < frame[35:65, 40:80].mean()


def test_cells_flash():
    still = np.zeros((60, 2))
    with_cells = simulate_movie(60, 64, 64, dtype=np.float32, displacement=still, cells=10).movie
    without = simulate_movie(60, 64, 64, dtype=np.float32, displacement=still, cells=0).movie
    assert np.ptp(with_cells.mean(axis=(1, 2))) > 3 * np.ptp(without.mean(axis=(1, 2)))


def test_the_same_seed_gives_the_same_movie():
    one, two, other = (simulate_movie(20, 33, 47, seed) for seed in (5, 5, 6))
    assert np.array_equal(one.movie, two.movie)
    assert np.array_equal(one.displacement, two.displacement)
    assert not np.array_equal(one.displacement, other.displacement)


def test_the_default_motion_walks_and_jumps_within_its_limit():
    _, displacement = simulate_movie(200, 8, 8, limit=6.0)
    assert np.array_equal(displacement[0], [0, 0])
    assert np.abs(displacement).max() <= 6.0
    steps = np.abs(np.diff(displacement, axis=0)).max(axis=1)
    assert np.median(steps) < 1 < 3 < steps.max()
    assert np.any(displacement % 1 != 0)


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [(np.uint8, 40, 100), (np.uint16, 640, 1600), (np.float32, 40, 100)]
)
@pytest.mark.parametrize("shape", [(3, 40, 50), (2, 31, 37), (1, 1, 20), (2, 1, 1)])
def test_shapes_and_pixel_types(shape, dtype, low, high):
    movie, displacement = simulate_movie(*shape, dtype=dtype)
    assert movie.shape == shape
    assert movie.dtype == dtype
    assert displacement.shape == (shape[0], 2)
    assert displacement.dtype == np.float64
    if movie.size > 1000:
        assert low < movie.mean() < high


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"frames": 0}, "frames"),
        ({"height": 0}, "height"),
        ({"width": -1}, "width"),
        ({"cells": -1}, "cells"),
        ({"limit": -1}, "limit"),
        ({"limit": float("nan")}, "limit"),
        ({"dtype": np.int32}, "dtype"),
        ({"frames": 3, "displacement": np.zeros((2, 2))}, "displacement"),
        ({"frames": 1, "displacement": [(0, np.inf)]}, "displacement"),
    ],
)
def test_a_bad_argument_is_named(arguments, named):
    with pytest.raises(ValueError, match=f"^{named}: expected"):
        simulate_movie(**arguments)


def test_residual_motion_is_free_of_one_constant_per_axis():
    displacement = np.random.default_rng(0).normal(0, 5, (50, 2))
    rms, largest = residual_motion(-displacement + (3.5, -2.0), displacement)
    assert rms <= largest < ROUNDING


def test_residual_motion_measures_what_is_left():
    rms, largest = residual_motion([(1, 0), (-1, 0)], np.zeros((2, 2)))
    assert rms == pytest.approx(np.sqrt(0.5))
    assert largest == 1


@pytest.mark.parametrize(
    ("shifts", "displacement"),
    [(np.zeros((3, 2)), np.zeros((4, 2))), (np.zeros(3), np.zeros(3)), (np.zeros((0, 2)),) * 2],
)
def test_residual_motion_refuses_other_shapes(shifts, displacement):
    with pytest.raises(ValueError, match="^shifts"):
        residual_motion(shifts, displacement)
