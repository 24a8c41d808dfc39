# SPDX-License-Identifier: GPL-3.0-or-later
"""Short calcium movies whose motion is known exactly: to try a correction and measure its error.

The scene is band-limited tissue on a periodic canvas that is larger than the frame. A Fourier
shift, which is exact for any sub-pixel amount, moves it, and it is cropped, so that nothing wraps
into the frame. Cells are Gaussians evaluated at their moved position. The vignette belongs to the
sensor and stays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_MARGIN_PX = 32  # canvas beyond the largest displacement, on each side
_TISSUE = 90.0  # mean brightness of the tissue [grey levels of 8 bit]
_PEDESTAL = 8.0  # brightness of the unlit sensor [grey levels of 8 bit]
_PHOTONS_PER_LEVEL = 12.0  # the shot noise of an 8-bit one-photon sensor
_SCALE = {"uint8": 1.0, "uint16": 16.0, "float32": 1.0}  # output units per 8-bit grey level


class SimulatedMovie(NamedTuple):
    """A movie and the motion that is in it.

    Attributes
    ----------
    movie : ndarray, shape (frame, height, width)
        The recording.
    displacement : ndarray of float64, shape (frame, 2)
        Motion of the scene (height, width) [px]: ``frame[t](x) = scene(x - displacement[t])``.
        The ideal correction is minus this, up to one constant per axis.
    """

    movie: np.ndarray
    displacement: np.ndarray


def simulate_movie(
    frames: int = 200,
    height: int = 300,
    width: int = 400,
    seed: int = 0,
    dtype=np.uint8,
    *,
    limit: float = 12.0,
    cells: int = 25,
    displacement=None,
) -> SimulatedMovie:
    """Simulate a one-photon recording of moving brain tissue.

    Parameters
    ----------
    frames, height, width : int
        Size of the movie, each at least 1 [px].
    seed : int
        Same seed, same arguments: same movie.
    dtype : {uint8, uint16, float32}
        Pixel type. uint16 is a 12-bit camera (16 times the grey levels); float32 is not rounded.
    limit : float
        Largest displacement along an axis [px], at least 0.
    cells : int
        Number of cells that flash, at least 0.
    displacement : array_like, shape (frame, 2), optional
        Motion to use instead of the random one: (height, width) [px], finite. `limit` is unused.

    Returns
    -------
    SimulatedMovie
        The movie and its displacement.

    Raises
    ------
    ValueError
        If an argument is out of its range or of the wrong shape.
    """
    for name, value, least in (
        ("frames", frames, 1), ("height", height, 1), ("width", width, 1), ("cells", cells, 0),
    ):  # fmt: skip
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")
    if not 0 <= limit < np.inf:
        raise ValueError(f"limit: expected a finite number of pixels, at least 0, got {limit}")
    dtype = np.dtype(dtype)
    if dtype.name not in _SCALE:
        raise ValueError(f"dtype: expected one of {', '.join(_SCALE)}, got {dtype.name}")

    rng = np.random.default_rng(seed)
    if displacement is None:
        displacement = _random_motion(rng, frames, limit)
    else:
        displacement = np.array(displacement, dtype=np.float64)
        if displacement.shape != (frames, 2) or not np.isfinite(displacement).all():
            raise ValueError(
                f"displacement: expected finite values of shape ({frames}, 2), "
                f"got shape {displacement.shape}"
            )

    margin = _MARGIN_PX + int(np.ceil(np.abs(displacement).max()))
    spectrum = np.fft.rfft2(_tissue(rng, (height + 2 * margin, width + 2 * margin)))
    centre = rng.uniform((0, 0), (height, width), (cells, 2))
    sigma = rng.uniform(2.5, 4.5, (cells, 1))
    brightness = rng.uniform(15, 45, (cells, 1)) * _activity(rng, cells, frames)
    light = _vignette(height, width)

    scale = _SCALE[dtype.name]
    movie = np.empty((frames, height, width), dtype)
    for t, (dy, dx) in enumerate(displacement):
        scene = _fourier_shift(spectrum, dy, dx, height + 2 * margin, width + 2 * margin)
        scene = scene[margin : margin + height, margin : margin + width]
        # A round Gaussian is the outer product of two, so all cells are one matrix product.
        rows = np.exp(-0.5 * ((np.arange(height) - centre[:, :1] - dy) / sigma) ** 2)
        columns = np.exp(-0.5 * ((np.arange(width) - centre[:, 1:] - dx) / sigma) ** 2)
        scene = scene + (rows * brightness[:, t : t + 1]).T @ columns
        level = np.maximum(scene, 0) * light + _PEDESTAL
        level = rng.poisson(level * _PHOTONS_PER_LEVEL) * (scale / _PHOTONS_PER_LEVEL)
        if dtype.kind == "u":
            level = np.rint(level).clip(0, np.iinfo(dtype).max)
        movie[t] = level
    return SimulatedMovie(movie, displacement)


def residual_motion(shifts, displacement) -> tuple[float, float]:
    """Error of a correction against the known motion.

    Parameters
    ----------
    shifts : array_like, shape (frame, 2)
        The correction (height, width) [px], added to the content's position.
    displacement : array_like, shape (frame, 2)
        The motion of the scene (height, width) [px].

    Returns
    -------
    rms, largest : float
        Root mean square and largest absolute error over frames and axes [px], after the mean error
        of each axis is removed: where the corrected scene comes to rest is free.

    Raises
    ------
    ValueError
        If the two are not both of shape (frame, 2).
    """
    shifts, displacement = np.asarray(shifts, float), np.asarray(displacement, float)
    if shifts.shape != displacement.shape or shifts.ndim != 2 or shifts.shape[1] != 2:
        raise ValueError(
            "shifts, displacement: expected the same shape (frame, 2), "
            f"got {shifts.shape} and {displacement.shape}"
        )
    if len(shifts) == 0:
        raise ValueError("shifts: expected at least one frame, got 0")
    error = shifts + displacement
    error = error - error.mean(axis=0)
    return float(np.sqrt(np.mean(error**2))), float(np.abs(error).max())


def _random_motion(rng, frames, limit):
    """Random walk that is drawn home, with a jump of 4 to 8 px every 50 frames or so."""
    step = rng.normal(0, 0.5, (frames, 2))
    for t in rng.choice(frames, frames // 50, replace=False):
        angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(4, 8)
        step[t] += size * np.sin(angle), size * np.cos(angle)
    path = np.zeros((frames, 2))
    for t in range(1, frames):
        path[t] = np.clip(0.96 * path[t - 1] + step[t], -limit, limit)
    return path


def _random_field(rng, shape, sigma):
    """White noise under a Gaussian of `sigma` px: periodic, mean 0, standard deviation 1."""
    field = _blur(rng.standard_normal(shape), sigma)
    field -= field.mean()
    return field / field.std()


def _blur(image, sigma):
    """Periodic Gaussian low-pass of `sigma` px, through the spectrum."""
    fy, fx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1])
    response = np.exp(-2 * np.pi**2 * sigma**2 * (fy**2 + fx**2))
    return np.fft.irfft2(np.fft.rfft2(image) * response, s=image.shape)


def _tissue(rng, shape):
    """Out-of-focus clouds, fine texture and dark vessels, band-limited: nothing left at Nyquist."""
    clouds = 1 + 0.06 * _random_field(rng, shape, 16) + 0.12 * _random_field(rng, shape, 2)
    vessels = np.maximum(_vessels(rng, shape, 28, 2.2), 0.6 * _vessels(rng, shape, 11, 1.4))
    return _TISSUE * _blur(np.maximum(clouds, 0.2) * (1 - 0.55 * vessels), 1.3)


def _vessels(rng, shape, spacing, radius):
    """Opacity in [0, 1] of winding lines: where a smooth random field crosses zero."""
    field = _random_field(rng, shape, spacing)
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])
    spectrum = 2j * np.pi * np.fft.rfft2(field)
    slope = np.hypot(*(np.fft.irfft2(spectrum * f, s=shape) for f in (fy, fx)))
    distance = field / np.maximum(slope, 1e-9)  # to the line [px], to first order
    return np.exp(-0.5 * (distance / radius) ** 2)


def _fourier_shift(spectrum, dy, dx, height, width):
    """The canvas of this half spectrum, moved by (dy, dx) px."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    phase = np.exp(-2j * np.pi * dy * fy) * np.exp(-2j * np.pi * dx * fx)
    return np.fft.irfft2(spectrum * phase, s=(height, width))


def _activity(rng, cells, frames):
    """Calcium transients, up at once and down over some ten frames: (cell, frame)."""
    spikes = (rng.random((cells, frames)) < 0.015) * rng.uniform(0.5, 1.0, (cells, frames))
    decay = np.exp(-1 / rng.uniform(8, 15, cells))
    trace = np.zeros((cells, frames))
    for t in range(frames):
        trace[:, t] = spikes[:, t] + (decay * trace[:, t - 1] if t else 0)
    return trace


def _vignette(height, width):
    """Relative illumination of the sensor, 1 near the middle and about a third in the corners."""
    y, x = np.linspace(-1, 1, height)[:, None] + 0.05, np.linspace(-1, 1, width) - 0.08
    return np.exp(-0.5 * (y**2 + x**2) * 1.05)
