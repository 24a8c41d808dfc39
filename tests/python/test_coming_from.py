# SPDX-License-Identifier: GPL-3.0-or-later
"""The snippets of docs/coming-from.md, run as they stand on a movie whose motion is known."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support import ROOT, error_of, fourier_shift, import_quietly, quietly, texture

import stillscope

FRAMES, HEIGHT, WIDTH = 12, 90, 110
MARGIN = 8
# Largest difference of two corrected movies of 0 to 250. Measured 0 by whole-pixel shifts, 1.2e-4
# by others (minian's OpenCV against our kernel).
SAME = 1e-3
# Largest error [px] on this movie, which has no noise: ours, measured 0.003, and minian's, 0.56.
ESTIMATE = 0.01
MINIAN_ESTIMATE = 1.0
INSIDE = np.s_[:, MARGIN:-MARGIN, MARGIN:-MARGIN]  # where no shift brings in the border

PAGE = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
SNIPPETS = {
    code.split("\n", 1)[0].lstrip("# "): code
    for code in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
}


def run(title, **names):
    """The variables after a snippet, found by its first line."""
    (code,) = (code for name, code in SNIPPETS.items() if name.startswith(title))
    names = {"np": np, "stillscope": stillscope, **names}
    exec(compile(code, title, "exec"), names)
    return SimpleNamespace(**{k: v for k, v in names.items() if not k.startswith("_")})


@pytest.fixture(scope="module")
def scene():
    return 125 + 30 * texture(HEIGHT + 40, WIDTH + 40, seed=11)


@pytest.fixture(scope="module")
def displacement():
    """Whole pixels, so that every program can say it exactly; no two axes alike."""
    rng = np.random.default_rng(5)
    steps = rng.integers(-MARGIN + 2, MARGIN - 1, (FRAMES, 2))
    steps[0] = 3, -4
    return steps


@pytest.fixture(scope="module")
def movie(scene, displacement):
    frames = [fourier_shift(scene, *step)[20:-20, 20:-20] for step in displacement.astype(float)]
    return np.ascontiguousarray(frames, np.float32)


def assert_still(corrected):
    """Every frame shows the same scene, away from the border."""
    inside = np.asarray(corrected, float)[INSIDE]
    assert np.abs(inside - inside[0]).max() < SAME


def test_no_snippet_is_left_out():
    said = re.findall(r'"([^"\n]{12,})"', Path(__file__).read_text(encoding="utf-8"))
    for title in SNIPPETS:
        assert any(title.startswith(name) for name in said), title


def test_the_movie_moves_and_the_plain_api_finds_it(movie, displacement):
    with pytest.raises(AssertionError):
        assert_still(movie)
    assert error_of(stillscope.estimate_motion(movie).shifts, displacement)[1] < ESTIMATE
    assert_still(stillscope.apply_motion(movie, -displacement))


# --- minian ---------------------------------------------------------------------------------------


def test_shifts_of_minian(theirs, movie, displacement, tmp_path, monkeypatch):
    xr = pytest.importorskip("xarray")
    utilities = import_quietly("minian.utilities")
    monkeypatch.chdir(tmp_path)
    dims = ("frame", "height", "width")
    varr = xr.DataArray(movie, dims=dims, coords={"frame": np.arange(FRAMES)}).chunk(frame=6)
    motion = xr.DataArray(
        -displacement.astype(float), dims=("frame", "shift_dim"),
        coords={"frame": np.arange(FRAMES), "shift_dim": ["height", "width"]}, name="motion",
    )  # fmt: skip
    # That minian moves by such shifts as we do.
    moved = quietly(lambda: theirs.apply_transform(varr, motion.chunk(), fill=0).values)
    assert_still(moved)
    quietly(utilities.save_minian, motion.chunk(), dpath="minian", overwrite=True)
    given = run("minian -> stillscope", xr=xr, movie=movie)
    np.testing.assert_array_equal(given.shifts, -displacement)
    assert np.abs(given.corrected - moved)[INSIDE].max() < SAME
    # That those which it estimates itself have this sign.
    found = quietly(lambda: theirs.estimate_motion(varr, dim="frame").values)
    assert error_of(found, displacement)[1] < MINIAN_ESTIMATE


def test_our_shifts_for_minian(theirs, movie, displacement, tmp_path, monkeypatch):
    xr = pytest.importorskip("xarray")
    utilities = import_quietly("minian.utilities")
    monkeypatch.chdir(tmp_path)
    labels = np.arange(100, 100 + FRAMES)
    varr = xr.DataArray(movie, dims=("frame", "height", "width"), coords={"frame": labels}).chunk()
    given = quietly(
        run, "stillscope -> minian", varr_ref=varr, apply_transform=theirs.apply_transform,
        save_minian=utilities.save_minian,
    )  # fmt: skip
    assert error_of(given.motion.values, displacement)[1] < ESTIMATE
    moved = quietly(lambda: given.Y.values)
    expected = stillscope.apply_motion(movie, given.motion.values)
    assert np.abs(moved - expected)[INSIDE].max() < SAME
    saved = quietly(lambda: utilities.open_minian("minian")["motion"].values)
    np.testing.assert_array_equal(saved, given.motion)


# --- suite2p --------------------------------------------------------------------------------------


def suite2p_moves(movie, ops):
    """As suite2p moves frames (both 0.14 and 1.1)."""
    offsets = zip(movie, ops["yoff"], ops["xoff"])
    return np.stack([np.roll(frame, (-y, -x), axis=(0, 1)) for frame, y, x in offsets])


def test_shifts_of_suite2p(movie, displacement, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suite2p" / "plane0").mkdir(parents=True)
    ops = {"yoff": displacement[:, 0].astype("i4"), "xoff": displacement[:, 1].astype("i4")}
    assert_still(suite2p_moves(movie, ops))
    np.save("suite2p/plane0/ops.npy", ops)
    given = run("suite2p -> stillscope", movie=movie)
    assert np.abs(given.corrected - suite2p_moves(movie, ops))[INSIDE].max() < SAME


def test_our_shifts_for_suite2p(movie, displacement):
    motion = stillscope.estimate_motion(movie)
    given = run("stillscope -> suite2p", motion=motion, ops={})
    offset = given.ops["yoff"] - displacement[:, 0], given.ops["xoff"] - displacement[:, 1]
    for one in offset:  # whole pixels, but for where the scene comes to rest
        assert one.max() - one.min() <= 1
    assert given.ops["yoff"].dtype.kind == "i"


def test_the_binary_file_of_suite2p(movie, tmp_path, monkeypatch):
    pytest.importorskip("tifffile")
    pytest.importorskip("zarr")
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suite2p" / "plane0").mkdir(parents=True)
    frames = np.rint(movie).astype(np.int16)
    frames.tofile("suite2p/plane0/data_raw.bin")
    given = run("suite2p's binary file", ops={"nframes": FRAMES, "Ly": HEIGHT, "Lx": WIDTH})
    np.testing.assert_array_equal(given.movie, frames)
    assert given.result.open().dtype == np.int16


# --- CaImAn, jnormcorre ---------------------------------------------------------------------------


def test_shifts_of_caiman(movie, displacement):
    shifts = [tuple(step) for step in (-displacement).tolist()]
    given = run("CaImAn -> stillscope", mc=SimpleNamespace(shifts_rig=shifts), movie=movie)
    assert_still(given.corrected)
    back = run("stillscope -> CaImAn", mc=SimpleNamespace(), motion=stillscope.MotionEstimate(
        given.shifts, np.zeros((HEIGHT, WIDTH), np.float32)
    ))  # fmt: skip
    assert back.mc.shifts_rig == shifts


def test_the_memory_map_of_caiman(movie, tmp_path, monkeypatch):
    for module in ("tifffile", "zarr", "jinja2", "matplotlib"):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    for order in "FC":  # of its two kinds of files; pixels go column by column in both
        stored = np.memmap("map", np.float32, "w+", shape=(HEIGHT * WIDTH, FRAMES), order=order)
        stored[:] = movie.transpose(2, 1, 0).reshape(HEIGHT * WIDTH, FRAMES)
        given = run("CaImAn's memory map", Yr=stored, dims=(HEIGHT, WIDTH), T=FRAMES)
        np.testing.assert_array_equal(given.movie, movie)
        assert given.result.open().shape == movie.shape


def test_shifts_of_jnormcorre(movie, displacement):
    shifts = [np.array(step, "f4") for step in -displacement]
    corrector = SimpleNamespace(shifts_rig=shifts)
    given = run("jnormcorre -> stillscope", corrector=corrector, movie=movie)
    assert_still(given.corrected)
