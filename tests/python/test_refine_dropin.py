# SPDX-License-Identifier: GPL-3.0-or-later
"""`refine=` of the drop-in: the native estimate's shifts, in the drop-in's dims, lazily."""

import threading

import numpy as np
import pytest
from support import as_dtype, broken_frames, error_of, moving_movie, wrap

import stillscope
from stillscope import _source

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
xr = pytest.importorskip("xarray")

FRAMES = 60
# RMS error against the known motion, px. Measured 0.0174, without refinement 0.096.
TRUTH_RMS = 0.03


@pytest.fixture(scope="module")
def recording():
    frames, displacement = moving_movie(FRAMES, seed=41)
    return frames.astype("f4"), displacement


@pytest.fixture(scope="module")
def movie(recording):
    return recording[0]


@pytest.fixture(scope="module")
def native(movie):
    return stillscope.estimate_motion(movie).shifts


# --- the shifts -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("synchronous")
@pytest.mark.parametrize("chunk", [7, 40, FRAMES, None])
def test_the_shifts_are_those_of_the_native_estimate(ours, movie, native, chunk):
    shifts = ours.estimate_motion(wrap(movie, chunk), refine=3)
    assert shifts.values.tobytes() == native.tobytes()


@pytest.mark.usefixtures("synchronous")
@pytest.mark.parametrize("dtype", ["u1", ">u2", "i4", "f8", "?"])
def test_dtypes(ours, movie, dtype):
    frames = as_dtype(movie, dtype)
    expected = stillscope.estimate_motion(frames, refine=1).shifts
    shifts = ours.estimate_motion(wrap(frames, 25), refine=1)
    assert shifts.dtype == np.float64 and shifts.values.tobytes() == expected.tobytes()


@pytest.mark.usefixtures("synchronous")
def test_they_are_far_nearer_to_the_known_motion(ours, recording):
    frames, displacement = recording
    varr = wrap(frames, 15)
    refined = error_of(ours.estimate_motion(varr, refine=3).values, displacement)[0]
    plain = error_of(ours.estimate_motion(varr).values, displacement)[0]
    assert refined <= TRUTH_RMS and refined < plain / 2


@pytest.mark.usefixtures("synchronous")
def test_options_are_those_of_the_native_estimate(ours, movie):
    bad = [3, 20]
    mask = np.ones(movie.shape[1:], bool)
    mask[:30, :40] = False
    options = {"max_shift": 9, "bad_frames": bad, "mask": mask, "highpass": 24, "robust": 2}
    tree = {"npart": 4, "alt_error": None, "aggregation": "max", "slot_last": "second"}
    expected = stillscope.estimate_motion(movie, refine=2, chunk=20, **options, **tree).shifts
    shifts = ours.estimate_motion(
        wrap(movie, 25), refine=2, chunk_nfm=20, n_threads=2, upsample=50, niter=3, **options,
        **tree,
    )  # fmt: skip
    assert shifts.values.tobytes() == expected.tobytes()


@pytest.mark.usefixtures("synchronous")
def test_a_preset_holds_for_the_estimate_alone(ours, movie):
    options = {"preset": "miniscope", "region": np.s_[4:-4, :]}
    expected = stillscope.estimate_motion(movie, **options).shifts
    shifts = ours.estimate_motion(wrap(movie, 20), refine=3, **options)
    assert shifts.values.tobytes() == expected.tobytes()


@pytest.mark.usefixtures("synchronous")
def test_npart_none(ours, movie):
    expected = stillscope.estimate_motion(movie, npart=4).shifts  # the root of 60 / 4
    shifts = ours.estimate_motion(wrap(movie, 4), npart=None, refine=3)
    assert shifts.values.tobytes() == expected.tobytes()


@pytest.mark.usefixtures("synchronous")
def test_a_frame_without_a_finite_pixel_moves_as_its_neighbours_do(ours, movie):
    frames = movie.copy()
    frames[17] = np.nan
    with pytest.warns(UserWarning, match="1 without any finite pixel"):
        shifts = ours.estimate_motion(wrap(frames, 20), refine=1).values
    np.testing.assert_allclose(shifts[17], 0.5 * (shifts[16] + shifts[18]), atol=1e-12)


@pytest.mark.usefixtures("synchronous")
def test_without_it_nothing_changes(ours, movie):
    varr = wrap(movie, 20)
    assert (
        ours.estimate_motion(varr, refine=0).values.tobytes()
        == ours.estimate_motion(varr).values.tobytes()
    )


# --- the DataArray --------------------------------------------------------------------------------


@pytest.mark.usefixtures("synchronous")
@pytest.mark.parametrize("chunk", [20, None])
def test_dims_coords_and_laziness_are_those_without_it(ours, movie, chunk):
    labels = [f"frame-{i}" for i in range(FRAMES)]
    for dim, coords in (("frame", None), ("session", {"session": labels})):
        varr = wrap(movie, chunk, dim=dim, coords=coords, name="movie", attrs={"unit": "counts"})
        for given in (varr, varr.transpose("width", dim, "height")):
            plain = ours.estimate_motion(given, dim=dim)
            refined = ours.estimate_motion(given, dim=dim, refine=1)
            assert refined.chunks == plain.chunks and (refined.chunks is None) == (chunk is None)
            assert refined.name is None and refined.attrs == plain.attrs
            assert refined.dtype == plain.dtype and refined.dims == plain.dims == (dim, "shift_dim")
            assert refined.copy(data=plain.data).identical(plain)
            applied = ours.apply_transform(varr, refined)
            assert applied.shape == varr.shape and applied.chunks is not None


@pytest.mark.usefixtures("synchronous")
def test_chunks_inside_a_frame(ours, movie, native):
    varr = wrap(movie, 20).chunk({"height": 40, "width": 50})
    assert ours.estimate_motion(varr, refine=3).values.tobytes() == native.tobytes()


@pytest.mark.usefixtures("synchronous")
def test_nothing_is_computed_at_the_call(ours, movie):
    varr = broken_frames(movie, AssertionError("a block was computed"))
    shifts = ours.estimate_motion(varr, refine=1)
    with pytest.raises(AssertionError, match="computed"):
        shifts.compute()


def test_it_is_one_task_that_asks_for_no_memory_by_name(ours, movie):
    """Its reads may need what minian's plug-in gives out by name: it must not hold any."""
    utilities = pytest.importorskip("minian.utilities")
    shifts = ours.estimate_motion(wrap(movie, 7), refine=1)
    keys = [str(key) for key in dict(shifts.data.__dask_graph__())]
    assert sum("estimate_motion_refined" in key for key in keys) == 1
    assert len(keys) <= 3
    assert not any(name in key for name in utilities.ANNOTATIONS for key in keys)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_any_scheduler_will_do(ours, movie, native, scheduler):
    shifts = ours.estimate_motion(wrap(movie, 20), refine=3)
    assert shifts.compute(scheduler=scheduler).values.tobytes() == native.tobytes()


# --- reading --------------------------------------------------------------------------------------


@pytest.fixture
def counted(movie):
    """The movie on dask in chunks of 20 frames, and how often a chunk was computed."""
    lock, runs = threading.Lock(), []

    def block(frames):
        with lock:
            runs.append(len(frames))
        return frames

    frames = da.from_array(movie, chunks=(20, -1, -1)).map_blocks(block, dtype="f4", meta=movie[:0])
    return frames, runs


@pytest.mark.usefixtures("synchronous")
@pytest.mark.parametrize("chunk", [None, 1, 13, 20, 47])
def test_a_chunk_is_computed_once_a_reading(counted, movie, chunk):
    frames, runs = counted
    motion = stillscope.estimate_motion(frames, chunk=chunk)
    expected = stillscope.estimate_motion(movie, chunk=chunk)
    assert motion.shifts.tobytes() == expected.shifts.tobytes()
    assert runs == [20] * (3 * (1 + motion.stats["passes"]))


@pytest.mark.usefixtures("synchronous")
def test_a_chunk_that_is_too_large_to_keep_is_sliced(counted, native, monkeypatch):
    frames, runs = counted
    monkeypatch.setattr(_source, "_MOST_KEPT", 0)
    assert stillscope.estimate_motion(frames).shifts.tobytes() == native.tobytes()
    assert len(runs) > 3


@pytest.mark.usefixtures("synchronous")
def test_a_source_that_fails_says_so(ours, movie):
    varr = broken_frames(movie, OSError("the disk is gone"))
    with pytest.raises(OSError, match="the disk is gone"):
        ours.estimate_motion(varr, refine=1).compute()


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [20, None])
@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"refine": -1}, ValueError, "refine: expected at least 0, got -1"),
        ({"refine": 1.5}, TypeError, "refine: expected an integer, got 1.5"),
        ({"refine": True}, TypeError, "refine: expected an integer, got True"),
        ({"refine": 1, "mesh_size": (3, 3)}, ValueError, r"mesh_size: expected None .* got \(3, 3"),
        ({"refine": 1, "nonsense": 1}, TypeError, "unexpected keyword argument 'nonsense'"),
        ({"refine": 1, "chunk": 5}, TypeError, "unexpected keyword argument 'chunk'"),
        ({"refine": 1, "chunk_nfm": 0}, ValueError, "chunk_nfm: expected at least 1"),
        ({"refine": 1, "npart": 1}, ValueError, "npart: expected at least 2"),
        ({"refine": 1, "alt_error": -1}, ValueError, "alt_error: expected None or a number"),
        ({"refine": 1, "aggregation": "sum"}, ValueError, "aggregation: expected 'mean' or 'max'"),
        ({"refine": 1, "upsample": 0}, ValueError, "upsample: expected at least 1"),
        ({"refine": 1, "n_threads": 0}, ValueError, "n_threads: expected at least 1"),
        ({"refine": 1, "max_shift": -2}, ValueError, "max_shift: expected more than 0"),
        ({"refine": 1, "highpass": -2}, ValueError, "highpass: expected at least 0"),
        ({"refine": 1, "bad_frames": [99]}, ValueError, "bad_frames: expected indices of 60"),
        ({"refine": 1, "mask": np.ones((3, 4))}, ValueError, "mask: expected shape"),
        ({"max_shift": 5}, TypeError, "unexpected keyword argument 'max_shift'"),
    ],
)
def test_arguments_are_checked_at_the_call(ours, movie, chunk, options, error, match):
    with pytest.raises(error, match=match):
        ours.estimate_motion(wrap(movie, chunk), **options)


def test_further_dims_are_refused(ours, movie):
    varr = xr.concat([wrap(movie, 20), wrap(movie, 20)], "animal")
    with pytest.raises(ValueError, match="varr: expected dims 'frame', 'height' and 'width' alone"):
        ours.estimate_motion(varr, refine=1)
