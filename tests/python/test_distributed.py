# SPDX-License-Identifier: GPL-3.0-or-later
"""minian's own pipeline calls on a cluster of processes, with the drop-in in minian's place."""

import warnings

import numpy as np
import pytest
from support import import_quietly, moving_movie, quietly, wrap

import stillscope

xr = pytest.importorskip("xarray")
distributed = pytest.importorskip("distributed")

TIMEOUT = 60  # s, of a wait that takes well under one

# The cluster's own threads and processes warn of what is theirs (deprecated settings that minian
# makes, sockets left to the garbage collector).
pytestmark = pytest.mark.filterwarnings("ignore")

# Movies of known motion: what is left of it. Measured 0.13 px.
RESIDUAL_MAX = 0.5


@pytest.fixture(scope="module")
def mc():
    """`minian.motion_correction` after `install`."""
    import_quietly("minian.motion_correction")
    stillscope.install()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import minian.motion_correction as module
        assert module.__name__ == "stillscope.motion_correction"
        yield module
    finally:
        stillscope.uninstall()


@pytest.fixture(scope="module")
def client(mc):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, processes=True, resources={"MEM": 1},
            dashboard_address=None,
        ) as cluster, distributed.Client(cluster, timeout=TIMEOUT) as client:  # fmt: skip
            yield client


def computed(client, array):
    """The values by the cluster, and by this process alone."""
    future = client.compute(array)
    on_cluster = future.result(timeout=TIMEOUT)
    here = quietly(lambda: array.compute(scheduler="synchronous"))
    return on_cluster, here


@pytest.fixture(scope="module")
def recording():
    movie, displacement = moving_movie(40, 110, 140, seed=21)
    coords = {"frame": np.arange(40), "height": np.arange(110), "width": np.arange(140)}
    varr = wrap(movie.astype("u1"), 8, coords=coords, name="si_float")
    return varr, displacement


def test_estimate_on_a_crop_then_apply_to_the_full_frame(client, mc, recording):
    varr_ref, displacement = recording
    subset = {"height": slice(8, 101), "width": slice(5, 130)}
    motion = mc.estimate_motion(varr_ref.sel(subset), dim="frame")
    on_cluster, here = computed(client, motion)
    assert on_cluster.values.tobytes() == here.values.tobytes()

    motion = motion.persist()
    distributed.wait(motion, timeout=TIMEOUT)
    values = motion.transpose("frame", "shift_dim").values
    assert values.tobytes() == here.values.tobytes()
    residual = values + displacement
    assert np.abs(residual - residual.mean(axis=0)).max() < RESIDUAL_MAX

    renamed = motion.rename("motion").chunk({"frame": 8})
    assert renamed.name == "motion"
    corrected = mc.apply_transform(varr_ref, motion, fill=0)
    assert corrected.shape == varr_ref.shape and corrected.dtype == np.uint8
    assert corrected.name == "si_float" and corrected.chunks == varr_ref.chunks
    on_cluster = client.compute(corrected).result(timeout=TIMEOUT)
    here = quietly(
        lambda: mc.apply_transform(varr_ref, here, fill=0).compute(scheduler="synchronous")
    )
    assert on_cluster.values.tobytes() == here.values.tobytes()
    projection = corrected.max("frame").compute().values
    np.testing.assert_array_equal(projection, here.max("frame").values)
    assert here.astype(float).std("frame")[10:-10, 10:-10].mean() < (
        varr_ref.compute().astype(float).std("frame")[10:-10, 10:-10].mean()
    )


def test_non_finite_frames_on_the_cluster(client, mc, recording):
    varr = recording[0].astype("f4")
    varr = varr.where(varr.frame != 17)
    motion = client.compute(mc.estimate_motion(varr)).result(timeout=TIMEOUT)
    assert np.isnan(motion.values).any(axis=1).tolist() == [i == 17 for i in range(40)]


@pytest.fixture(scope="module")
def sessions():
    """Five templates of one scene, the fourth of which is missing; units at home in each."""
    movie, displacement = moving_movie(5, 96, 112, seed=22)
    labels = [f"day-{k}" for k in (3, 1, 4, 15, 9)]
    temps = wrap(movie, 5, dim="session", coords={"session": labels})
    temps = temps.where(temps.session != "day-15")
    rng = np.random.default_rng(23)
    footprints = np.zeros((5, 7, 96, 112))
    y, x = np.mgrid[:96, :112]
    for unit, (cy, cx) in enumerate(rng.uniform(25, 70, (7, 2))):
        for session, (dy, dx) in enumerate(displacement):
            r2 = (y - cy - dy) ** 2 + (x - cx - dx) ** 2
            footprints[session, unit] = np.exp(-r2 / 18)
    footprints[2, 4] = footprints[0, 6] = np.nan
    units = xr.DataArray(
        footprints,
        dims=["session", "unit_id", "height", "width"],
        coords={"session": labels, "unit_id": [2, 3, 5, 7, 11, 13, 17]},
        name="A",
    ).chunk({"session": 1, "unit_id": 4, "height": 50})
    return temps, units, displacement


def test_cross_registration(client, mc, sessions):
    temps, units, displacement = sessions
    shifts = quietly(mc.estimate_motion, temps, dim="session")
    assert shifts.dims == ("session", "shift_dim")
    shifts = shifts.compute()
    assert shifts.session.values.tolist() == temps.session.values.tolist()
    missing = (temps.session == "day-15").values
    assert np.isnan(shifts.values[missing]).all()
    error = (shifts.values + displacement)[~missing]
    assert np.abs(error - error.mean(axis=0)).max() < RESIDUAL_MAX

    moved = mc.apply_transform(units.chunk({"height": -1, "width": -1}), shifts)
    assert moved.dims == units.dims and moved.name == "A"
    on_cluster, here = computed(client, moved)
    np.testing.assert_array_equal(on_cluster.values, here.values)
    first, last = (on_cluster.sel(session=s, unit_id=7).values for s in ("day-3", "day-9"))
    assert np.corrcoef(first.ravel(), last.ravel())[0, 1] > 0.98  # measured 0.998
    assert not on_cluster.sel(session="day-15").any()  # a shift of NaN gives fill

    rolled = mc.apply_shifts(units.chunk({"height": -1, "width": -1}), shifts, fill=0)
    on_cluster, here = computed(client, rolled)
    np.testing.assert_array_equal(on_cluster.values, here.values)
    empty = on_cluster.isnull().all(["height", "width"])
    assert empty.sum() == 2
    assert bool(empty.sel(session="day-4", unit_id=11)) and bool(
        empty.sel(session="day-3", unit_id=17)
    )
    assert on_cluster.where(~empty, drop=False).notnull().sum() == (35 - 2) * 96 * 112


def test_the_viewer_has_the_same_function(mc):
    visualization = import_quietly("minian.visualization")
    assert visualization.apply_shifts is mc.apply_shifts


def test_a_worker_brings_its_own_number_of_threads(client, monkeypatch):
    def threads():
        import os

        from stillscope import _check

        os.environ.pop("STILLSCOPE_NUM_THREADS", None)
        return _check.threads(None)

    assert client.submit(threads, pure=False).result(timeout=TIMEOUT) == 2
    monkeypatch.delenv("STILLSCOPE_NUM_THREADS", raising=False)
    from stillscope import _check

    assert _check.threads(None) is None  # not on a worker


def test_annotations_reach_the_kernels(client, mc, recording):
    """Tasks that ask for the workers' memory by name, as minian's scheduler plug-in makes them."""
    import dask

    with dask.annotate(resources={"MEM": 1}):
        motion = mc.estimate_motion(recording[0])
    result = client.compute(motion, resources={"MEM": 0.5}).result(timeout=TIMEOUT)
    assert result.shape == (40, 2)


def test_a_refined_estimate_on_the_cluster(client, mc, recording):
    """A single task that reads the movie: made on its worker, or held by the cluster."""
    varr = recording[0]
    expected = stillscope.estimate_motion(varr.values).shifts
    lazy = mc.estimate_motion(varr, refine=3)
    assert client.compute(lazy).result(timeout=TIMEOUT).values.tobytes() == expected.tobytes()
    held = varr.persist()
    distributed.wait(held, timeout=TIMEOUT)
    motion = mc.estimate_motion(held, refine=3).persist()
    distributed.wait(motion, timeout=TIMEOUT)
    assert motion.values.tobytes() == expected.tobytes()


def test_a_refined_estimate_on_one_thread_does_not_wait_for_itself(mc, recording):
    """One worker with one thread, whose memory both the task and its reads ask for by name."""
    import dask

    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, resources={"MEM": 1},
        dashboard_address=None,
    ) as cluster, distributed.Client(cluster, timeout=TIMEOUT) as client:  # fmt: skip
        with dask.annotate(resources={"MEM": 1}):
            varr = recording[0] + 0
            motion = mc.estimate_motion(varr, refine=1)
        result = client.compute(motion, resources={"MEM": 1}).result(timeout=TIMEOUT)
        held = varr.persist()
        distributed.wait(held, timeout=TIMEOUT)
        again = client.compute(mc.estimate_motion(held, refine=1)).result(timeout=TIMEOUT)
    assert result.shape == (40, 2)
    assert again.values.tobytes() == result.values.tobytes()
