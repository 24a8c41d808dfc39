# SPDX-License-Identifier: GPL-3.0-or-later
"""What the accuracy page rests on: its movies, its bound, and that pages say what was measured."""

import importlib
import json
import sys

import numpy as np
import pytest
from support import ROOT

# Rounding of the transforms. Measured 3e-14 of the brightness.
ROUNDING = 1e-10
# A spline in place of the Fourier shift, of the brightness. Measured 2e-4.
SPLINE = 1e-3
# Scatter of the estimate that knows the scene, in the bound; 400 draws of two axes give 2.5 %.
SCATTER = 0.1
DRAWS = 400


@pytest.fixture(scope="module", autouse=True)
def bench():
    """The folder of the benchmarks on the path, where their own command has it."""
    pytest.importorskip("scipy")
    sys.path.insert(0, str(ROOT / "bench"))
    yield
    sys.path.remove(str(ROOT / "bench"))


def scene(**changes):
    from accuracy.recipe import Recipe
    from accuracy.scene import Scene

    return Scene(
        Recipe(**({"kind": "two-photon", "frames": 4, "height": 40, "width": 50} | changes))
    )


@pytest.mark.parametrize("kind", ["miniscope", "two-photon"])
def test_a_scene_moves_by_whole_pixels_exactly(kind):
    made = scene(kind=kind)
    light = made._vignette  # stays
    still, moved = made.clean(2) / light, made.clean(2, (3, -2)) / light
    np.testing.assert_allclose(moved[3:, :-2], still[:-3, 2:], atol=ROUNDING * still.max())


def test_motion_that_is_nearly_a_translation_is_the_translation():
    rigid, bent = scene(kind="miniscope"), scene(kind="miniscope", rotation_deg=1e-9)
    expected = rigid.clean(3)
    assert np.abs(bent.clean(3) - expected).max() < SPLINE * expected.max()


@pytest.mark.parametrize("what", ["rotation_deg", "field_px", "row_px"])
def test_the_stated_motion_is_the_mean_over_the_frame(what):
    bent = scene(**{what: 2.0})
    field = bent._field(3, bent._grid, bent._path[3].mean(axis=0))
    assert np.ptp(field, axis=(1, 2)).max() > 1
    np.testing.assert_allclose(field.mean(axis=(1, 2)), bent.displacement[3], atol=ROUNDING)


@pytest.mark.parametrize("kind", ["miniscope", "two-photon"])
def test_knowing_the_scene_one_is_as_exact_as_the_bound(kind):
    from accuracy.bound import shift_bound

    made = scene(kind=kind, frames=1, dtype="float32")
    rng = np.random.default_rng(0)
    clean, step = made.clean(0), 0.05
    slope = np.stack([
        (made.clean(0, a) - made.clean(0, -a)).ravel() / (2 * step) for a in step * np.eye(2)
    ])  # fmt: skip
    weighted = slope / made.variance(clean).ravel()
    frames = np.stack([made.record(rng, clean).ravel() for _ in range(DRAWS)]).astype(float)
    if kind == "miniscope":
        noise = frames - clean.ravel() - 6.0  # the pedestal
    else:
        noise = (frames - 200.0) / 80.0 - clean.ravel()
    found = np.linalg.solve(weighted @ slope.T, weighted @ noise.T)
    scatter = np.sqrt(np.mean(found**2))
    assert abs(scatter / shift_bound(made) - 1) < SCATTER


def test_the_mean_template_puts_frames_where_their_shifts_say():
    from common.template import mean_template

    y, x = np.mgrid[0:20, 0:30].astype(float)
    shifts = np.array([[0.0, 0.0], [2.25, -1.5], [-3.0, 4.75]])
    movie = np.stack([2 * (y + dy) + 3 * (x + dx) for dy, dx in shifts])
    inside = np.s_[6:-6, 6:-6]
    np.testing.assert_allclose(
        mean_template(movie, shifts)[inside], (2 * y + 3 * x)[inside], rtol=1e-6
    )


@pytest.mark.parametrize("name, images", [("accuracy", "accuracy"), ("performance", "images")])
def test_pages_are_what_their_results_make_them(name, images):
    docs = ROOT / "docs"
    page = importlib.import_module(f"{name}.page")
    results = json.loads((docs / name / "results.json").read_text())
    assert page.render(results, docs / images) == (docs / f"{name}.md").read_text()
