# SPDX-License-Identifier: GPL-3.0-or-later
"""The dask graph: every kernel runs once, results are as declared, any scheduler will do."""

import math
import threading
from collections import Counter

import numpy as np
import pytest
from support import as_dtype, broken_frames, moving_movie, wrap

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
xr = pytest.importorskip("xarray")

HEIGHT, WIDTH = 32, 40


@pytest.fixture(scope="module")
def movie():
    return moving_movie(60, HEIGHT, WIDTH, seed=1)[0].astype("f4")


def kernel_runs(chunks, npart):
    """Chunks, and the nodes above them in groups of `npart`."""
    runs, level = chunks, chunks
    while level > 1:
        level = math.ceil(level / npart)
        runs += level
    return runs


@pytest.fixture
def counted(ours, monkeypatch):
    """The kernel, replaced by assignment as other code does: the items of every call."""
    calls, lock, kernel = [], threading.Lock(), ours.est_motion_chunk

    def counting(varr, sh_org, npart, alt_error, **kwargs):
        with lock:
            calls.append((np.ndim(varr), len(varr)))
        return kernel(varr, sh_org, npart, alt_error, **kwargs)

    monkeypatch.setattr(ours, "est_motion_chunk", counting)
    return calls


@pytest.mark.parametrize("chunks", [1, 4, 7, 20])
@pytest.mark.parametrize("npart", [2, 3])
@pytest.mark.parametrize("alt_error", [5, None])
@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_every_kernel_runs_once(ours, movie, counted, chunks, npart, alt_error, scheduler):
    frames = da.from_array(movie[: 3 * chunks], chunks=(3, -1, -1))
    temps, shifts = ours.est_motion_part(frames, npart, None, alt_error)
    assert counted == []  # lazy
    temps, shifts = dask.compute(temps, shifts, scheduler=scheduler)
    assert len(counted) == kernel_runs(chunks, npart)
    if alt_error:  # templates are told from frames by their slots
        assert sum(n for ndim, n in counted if ndim == 3) == 3 * chunks
        assert Counter(ndim for ndim, _ in counted)[4] == len(counted) - chunks
    assert shifts.shape == (3 * chunks, 2)


def test_the_whole_estimate_runs_every_kernel_once(ours, movie, counted):
    varr = xr.concat([wrap(movie, 3), wrap(movie[::-1], 3)], "animal")
    ours.estimate_motion(varr).compute(scheduler="threads")
    assert len(counted) == 2 * kernel_runs(20, 3)


@pytest.mark.parametrize("further", [("session",), ("animal", "session")])
def test_further_dims_stay_lazy_and_run_every_kernel_once(ours, movie, counted, further):
    shape = (2, 3)[-len(further) :]
    frames = movie[: 4 * math.prod(shape)].reshape(*shape, 4, HEIGHT, WIDTH)
    chunks = (*[1] * len(shape), 2, -1, -1)
    dims = [*further, "frame", "height", "width"]
    varr = xr.DataArray(da.from_array(frames, chunks=chunks), dims=dims)
    motion = ours.estimate_motion(varr)
    assert counted == []
    motion = motion.compute(scheduler="synchronous")
    assert len(counted) == math.prod(shape) * kernel_runs(2, 3)
    alone = varr[(-1,) * len(shape)]
    np.testing.assert_array_equal(motion[(-1,) * len(shape)], ours.estimate_motion(alone).compute())


def test_a_shorter_last_chunk_and_rechunking(ours, movie, counted):
    frames = da.from_array(movie, chunks=(7, 16, 40))
    ours.est_motion_part(frames, 3, None)[1].compute(scheduler="synchronous")
    assert sorted(n for d, n in counted if d == 3) == [4] + [7] * 8
    del counted[:]
    ours.est_motion_part(frames, 3, 25)[1].compute(scheduler="synchronous")
    assert sorted(n for d, n in counted if d == 3) == [10, 25, 25]


def test_all_frames_go_to_the_kernels_in_order(ours, movie, monkeypatch):
    seen, kernel = [], ours.est_motion_chunk

    def recording(varr, *args, **kwargs):
        if np.ndim(varr) == 3:
            seen.append(np.array(varr))
        return kernel(varr, *args, **kwargs)

    monkeypatch.setattr(ours, "est_motion_chunk", recording)
    ours.estimate_motion(wrap(movie, 7)).compute(scheduler="synchronous")
    seen.sort(key=lambda chunk: next(i for i, f in enumerate(movie) if np.array_equal(f, chunk[0])))
    np.testing.assert_array_equal(np.concatenate(seen), movie)


def keys_of(collection):
    return [str(k) for k in dict(collection.__dask_graph__())]


def test_key_names_that_schedulers_look_for(ours, movie):
    varr = wrap(movie, 7)
    shifts = ours.estimate_motion(varr)
    # minian's settings for dask, where it was imported, name the fused blocks by the kernel too.
    assert sum(key.startswith("est_motion_chunk") for key in keys_of(shifts.data)) == 9
    applied = ours.apply_transform(varr, shifts)
    assert sum("transform_perframe" in key for key in keys_of(applied.data)) >= 9
    plain = ours.apply_transform(varr, shifts.compute())
    assert sum("transform_perframe" in key for key in keys_of(plain.data)) >= 9
    # The optimised graph too: names of fused tasks keep them.
    (optimised,) = dask.optimize(applied.data)
    assert any("est_motion_chunk" in key for key in keys_of(optimised))
    assert any("transform_perframe" in key for key in keys_of(optimised))


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
@pytest.mark.parametrize("dtype", ["f4", "u1"])
def test_schedulers_give_bitwise_equal_results(ours, movie, scheduler, dtype):
    varr = wrap(as_dtype(movie, dtype), 7)
    shifts = ours.estimate_motion(varr)
    applied = ours.apply_transform(varr, shifts)
    reference = dask.compute(shifts, applied, scheduler="synchronous")
    options = {"num_workers": 2} if scheduler == "processes" else {"num_workers": 4}
    results = dask.compute(shifts, applied, scheduler=scheduler, **options)
    for result, expected in zip(results, reference):
        assert result.values.tobytes() == expected.values.tobytes()


@pytest.mark.usefixtures("synchronous")
def test_computing_twice_gives_the_same(ours, movie):
    varr = wrap(movie, 7)
    first, again = ours.estimate_motion(varr), ours.estimate_motion(varr)
    assert first.values.tobytes() == first.values.tobytes() == again.values.tobytes()


@pytest.mark.usefixtures("synchronous")
def test_lazy_in_lazy_out(ours, movie):
    varr = broken_frames(movie, AssertionError("a block was computed"))
    shifts = ours.estimate_motion(varr)
    assert shifts.chunks is not None
    for function in (ours.apply_transform, ours.apply_shifts):
        for motion in (shifts, xr.zeros_like(shifts).compute()):
            assert function(varr, motion, fill=0).chunks is not None
    with pytest.raises(AssertionError, match="computed"):
        shifts.compute()


@pytest.mark.usefixtures("synchronous")
def test_applying_to_a_movie_in_memory_is_lazy(ours, movie):
    shifts = ours.estimate_motion(wrap(movie))
    assert shifts.chunks is None
    for function in (ours.apply_transform, ours.apply_shifts):
        assert function(wrap(movie), shifts, fill=0).chunks is not None


@pytest.mark.usefixtures("synchronous")
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", ">f4", "u1", "i2", "?", "i8"])
@pytest.mark.parametrize("options", [{}, {"aggregation": "max"}, {"alt_error": None}], ids=str)
def test_declared_shapes_and_dtypes_are_true(ours, movie, dtype, options):
    frames = as_dtype(movie[:12], dtype)
    parts = ours.est_motion_part(da.from_array(frames, chunks=(5, -1, -1)), 3, None, **options)
    for lazy in parts:
        computed = lazy.compute()
        assert isinstance(computed, np.ndarray)
        assert lazy.shape == computed.shape
        assert lazy.dtype == computed.dtype == lazy._meta.dtype
    assert parts[0].shape == ((HEIGHT, WIDTH) if options.get("alt_error", 5) is None
                              else (3, HEIGHT, WIDTH))  # fmt: skip
    assert parts[1].dtype == np.float64
    varr = wrap(frames, 5)
    shifts = ours.estimate_motion(varr, **options)
    for lazy in (shifts, ours.apply_transform(varr, shifts), ours.apply_shifts(varr, shifts, 0)):
        computed = lazy.compute()
        assert lazy.shape == computed.shape and lazy.dtype == computed.dtype
        assert lazy.data._meta.dtype == computed.dtype
        for key, block in np.ndenumerate(lazy.data.to_delayed()):
            assert block.compute().shape == tuple(c[i] for c, i in zip(lazy.chunks, key))


@pytest.mark.usefixtures("synchronous")
def test_the_result_has_no_name(ours, movie):
    for varr in (wrap(movie, 7), wrap(movie), wrap(movie, 7, name="movie"), wrap(movie, name="m")):
        result = ours.estimate_motion(varr)
        assert result.name is None
        assert result.rename("motion").to_dataset().data_vars.keys() == {"motion"}


@pytest.mark.usefixtures("synchronous")
def test_chunks_inside_a_frame(ours, movie):
    whole, split = wrap(movie, 7), wrap(movie, 7).chunk({"height": 11, "width": 17})
    reference = ours.estimate_motion(whole).compute()
    shifts = ours.estimate_motion(split).compute()
    assert shifts.values.tobytes() == reference.values.tobytes()
    for function in (ours.apply_transform, ours.apply_shifts):
        np.testing.assert_array_equal(function(split, shifts), function(whole, shifts))


@pytest.mark.usefixtures("synchronous")
def test_chunks_of_nothing(ours, movie):
    frames = da.concatenate(
        [da.from_array(movie[:9], chunks=(4, -1, -1))[:0], da.from_array(movie[:9])]
    )
    irregular = da.from_array(movie[:9], chunks=((0, 4, 0, 5), HEIGHT, WIDTH))
    for data in (frames, irregular):
        varr = xr.DataArray(data, dims=["frame", "height", "width"])
        assert ours.estimate_motion(varr).compute().notnull().all()
