# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies for measuring errors: each frame without noise, what its noise is, and its true motion.

The tissue is band-limited on a periodic canvas larger than the frame, made by the same functions as
in :mod:`stillscope.simulate`. A Fourier shift moves it, which is exact; where the motion is no
translation, a cubic spline is sampled. Cells are Gaussians at their moved positions. What belongs
to the sensor (vignette, pedestal) stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage
from stillscope import simulate

from .recipe import Recipe

_MARGIN_PX = 24  # canvas beyond the largest displacement
_LEAST_MARGIN_PX = 64  # the same canvas, and with it the same scene, whatever the motion
_SUBSTEPS = 16  # positions of the scene during one exposure
_MOTION_HZ = 2.0  # of smooth motion in time: standard deviation of its spectrum
_SUDDEN = 10  # one frame in so many is affected
_FIELD_WAVES = 6
_FIELD_STEP, _FIELD_HOME = 0.25, 0.97  # random walk of a wave's weight, where fields change
_STEP, _HOME, _JITTER = 0.05, 0.97, 0.012  # random walk, in `reach`
_JUMP_EVERY = 40  # frames


@dataclass(frozen=True)
class _Kind:
    """What tells the two kinds of recordings apart; levels are those of an 8-bit camera."""

    tissue: float  # brightness of the tissue [levels or photons]
    clouds: float  # relative contrast of what is smooth, of fine texture, and of vessels
    texture: float
    vessels: float
    cell_area: float  # px**2 of the frame for each cell
    flash: float  # of an active cell, in `tissue`
    resting: float  # of a cell at rest, in `tissue`
    vignette: bool


_KINDS = {
    "miniscope": _Kind(95, 0.18, 0.05, 0.5, 2400, 0.22, 0.0, True),
    "two-photon": _Kind(1.6, 0.15, 0.22, 0.4, 1200, 2.0, 0.6, False),
}
# The miniscope: electrons a level, read noise [levels], pedestal [levels].
_ELECTRONS, _READ, _PEDESTAL = 12.0, 1.0, 6.0
# The two-photon microscope: counts without light, a photon's counts and their spread, read noise.
_ZERO, _PHOTON, _SPREAD, _DARK = 200.0, 80.0, 30.0, 25.0


class Scene:
    """A recipe's movie, frame by frame.

    Attributes
    ----------
    displacement : ndarray, shape (frame, 2)
        True motion of the scene [px]: where it is no translation, its mean over the frame.
    affected : ndarray of bool, shape (frame,)
        Frames in which something but a translation happens.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._kind = _KINDS[recipe.kind]
        rng = np.random.default_rng(recipe.seed)
        frames, h, w = recipe.frames, recipe.height, recipe.width
        motion, body, light, more = rng.spawn(4)

        self._path = _exposures(motion, recipe)  # (frame, substep, 2)
        reach = np.abs(self._path).max() + abs(np.deg2rad(recipe.rotation_deg)) * max(h, w) / 2
        needed = _MARGIN_PX + int(np.ceil(reach + recipe.field_px + 2 * recipe.row_px))
        self._margin = max(needed, _LEAST_MARGIN_PX)
        # What is beyond the margin costs less than an awkward size.
        shape = tuple(fft.next_fast_len(n + 2 * self._margin, real=True) for n in (h, w))
        self._spectrum = fft.rfft2(_tissue(body, shape, self._kind))
        self._frequency = fft.fftfreq(shape[0]), fft.rfftfreq(shape[1])
        self._shape, self._spline = shape, None

        cells = int(shape[0] * shape[1] / self._kind.cell_area)
        self._centre = body.uniform(-self._margin, np.array([h, w]) + self._margin, (cells, 2))
        self._sigma = body.uniform(3.0, 5.0, (cells, 1))
        strength = body.gamma(4.0, 0.25, (cells, 1)) * self._kind.tissue
        trace = simulate._activity(body, cells, frames)
        self._brightness = strength * (self._kind.resting + self._kind.flash * trace)

        left = 1 - recipe.bleached
        self._gain = left ** np.linspace(0, 1, frames) * recipe.light
        self._gain = self._gain * (1 + recipe.flicker * light.standard_normal(frames)).clip(0.2)
        self._vignette = simulate._vignette(h, w) if self._kind.vignette else 1.0
        self._grid = np.mgrid[0:h, 0:w].astype(float)

        self._amount = np.linspace(0, 1, frames)
        if recipe.when == "sudden":
            at = more.choice(frames, max(1, frames // _SUDDEN), replace=False)
            self._amount = np.isin(np.arange(frames), at).astype(float)
        elif recipe.when == "always":
            self._amount[:] = 1.0
        self._sign = np.where(more.random(frames) < 0.5, -1.0, 1.0)
        if recipe.when == "drift":
            self._sign[:] = 1.0
        self._waves = _Waves(more, recipe, self._amount) if recipe.field_px else None
        self._slope = more.standard_normal((frames, 2)) * recipe.row_px
        is_more = recipe.rotation_deg or recipe.blur_px or recipe.field_px
        self.affected = (self._amount > 0) & bool(is_more) | bool(recipe.row_px)
        self.displacement = self._path.mean(axis=1)
        if recipe.field_px:
            self._shapes = self._waves.shapes(self._grid)
            mean = self._waves.weights @ self._shapes.mean(axis=(1, 2))
            self.displacement = self.displacement + mean

    def fields(self, y, x) -> np.ndarray:
        """True displacement at positions of the frames.

        Parameters
        ----------
        y, x : ndarray
            Rows and columns [px].

        Returns
        -------
        ndarray, shape (frame, len(y), len(x), 2)
            How far the scene that is seen there has moved, (height, width) [px].
        """
        at = np.stack(np.meshgrid(y, x, indexing="ij")).astype(float)
        shifts = self._path.mean(axis=1)
        found = [self._field(t, at, shift) for t, shift in enumerate(shifts)]
        return np.moveaxis(np.stack(found), 1, -1)

    def clean(self, t: int, moved=(0.0, 0.0)) -> np.ndarray:
        """Frame `t` without noise, in levels or photons, with its scene moved by `moved` more."""
        recipe = self.recipe
        path = self._path[t] + moved
        blur = recipe.blur_px * self._amount[t]
        if recipe.is_rigid:
            tissue, places = self._shifted(path, blur), self._centre + path[:, None]
        else:
            tissue, places = self._warped(t, path.mean(axis=0))
        sigma = np.hypot(self._sigma, blur)
        bright = self._brightness[:, t : t + 1] * (self._sigma / sigma) ** 2 / len(places)
        scene = tissue
        for place in places:  # a round Gaussian is the outer product of two
            rows = np.exp(-0.5 * ((np.arange(recipe.height) - place[:, :1]) / sigma) ** 2)
            columns = np.exp(-0.5 * ((np.arange(recipe.width) - place[:, 1:]) / sigma) ** 2)
            scene = scene + (rows * bright).T @ columns
        return scene.clip(0) * self._vignette * self._gain[t]

    def _shifted(self, path, blur: float) -> np.ndarray:
        """The tissue at the mean of these positions."""
        fy, fx = (  # each position is an outer product, and so is the blur
            np.exp(-2j * np.pi * np.outer(at, f) - 2 * np.pi**2 * blur**2 * f**2)
            for at, f in zip(path.T, self._frequency)
        )
        moved = self._spectrum * (fy.T @ fx / len(path))
        return self._cropped(fft.irfft2(moved, s=self._shape))

    def _warped(self, t: int, shift):
        """The tissue and the centres of the cells under a motion that differs over the frame."""
        if self._spline is None:
            canvas = fft.irfft2(self._spectrum, s=self._shape)
            self._spline = ndimage.spline_filter(canvas, order=3, mode="grid-wrap")
        at = self._grid - self._field(t, self._grid, shift) + self._margin
        tissue = ndimage.map_coordinates(
            self._spline, at, order=3, prefilter=False, mode="grid-wrap"
        )
        place = self._centre.T
        for _ in range(5):  # where a cell lands: the fixed point of its displacement
            place = self._centre.T + self._field(t, place, shift)
        return tissue, place.T[None]

    def _field(self, t: int, at, shift) -> np.ndarray:
        """Displacement (2, ...) at positions (2, ...) of the frame."""
        recipe = self.recipe
        size = (len(at),) + (1,) * (at.ndim - 1)
        middle = (np.array([recipe.height, recipe.width]) - 1).reshape(size) / 2
        shift = np.reshape(shift, size)
        field = shift + np.zeros_like(at)
        if recipe.rotation_deg:
            angle = np.deg2rad(recipe.rotation_deg) * self._amount[t] * self._sign[t]
            y, x = at - middle  # of the frame: so the mean motion stays what it is
            cos, sin = np.cos(angle), np.sin(angle)
            field = field + np.stack([y - (cos * y - sin * x), x - (sin * y + cos * x)])
        if recipe.field_px:
            shapes = self._shapes if at is self._grid else self._waves.shapes(at)
            field = field + np.tensordot(self._waves.weights[t], shapes, 1)
        if recipe.row_px:  # later rows see the scene later
            late = (at[0] - middle[0]) / (recipe.height - 1)
            field = field + self._slope[t].reshape(size) * late
        return field

    def _cropped(self, canvas) -> np.ndarray:
        inside = (slice(self._margin, self._margin + n) for n in self._grid.shape[1:])
        return canvas[tuple(inside)]

    def variance(self, clean) -> np.ndarray:
        """Variance of a pixel's noise, in `clean`'s units squared, rounding included."""
        recipe = self.recipe
        if recipe.kind == "miniscope":
            read = (_READ * recipe.read_noise) ** 2
            found = (clean + _PEDESTAL) / _ELECTRONS + read
            return found + (1 / 12 if recipe.dtype != "float32" else 0)
        spread = 1 + (_SPREAD / _PHOTON) ** 2
        return spread * clean + ((_DARK * recipe.read_noise) ** 2 + 1 / 12) / _PHOTON**2

    def record(self, rng, clean) -> np.ndarray:
        """The frame as the camera gives it."""
        recipe = self.recipe
        if recipe.kind == "miniscope":  # so many electrons that their number is Gaussian
            shot = (clean + _PEDESTAL) / _ELECTRONS
            deviation = np.sqrt(shot + (_READ * recipe.read_noise) ** 2)
            out = clean + _PEDESTAL + deviation * rng.standard_normal(clean.shape)
        else:
            k = rng.poisson(clean)
            noise = rng.standard_normal((2, *clean.shape))
            out = _ZERO + _PHOTON * k + _SPREAD * np.sqrt(k) * noise[0]
            out = out + _DARK * recipe.read_noise * noise[1]
        if recipe.dtype == "float32":
            return out.astype(np.float32)
        return np.rint(out).clip(0, np.iinfo(recipe.dtype).max).astype(recipe.dtype)


class _Waves:
    """A smooth field of displacement a frame: a sum of waves longer than half a frame.

    Attributes
    ----------
    weights : ndarray, shape (frame, 2, wave)
        Of the waves, for each axis [px]; such that `field_px` is the largest difference within a
        frame.
    """

    def __init__(self, rng, recipe: Recipe, amount: np.ndarray) -> None:
        self._size = np.array([recipe.height, recipe.width])
        self._turns = rng.uniform(0.3, 0.9, (_FIELD_WAVES, 2))
        self._phase = rng.uniform(0, 2 * np.pi, (_FIELD_WAVES, 2))
        weights = rng.standard_normal((1, 2, _FIELD_WAVES))
        if recipe.when == "always":
            weights = _wandering(rng, weights[0], recipe.frames)
        shapes = self.shapes(np.mgrid[0 : recipe.height : 8, 0 : recipe.width : 8].astype(float))
        largest = max(np.ptp(np.tensordot(w, shapes, 1), axis=(1, 2)).max() for w in weights)
        self.weights = amount[:, None, None] * weights * (recipe.field_px / largest)

    def shapes(self, at) -> np.ndarray:
        """Each wave (wave, ...) at positions (2, ...) of the frame, between -1 and 1."""
        y, x = (
            np.cos(np.multiply.outer(2 * np.pi * turns / size, where) + phase.reshape(lead))
            for turns, size, where, phase, lead in zip(
                self._turns.T, self._size, at, self._phase.T, 2 * [(-1,) + (1,) * (at.ndim - 1)]
            )
        )
        return y * x


def _wandering(rng, start: np.ndarray, frames: int) -> np.ndarray:
    """A random walk of every number that is drawn home: (frame, ...), the first where it starts."""
    path = [start]
    for _ in range(frames - 1):
        path.append(_FIELD_HOME * path[-1] + rng.normal(0, _FIELD_STEP, start.shape))
    return np.stack(path)


def _tissue(rng, shape, kind: _Kind) -> np.ndarray:
    clouds = 1 + kind.clouds * simulate._random_field(rng, shape, 14)
    texture = 1 + kind.texture * simulate._random_field(rng, shape, 1.6)
    vessels = np.maximum(
        simulate._vessels(rng, shape, 45, 3.0), 0.5 * simulate._vessels(rng, shape, 22, 1.6)
    )
    scene = np.maximum(clouds * texture, 0.15) * (1 - kind.vessels * vessels)
    return kind.tissue * simulate._blur(scene, 1.2)


def _exposures(rng, recipe: Recipe) -> np.ndarray:
    """Positions of the scene during each exposure: (frame, substep, 2) [px]."""
    if not recipe.fps:
        return recipe.reach * _walk(rng, recipe.frames)[:, None]
    # White noise under a Gaussian in frequency; one that repeats after the movie is long enough.
    steps = recipe.frames * _SUBSTEPS
    frequency = fft.rfftfreq(steps, 1 / (recipe.fps * _SUBSTEPS))
    shape = np.exp(-0.5 * (frequency / _MOTION_HZ) ** 2) * (frequency > 0)
    noise = np.fft.rfft(rng.standard_normal((steps, 2)), axis=0)
    path = np.fft.irfft(noise * shape[:, None], n=steps, axis=0)
    path *= recipe.reach / np.sqrt(np.mean(path**2))
    return path.reshape(recipe.frames, _SUBSTEPS, 2)


def _walk(rng, frames: int) -> np.ndarray:
    """A random walk that is drawn home, jumps that die away, jitter: within -1 and 1."""
    path = np.zeros((frames, 2))
    jump = np.zeros(2)
    walk = np.zeros(2)
    for t in range(1, frames):
        walk = _HOME * walk + rng.normal(0, _STEP, 2)
        jump = 0.6 * jump
        if rng.random() < 1 / _JUMP_EVERY:
            angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.6)
            jump = size * np.array([np.sin(angle), np.cos(angle)])
        path[t] = walk + jump + rng.normal(0, _JITTER, 2)
    return path.clip(-1, 1)
