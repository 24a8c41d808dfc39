# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests share: movies of known motion, wrapping them for dask, running the reference."""

import hashlib
import importlib
import json
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT.parent / "shared" / "data" / "wireless_corrupted.avi"

# Real dtypes beside the floats, and the grey levels that a movie in them spans.
INTEGER_LEVELS = {
    "i1": 120, "u1": 250, "i2": 4000, "u2": 4000, ">u2": 4000, "i4": 4000, "u4": 4000, "i8": 4000,
}  # fmt: skip


def import_quietly(name):
    """A module whose import warns (its own dependencies' deprecations), or a skip without it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(name.partition(".")[0])
        return importlib.import_module(name)


def quietly(call, *args, **kwargs):
    """The call's result; its warnings (the reference's, third parties') are not our subject."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args, **kwargs)


def texture(height, width, seed, sigma=2.0):
    """Periodic band-limited noise: (height, width), mean 0, standard deviation 1."""
    noise = np.random.default_rng(seed).standard_normal((height, width))
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    response = np.exp(-2 * np.pi**2 * sigma**2 * (fy**2 + fx**2))
    response[0, 0] = 0
    field = np.fft.irfft2(np.fft.rfft2(noise) * response, s=(height, width))
    return field / field.std()


def fourier_shift(image, dy, dx):
    """A periodic image moved by (dy, dx) px, exactly."""
    height, width = image.shape
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    phase = np.exp(-2j * np.pi * (dy * fy + dx * fx))
    return np.fft.irfft2(np.fft.rfft2(image) * phase, s=(height, width))


def random_walk(n, limit, rng):
    path = np.zeros((n, 2))
    for t in range(1, n):
        path[t] = np.clip(path[t - 1] + rng.normal(0, 0.8, 2), -limit, limit)
    return path


def moving_movie(n, height=96, width=120, seed=0, limit=5.0, noise=0.02):
    """A scene that moves by a random walk: float64 (frame, height, width) of 0 to 250, and its
    displacement (frame, 2) px. Nothing wraps into the frame; a vignette stays with the sensor."""
    rng = np.random.default_rng(seed + 1000)
    margin = int(limit) + 3
    canvas = texture(height + 2 * margin, width + 2 * margin, seed)
    displacement = random_walk(n, limit, rng)
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    light = np.exp(-0.8 * (y**2 + x**2))
    frames = []
    for dy, dx in displacement:
        scene = fourier_shift(canvas, dy, dx)[margin : margin + height, margin : margin + width]
        frames.append((1 + 0.3 * scene) * light + noise * rng.standard_normal((height, width)))
    movie = np.clip(np.stack(frames), 0, 2)
    return movie / movie.max() * 250, displacement


def as_dtype(movie, dtype):
    """A movie of 0 to 250 in this dtype, integers over their usual grey levels."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return movie > np.median(movie)
    if dtype.kind == "f":
        return movie.astype(dtype)
    return np.rint(movie * (INTEGER_LEVELS[dtype.str.lstrip("|<=")] / 250)).astype(dtype)


def wrap(movie, chunk=None, dim="frame", **options):
    """A DataArray over a private copy (the reference writes to its input); lazy with `chunk`."""
    import dask.array as da
    import xarray as xr

    data = np.array(movie, order="C")
    if chunk is not None:
        data = da.from_array(data, chunks=(chunk, -1, -1))
    return xr.DataArray(data, dims=[dim, "height", "width"], **options)


def error_of(shifts, displacement):
    """RMS and largest error [px] of a correction, one constant per axis removed."""
    error = shifts + displacement
    error = error - error.mean(axis=0)
    return float(np.sqrt((error**2).mean())), float(np.abs(error).max())


def bilinear(frame, shift, fill):
    """Naive reference: a frame moved by `shift`, in float64, samples outside are `fill`. A sample
    of weight zero is not read."""
    height, width = frame.shape
    if not np.isfinite(shift).all():
        return np.full(frame.shape, float(fill))
    out = np.empty(frame.shape)
    shift = np.asarray(shift, np.float32).astype(float)
    for y in range(height):
        for x in range(width):
            value = 0.0
            top, left = int(np.floor(y - shift[0])), int(np.floor(x - shift[1]))
            for i in (top, top + 1):
                for j in (left, left + 1):
                    weight = (1 - abs(y - shift[0] - i)) * (1 - abs(x - shift[1] - j))
                    if weight == 0:
                        continue
                    inside = 0 <= i < height and 0 <= j < width
                    value += weight * (float(frame[i, j]) if inside else fill)
            out[y, x] = value
    return out


def read_recording():
    """The real recording, (frame, height, width) uint8; skips where it can't be had."""
    if not RECORDING.exists():
        pytest.skip(f"the recording {RECORDING.name} is not here")
    cv2 = pytest.importorskip("cv2")
    capture, frames = cv2.VideoCapture(str(RECORDING)), []
    while True:
        ok, frame = capture.read()
        if not ok:
            return np.stack(frames)
        frames.append(frame[..., 0])


def digest(folder):
    """Of every file below a folder, by its path, but for reports, which have dates in them."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.endswith(".report.html")
    }


def broken_frames(movie, error):
    """The movie as a DataArray of chunks of which each, when it is made, raises this."""
    import dask.array as da
    import xarray as xr

    def broken(block):
        raise error

    frames = da.from_array(movie, chunks=(7, -1, -1))
    frames = frames.map_blocks(broken, dtype=movie.dtype, meta=movie[:0])
    return xr.DataArray(frames, dims=["frame", "height", "width"])


def in_new_process(code, *arguments, timeout=120, **environment):
    """The last line that the code prints in a new interpreter, from JSON."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])
