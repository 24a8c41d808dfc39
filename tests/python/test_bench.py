# SPDX-License-Identifier: GPL-3.0-or-later
"""What the accuracy page rests on: its movies, its bound, and that pages say what was measured."""

import importlib
import json
import sys
import time

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
# Of a field's largest difference: it is sought at one position in 8. Measured 0.05.
NODES = 0.1
# The lattice between its positions, at the border, where its spline ends; slopes of 0.03, three
# times those of the measured movie. Measured 9e-4.
LATTICE_PX = 2e-3
# Processor time of a stage that does something, in the test of the meter.
BUSY_S = 0.05


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


@pytest.mark.parametrize(
    "what, when",
    [("rotation_deg", "drift"), ("field_px", "drift"), ("field_px", "always"), ("row_px", "drift")],
)
def test_the_stated_motion_is_the_mean_over_the_frame(what, when):
    bent = scene(**{what: 2.0}, when=when)
    field = bent._field(3, bent._grid, bent._path[3].mean(axis=0))
    assert np.ptp(field, axis=(1, 2)).max() > 1
    np.testing.assert_allclose(field.mean(axis=(1, 2)), bent.displacement[3], atol=ROUNDING)


def test_a_field_that_is_always_there_changes_and_reaches_its_strength_once():
    bent = scene(field_px=2.0, when="always", frames=30)
    fields = bent.fields(*map(np.arange, bent._grid.shape[1:]))
    np.testing.assert_allclose(fields.mean(axis=(1, 2)), bent.displacement, atol=ROUNDING)
    strength = np.ptp(fields, axis=(1, 2)).max(axis=-1)
    assert np.isclose(strength.max(), 2.0, rtol=NODES)
    assert (strength > 0.2).all()
    local = fields - fields.mean(axis=(1, 2), keepdims=True)
    assert np.abs(local[20] - local[10]).max() > 0.2
    assert bent.affected.all()


def test_fields_are_compared_at_positions_of_the_template():
    from accuracy import field_error

    extent = (320, 400)
    lattice = np.stack(np.meshgrid(*field_error.lattice(extent), indexing="ij"), axis=-1)
    slope, shift = np.array([[0.02, -0.01], [0.015, 0.03]]), np.array([[1.5, -2.0], [0.5, 3.0]])
    motion = lattice @ slope.T + shift[:, None, None]
    y, x = field_error.positions(extent)
    assert (y[0], y[-1], x[0], x[-1]) == (64, 240, 64, 320)
    at = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)
    # U = D(q + U) of a linear D.
    expected = (at @ slope.T + shift[:, None, None]) @ np.linalg.inv(np.eye(2) - slope).T
    found = field_error.of_template(motion, y, x)
    np.testing.assert_allclose(found, expected, atol=LATTICE_PX)


def test_of_fields_the_shape_of_the_template_is_free_and_shifts_are_not_local():
    from accuracy.field_error import field_error_px

    rng = np.random.default_rng(2)
    motion = rng.standard_normal((5, 6, 7, 2))
    shape, shift = rng.standard_normal((6, 7, 2)), rng.standard_normal((5, 1, 1, 2))
    free = field_error_px(shape - motion, motion)
    assert max(free.values()) < ROUNDING
    off = field_error_px(shift - motion, motion)
    assert off["local"] < ROUNDING
    assert np.isclose(off["total"], np.sqrt(np.mean((shift - shift.mean(axis=0)) ** 2)))


def test_between_centres_of_patches_fields_are_linear():
    from accuracy.field_programs import _between_centres, _patch_centres

    rows, columns = _patch_centres(608, 96, 32), _patch_centres(300, 96, 32)
    assert rows.tolist() == [63.5, 159.5, 255.5, 351.5, 447.5, 543.5]
    assert columns.tolist() == [63.5, 159.5, 235.5]

    def linear(y, x):
        y, x = np.meshgrid(y, x, indexing="ij")
        return np.stack([2 * y - x, y + 3 * x], axis=-1)[None]

    y, x = np.array([63.5, 100.0, 500.0]), np.array([70.0, 235.5])
    field = _between_centres(linear(rows, columns), rows, columns)
    np.testing.assert_allclose(field(y, x), linear(y, x))
    np.testing.assert_allclose(field([0.0], [300.0]), field(rows[:1], columns[-1:]))


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


def test_a_recording_in_files_is_the_movie_forth_and_back(tmp_path):
    pytest.importorskip("av")
    import stillscope
    from performance import recording

    pixels = np.random.default_rng(5).integers(0, 256, (5, 32, 48), np.uint8)
    path = np.arange(10.0).reshape(5, 2)
    np.save(tmp_path / "uint8.npy", pixels)
    np.save(tmp_path / "displacement.npy", path)
    assert recording.write(str(tmp_path), 3, 4)["written"] == 4
    assert recording.write(str(tmp_path), 3, 4)["written"] == 0  # they are kept

    order = [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]
    with stillscope.open_movie(recording.paths(str(tmp_path), 3, 4)) as movie:
        np.testing.assert_array_equal(movie[:], pixels[order])
    some = np.array([0, 5, 11])
    np.testing.assert_array_equal(recording.frames(str(tmp_path), some), pixels[[0, 3, 3]])
    np.testing.assert_array_equal(recording.displacement(str(tmp_path), 12), path[order])


def test_processor_time_goes_to_the_stage_that_took_it():
    from performance.watch import stage_meter

    meter = stage_meter()
    for name in ("estimate 1", "estimate 2", "write"):
        with meter.stage(name, 10) as advance:
            advance(10)
            end = time.process_time() + (BUSY_S if name.startswith("estimate") else 0)
            while time.process_time() < end:
                pass
    assert meter.begun == {"estimate": 2, "write": 1}
    assert meter.processor_s["estimate"] > BUSY_S > meter.processor_s["write"]


def file_run(frames, **changes):
    times = {"decode": 8.0, "estimate": 2.0, "write": 1.0, "report": 1.0}
    run = {
        "frames": frames, "files": 2, "readings": 3, "seconds": 12.5, "timings": times,
        "processor_s": times, "peak_mb": 400.0, "decoder_peak_mb": 60.0, "decoders": 2,
        "others_cores": 0.0, "error_px": {"rms": 0.01, "max": 0.02}, "movie_bytes": 1000,
        "versions": {},
    }  # fmt: skip
    return run | changes


def file_section(decode_ms, **changes):
    from performance.file_section import FLOORS
    from performance.files import summary

    ms = {"median": 0.1, "low": 0.1, "high": 0.1, "runs": 1}
    floors = {name: dict(ms) for name in FLOORS} | {"frame_bytes": 360960, "at_once": 2}
    floors["decode"]["median"] = decode_ms
    return {
        "cores": 2, "memory_mb": 1000, "load": 0.25, "file_frames": 1000, "file_bytes": 1e8,
        "floors": floors, "runs": [summary([file_run(1000, **changes)])],
    }  # fmt: skip


def test_of_several_runs_the_page_has_the_median_and_the_highest_memory():
    from performance.files import summary

    found = ((11, 410), (19, 400), (12, 405))
    row = summary([file_run(1000, seconds=seconds, peak_mb=peak) for seconds, peak in found])
    assert row["seconds"] == {"median": 12, "low": 11, "high": 19, "runs": 3}
    assert row["stages_ms"]["decode"]["median"] == 8.0  # of 1000 frames
    assert row["peak_mb"] == 410


def test_what_the_page_says_of_files_follows_from_the_results():
    from performance.file_section import files

    results = {"extent": [480, 752], "movie": {"frames": 1000}}
    text = " ".join(files(file_section(decode_ms=6.0), results)[1].split())
    assert "The bottleneck is the stage decode" in text
    assert "Computing is not" in text
    assert "within the budget of 1000 MB" in text
    assert "not quiet" not in text

    slow = {"decode": 1.0, "estimate": 8.0, "write": 1.0, "report": 1.0}
    section = file_section(1.0, timings=slow, processor_s=slow, peak_mb=1001.0, others_cores=1.5)
    text = " ".join(files(section, results)[1].split())
    assert "The bottleneck is the stage estimate" in text
    assert "Computing is more than decoding" in text
    assert "above the budget of 1000 MB" in text
    assert "not quiet" in text


@pytest.mark.parametrize("name, images", [("accuracy", "accuracy"), ("performance", "images")])
def test_pages_are_what_their_results_make_them(name, images):
    docs = ROOT / "docs"
    page = importlib.import_module(f"{name}.page")
    results = json.loads((docs / name / "results.json").read_text())
    assert page.render(results, docs / images) == (docs / f"{name}.md").read_text()
