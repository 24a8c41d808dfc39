# SPDX-License-Identifier: GPL-3.0-or-later
"""Odd and bad input at every public entry point: the right result, or at the call an error that
names the argument. The input is never written to."""

import numpy as np
import pytest
from support import moving_movie, wrap

import stillscope

xr = pytest.importorskip("xarray")
da = pytest.importorskip("dask.array")

pytestmark = pytest.mark.usefixtures("synchronous")

MOVIE = moving_movie(6, 20, 24)[0].astype("f4")
MOVIE.flags.writeable = False
FRAME = MOVIE[0]
STACK = np.stack([MOVIE[:3], MOVIE[3:]])
SHIFTS = np.zeros((6, 2))
LAZY = da.from_array(MOVIE, chunks=(2, -1, -1))
VARR = wrap(MOVIE, 2)
TRANS = xr.DataArray(SHIFTS, dims=["frame", "shift_dim"], coords={"shift_dim": ["height", "width"]})
SPECTRUM = np.fft.rfft2(FRAME)


def good(m):
    """Each entry point with good arguments: name -> (function, arguments)."""
    return {
        "stillscope.estimate_motion": (stillscope.estimate_motion, {"movie": MOVIE}),
        "stillscope.apply_motion": (stillscope.apply_motion, {"movie": MOVIE, "shifts": SHIFTS}),
        "estimate_motion": (m.estimate_motion, {"varr": VARR}),
        "estimate_motion of numpy": (m.estimate_motion, {"varr": wrap(MOVIE)}),
        "est_motion_part": (m.est_motion_part, {"varr": LAZY, "npart": 3, "chunk_nfm": None}),
        "est_motion_chunk": (
            m.est_motion_chunk, {"varr": MOVIE, "sh_org": None, "npart": 3, "alt_error": 5},
        ),
        "est_motion_chunk of templates": (
            m.est_motion_chunk, {"varr": STACK, "sh_org": None, "npart": 3, "alt_error": 5},
        ),
        "_est_motion_reduce": (
            m._est_motion_reduce,
            {"res_grp": [(s, SHIFTS[:3]) for s in STACK], "alt_error": 5, "npart": 3},
        ),
        "_xcorr_subpixel": (
            m._xcorr_subpixel, {"src_fft": SPECTRUM, "dst_fft": SPECTRUM, "shape": FRAME.shape},
        ),
        "est_motion_perframe": (m.est_motion_perframe, {"src": FRAME, "dst": FRAME}),
        "match_temp": (m.match_temp, {"src": FRAME, "dst": FRAME, "max_sh": 3, "local": False}),
        "check_temp": (m.check_temp, {"fm": FRAME, "max_sh": 3}),
        "apply_shifts": (m.apply_shifts, {"varr": VARR, "shifts": TRANS}),
        "shift_perframe": (m.shift_perframe, {"fm": FRAME, "sh": np.zeros(2)}),
        "get_mask": (m.get_mask, {"fm": FRAME.astype("u1"), "bin_thres": 2, "bin_wnd": 5}),
        "apply_transform": (m.apply_transform, {"varr": VARR, "trans": TRANS}),
        "transform_perframe": (m.transform_perframe, {"fm": FRAME, "tx_coef": np.zeros(2)}),
        "get_bspline_param": (m.get_bspline_param, {"img": FRAME, "mesh_size": (2, 2)}),
        "get_mesh_size": (m.get_mesh_size, {"fm": FRAME}),
    }  # fmt: skip


NAMES = [
    "stillscope.estimate_motion", "stillscope.apply_motion", "estimate_motion",
    "estimate_motion of numpy", "est_motion_part", "est_motion_chunk",
    "est_motion_chunk of templates", "_est_motion_reduce", "_xcorr_subpixel",
    "est_motion_perframe", "match_temp", "check_temp", "apply_shifts", "shift_perframe",
    "get_mask", "apply_transform", "transform_perframe", "get_bspline_param", "get_mesh_size",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_good_arguments_are_good(ours, name):
    """Else the tests below would say nothing."""
    if name == "get_bspline_param":
        pytest.importorskip("SimpleITK")
    assert set(good(ours)) == set(NAMES)
    before = MOVIE.tobytes(), STACK.tobytes()
    function, arguments = good(ours)[name]
    result = function(**arguments)
    if hasattr(result, "compute"):
        result.compute()
    assert (MOVIE.tobytes(), STACK.tobytes()) == before


def without_dim(dim):
    return VARR.isel({dim: 0}, drop=True)


def ragged():
    return [[[1.0, 2.0], [3.0]]]


EMPTY = {"varr": VARR.isel(frame=slice(0, 0))}
CASES = [
    # --- the movie
    ("stillscope.estimate_motion", "movie", np.empty((0, 20, 24)), ValueError),
    ("stillscope.estimate_motion", "movie", np.empty((3, 0, 24)), ValueError),
    ("stillscope.estimate_motion", "movie", np.empty((3, 20, 0)), ValueError),
    ("stillscope.estimate_motion", "movie", FRAME, ValueError),
    ("stillscope.estimate_motion", "movie", STACK, ValueError),
    ("stillscope.estimate_motion", "movie", 3.0, ValueError),
    ("stillscope.estimate_motion", "movie", None, TypeError),
    ("stillscope.estimate_motion", "movie", "movie.avi", TypeError),
    ("stillscope.estimate_motion", "movie", MOVIE.astype("c8"), TypeError),
    ("stillscope.estimate_motion", "movie", MOVIE.astype(object), TypeError),
    ("stillscope.estimate_motion", "movie", MOVIE.astype("M8[s]"), TypeError),
    ("stillscope.estimate_motion", "movie", MOVIE.astype("S3"), TypeError),
    ("stillscope.estimate_motion", "movie", MOVIE.astype(np.longdouble), TypeError),
    ("stillscope.estimate_motion", "movie", ragged(), (TypeError, ValueError)),
    ("stillscope.apply_motion", "movie", FRAME, ValueError),
    ("stillscope.apply_motion", "movie", MOVIE.astype("c8"), TypeError),
    ("stillscope.apply_motion", "movie", None, TypeError),
    ("stillscope.apply_motion", "movie", ragged(), (TypeError, ValueError)),
    *[
        (name, "varr", value, error)
        for name in ("estimate_motion", "apply_transform", "apply_shifts")
        for value, error in (
            (MOVIE, TypeError),
            (None, TypeError),
            (LAZY, TypeError),
            (VARR.to_dataset(name="movie"), TypeError),
            (without_dim("height"), ValueError),
            (without_dim("width"), ValueError),
            (VARR.astype("c8"), TypeError),
            (VARR.astype("M8[s]"), TypeError),
            (VARR.astype(object), TypeError),
        )
    ],
    ("estimate_motion", "varr", without_dim("frame"), ValueError),
    ("estimate_motion", "varr", VARR.isel(frame=slice(0, 0)), ValueError),
    ("estimate_motion", "varr", VARR.isel(height=slice(0, 0)), ValueError),
    ("estimate_motion", "varr", VARR.isel(width=slice(0, 0)), ValueError),
    ("estimate_motion of numpy", "varr", wrap(MOVIE[:0]), ValueError),
    ("est_motion_part", "varr", MOVIE, TypeError),
    ("est_motion_part", "varr", LAZY[0], ValueError),
    ("est_motion_part", "varr", LAZY[:0], ValueError),
    ("est_motion_part", "varr", LAZY[:, :0], ValueError),
    ("est_motion_part", "varr", LAZY.astype("c8"), TypeError),
    ("est_motion_chunk", "varr", FRAME, ValueError),
    ("est_motion_chunk", "varr", MOVIE[:0], ValueError),
    ("est_motion_chunk", "varr", MOVIE[:, :0], ValueError),
    ("est_motion_chunk", "varr", MOVIE.astype("c8"), TypeError),
    ("est_motion_chunk", "varr", MOVIE.astype(object), TypeError),
    ("est_motion_chunk", "varr", None, TypeError),
    ("est_motion_chunk of templates", "varr", STACK[:, :2], ValueError),
    ("est_motion_chunk of templates", "varr", STACK[:0], ValueError),
    ("est_motion_chunk of templates", "varr", STACK[None], ValueError),
    ("_est_motion_reduce", "res_grp", [], (TypeError, ValueError)),
    # --- frames
    *[
        (name, argument, value, error)
        for name, argument in (
            ("est_motion_perframe", "src"),
            ("est_motion_perframe", "dst"),
            ("match_temp", "src"),
            ("match_temp", "dst"),
            ("check_temp", "fm"),
            ("shift_perframe", "fm"),
            ("transform_perframe", "fm"),
            ("get_mask", "fm"),
        )
        for value, error in (
            (MOVIE, ValueError),
            (FRAME[0], ValueError),
            (FRAME[:0], ValueError),
            (FRAME[:, :0], ValueError),
            (FRAME.astype("c8"), TypeError),
            (FRAME.astype(object), TypeError),
            (None, TypeError),
        )
    ],
    ("est_motion_perframe", "dst", FRAME[1:], ValueError),
    ("match_temp", "src", np.ones((40, 40), "f4"), ValueError),
    ("get_mask", "fm", FRAME, TypeError),
    ("get_mask", "fm", FRAME.astype("u2"), TypeError),
    ("get_bspline_param", "img", MOVIE, ValueError),
    ("get_mesh_size", "fm", MOVIE, ValueError),
    ("_xcorr_subpixel", "src_fft", SPECTRUM[1:], ValueError),
    ("_xcorr_subpixel", "dst_fft", SPECTRUM[:, 1:], ValueError),
    ("_xcorr_subpixel", "shape", (20, 23.5), TypeError),
    ("_xcorr_subpixel", "shape", (0, 24), ValueError),
    ("est_motion_perframe", "src_fft", SPECTRUM[:, :-1], ValueError),
    ("est_motion_perframe", "dst_fft", SPECTRUM[0], ValueError),
    # --- shifts
    *[
        ("stillscope.apply_motion", "shifts", value, error)
        for value, error in (
            (SHIFTS[:5], ValueError),
            (np.zeros((7, 2)), ValueError),
            (np.zeros((6, 3)), ValueError),
            (np.zeros(12), ValueError),
            (SHIFTS[None], ValueError),
            (SHIFTS.astype("c8"), TypeError),
            (SHIFTS.astype(object), TypeError),
            (SHIFTS.astype(str), TypeError),
            (None, TypeError),
        )
    ],
    *[
        (name, argument, value, error)
        for name, argument in (("apply_transform", "trans"), ("apply_shifts", "shifts"))
        for value, error in (
            (SHIFTS, TypeError),
            (None, TypeError),
            (TRANS.isel(shift_dim=0, drop=True), ValueError),
            (TRANS.isel(shift_dim=[0]), ValueError),
            (TRANS.rename(shift_dim="axis"), ValueError),
            (TRANS.astype("c8"), TypeError),
            (TRANS.astype(object), TypeError),
        )
    ],
    ("apply_transform", "varr", VARR.rename(height="rows"), ValueError),
    ("transform_perframe", "tx_coef", np.zeros(3), ValueError),
    ("transform_perframe", "tx_coef", np.float64(1), ValueError),
    ("transform_perframe", "tx_coef", np.zeros(2, "c8"), TypeError),
    ("transform_perframe", "tx_coef", None, TypeError),
    ("shift_perframe", "sh", np.zeros(3), ValueError),
    ("shift_perframe", "sh", 1.0, ValueError),
    ("shift_perframe", "sh", None, TypeError),
    ("est_motion_chunk", "sh_org", [SHIFTS[:1]] * 5, ValueError),
    ("est_motion_chunk", "sh_org", [np.zeros((1, 3))] * 6, ValueError),
    ("est_motion_chunk", "sh_org", [np.zeros(2)] * 6, ValueError),
    ("est_motion_chunk", "sh_org", [SHIFTS[:1].astype("c8")] * 6, TypeError),
    ("est_motion_chunk", "sh_org", 3, TypeError),
    # --- options
    *[
        (name, argument, value, error)
        for name in (
            "stillscope.estimate_motion", "estimate_motion", "estimate_motion of numpy",
            "est_motion_part", "est_motion_chunk", "est_motion_chunk of templates",
        )
        for argument, value, error in (
            ("npart", 1, ValueError),
            ("npart", 0, ValueError),
            ("npart", -2, ValueError),
            ("npart", 2.0, TypeError),
            ("npart", "3", TypeError),
            ("npart", True, TypeError),
            ("alt_error", "5", TypeError),
            ("alt_error", -5, ValueError),
            ("alt_error", np.nan, ValueError),
            ("alt_error", [5], TypeError),
            ("aggregation", "median", ValueError),
            ("aggregation", 3, (TypeError, ValueError)),
            ("aggregation", np.array(["mean", "max"]), (TypeError, ValueError)),
            ("max_sh", -1, ValueError),
            ("max_sh", 1.5, TypeError),
            ("circ_thres", "0.5", TypeError),
            ("circ_thres", np.nan, ValueError),
            ("slot_last", "third", ValueError),
            ("registrar", "magic", ValueError),
            ("n_threads", 0, ValueError),
            ("n_threads", -1, ValueError),
            ("n_threads", 2.0, TypeError),
        )
    ],
    ("stillscope.estimate_motion", "npart", None, TypeError),
    ("est_motion_chunk", "npart", None, TypeError),
    ("stillscope.estimate_motion", "chunk", 0, ValueError),
    ("stillscope.estimate_motion", "chunk", 2.5, TypeError),
    ("estimate_motion", "chunk_nfm", 0, ValueError),
    ("estimate_motion", "chunk_nfm", "5", TypeError),
    ("est_motion_part", "chunk_nfm", -1, ValueError),
    ("estimate_motion", "dim", "session", ValueError),
    ("estimate_motion", "unknown", 1, TypeError),
    ("est_motion_part", "unknown", 1, TypeError),
    ("est_motion_chunk", "unknown", 1, TypeError),
    ("stillscope.estimate_motion", "unknown", 1, TypeError),
    ("stillscope.apply_motion", "unknown", 1, TypeError),
    ("estimate_motion", "mesh_size", (1, 2, 3), (TypeError, ValueError)),
    ("estimate_motion", "mesh_size", (1.5, 2), TypeError),
    ("estimate_motion", "mesh_size", (0, 2), ValueError),
    ("estimate_motion", "upsample", 0, ValueError),
    ("estimate_motion", "niter", -1, ValueError),
    ("get_bspline_param", "mesh_size", 2, TypeError),
    ("match_temp", "max_sh", -1, ValueError),
    ("match_temp", "max_sh", 1.5, TypeError),
    ("check_temp", "max_sh", -1, ValueError),
    ("get_mask", "bin_wnd", 4, ValueError),
    ("get_mask", "bin_wnd", 1, ValueError),
    ("get_mask", "bin_wnd", 3.0, TypeError),
    ("get_mask", "bin_thres", "2", TypeError),
    ("get_mask", "bin_thres", np.nan, ValueError),
    *[
        (name, "fill", value, TypeError)
        for name in (
            "stillscope.apply_motion", "apply_transform", "apply_shifts", "transform_perframe",
            "shift_perframe",
        )
        for value in ("0", None, 1j, [0])
    ],
    ("stillscope.apply_motion", "grid", "fine", ValueError),
    ("apply_transform", "grid", "fine", ValueError),
    ("transform_perframe", "grid", None, ValueError),
    ("stillscope.apply_motion", "n_threads", 0, ValueError),
    ("apply_transform", "n_threads", "2", TypeError),
    ("stillscope.apply_motion", "out", MOVIE.tolist(), TypeError),
    ("stillscope.apply_motion", "out", np.empty((6, 20, 23), "f4"), ValueError),
    ("stillscope.apply_motion", "out", np.empty((6, 20, 24), "f8"), TypeError),
    ("stillscope.apply_motion", "out", np.empty((6, 20, 24), ">f4"), TypeError),
    ("stillscope.apply_motion", "out", MOVIE, ValueError),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "argument", "value", "error"),
    CASES,
    ids=[f"{name}-{argument}-{k}" for k, (name, argument, *_) in enumerate(CASES)],
)
def test_a_bad_argument_is_named_at_the_call(ours, name, argument, value, error):
    function, arguments = good(ours)[name]
    # The message names the dim that is missing, or the argument.
    names = {argument, "varr"} if argument == "dim" else {argument}
    before = MOVIE.tobytes(), STACK.tobytes(), SHIFTS.tobytes()
    with pytest.raises(error) as caught:  # nothing is computed: the call itself must fail
        function(**{**arguments, argument: value})
    assert any(n in str(caught.value) for n in names), str(caught.value)
    assert (MOVIE.tobytes(), STACK.tobytes(), SHIFTS.tobytes()) == before


def test_the_message_says_what_was_expected_and_what_came():
    with pytest.raises(ValueError, match=r"npart: expected at least 2, got 1"):
        stillscope.estimate_motion(MOVIE, npart=1)
    with pytest.raises(ValueError, match=r"shifts: expected shape \(6, 2\).*got \(5, 2\)"):
        stillscope.apply_motion(MOVIE, SHIFTS[:5])
    with pytest.raises(TypeError, match=r"movie: expected a real dtype.*got complex64"):
        stillscope.apply_motion(MOVIE.astype("c8"), SHIFTS)


@pytest.mark.parametrize("name", ["apply_transform", "apply_shifts"])
def test_labels_that_do_not_match(ours, name):
    varr = VARR.assign_coords(frame=np.arange(6))
    function = getattr(ours, name)
    for labels in (np.arange(1, 7), np.arange(6) * 2, list("abcdef")):
        with pytest.raises(ValueError, match="frame"):  # xarray.AlignmentError
            function(varr, TRANS.assign_coords(frame=labels), fill=0)
    with pytest.raises(ValueError, match="frame"):
        function(VARR, TRANS.isel(frame=slice(0, 5)), fill=0)
    # Not in another order either: the shifts would go to other frames without a word.
    with pytest.raises(ValueError, match="frame"):
        function(varr, TRANS.assign_coords(frame=np.arange(6)[::-1]), fill=0)


def test_mismatched_templates_and_shifts_in_a_reduction(ours):
    with pytest.raises(ValueError):
        ours._est_motion_reduce([(STACK[0], SHIFTS[:3]), (STACK[1][:, 1:], SHIFTS[:3])], 5, 3)


ODD = {
    "one frame": MOVIE[:1],
    "1xN": MOVIE[:, :1],
    "Nx1": MOVIE[:, :, :1],
    "one pixel": MOVIE[:, :1, :1],
    "black": np.zeros_like(MOVIE),
    "constant": np.full_like(MOVIE, 7),
    "saturated": np.full(MOVIE.shape, 255, "u1"),
    "one black frame": np.where(np.arange(6)[:, None, None] == 2, 0, MOVIE),
    "huge": MOVIE.astype("f8") * 1e12,
    "tiny": MOVIE.astype("f8") * 1e-12,
    "negative": -MOVIE,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_movies_have_a_finite_answer(ours, name):
    movie = ODD[name].copy()
    movie.flags.writeable = False
    before = movie.tobytes()
    for options in ({}, {"alt_error": None}, {"aggregation": "max"}):
        mine = stillscope.estimate_motion(
            movie, chunk=2, slot_last="second", refine=0, **options
        )
        assert np.isfinite(stillscope.estimate_motion(movie, chunk=2, **options).shifts).all()
        shifts = ours.estimate_motion(wrap(movie, 2), **options).compute().values
        assert np.isfinite(shifts).all() and np.isfinite(mine.shifts).all()
        height, width = movie.shape[1:]
        assert np.abs(shifts).max() <= len(movie) * max(height, width)
        np.testing.assert_allclose(mine.shifts, shifts, atol=0.01)
        if name in ("black", "constant", "saturated", "one pixel", "one frame"):
            assert not shifts.any()
        corrected = stillscope.apply_motion(movie, shifts)
        assert corrected.shape == movie.shape and corrected.dtype == movie.dtype
    if name == "one frame":
        np.testing.assert_array_equal(corrected, movie)
    assert movie.tobytes() == before


def test_scaling_a_movie_changes_nothing(ours):
    reference = stillscope.estimate_motion(MOVIE.astype("f8")).shifts
    for factor in (1e-3, 1e3, 2.0**40, 2.0**-40):
        shifts = stillscope.estimate_motion(MOVIE.astype("f8") * factor).shifts
        np.testing.assert_allclose(shifts, reference, rtol=0, atol=1e-4)  # px; measured 1e-6


@pytest.mark.parametrize("name", ["1xN", "Nx1", "one pixel", "black", "constant"])
def test_helpers_on_odd_frames(ours, name):
    frame = ODD[name][0]
    assert ours.est_motion_perframe(frame, frame).tolist() == [0, 0]
    assert list(ours.match_temp(frame, frame, 2, False)) == [0, 0]
    assert 0 <= ours.check_temp(frame, 2) <= 2
    assert not ours.get_mask(frame.astype("u1"), 200, 3).any()
    np.testing.assert_array_equal(ours.transform_perframe(frame, np.zeros(2)), frame)
    np.testing.assert_array_equal(ours.shift_perframe(frame, np.zeros(2)), frame)


# --- files and reports ----------------------------------------------------------------------------

BYTES = MOVIE.astype("u1")


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("m.tif", {"frame_rate": "20"}, TypeError, "frame_rate: expected a number, got '20'"),
        ("m.tif", {"frame_rate": 0}, ValueError, "frame_rate: expected a finite number above 0"),
        ("m.tif", {"frame_rate": np.nan}, ValueError, "frame_rate: expected a finite number"),
        ("m.avi", {"frame_rate": 1e-5}, ValueError, "frame_rate: expected 0.0001 to 214748 Hz"),
        ("m.avi", {"frame_rate": 1e9}, ValueError, "frame_rate: expected 0.0001 to 214748 Hz"),
        ("m.tif", {"pixel_size": "1"}, TypeError, "pixel_size: expected a number, got '1'"),
        ("m.tif", {"pixel_size": -1}, ValueError, "pixel_size: expected finite numbers above 0"),
        ("m.zarr", {"pixel_size": (1, -1)}, ValueError, "pixel_size: expected finite numbers"),
        ("m.zarr", {"pixel_size": (1, 2, 3)}, ValueError, "pixel_size: expected a number or"),
        ("m.zarr", {"pixel_size": ()}, ValueError, "pixel_size: expected a number or"),
        ("m.zarr", {"chunks": 5}, ValueError, "chunks: expected frames, height and width, got 5"),
        ("m.zarr", {"chunks": (5, 5)}, ValueError, "chunks: expected frames, height and width"),
        ("m.zarr", {"chunks": (5, 0, 5)}, ValueError, "chunks: expected at least 1, got 0"),
        ("m.zarr", {"chunks": (5, 2.5, 5)}, TypeError, "chunks: expected an integer, got 2.5"),
        ("m.tif", {"chunks": (5, 5, 5)}, ValueError, "chunks: expected None for another format"),
        ("a/m.tif", {}, FileNotFoundError, "path: .*a: no such folder"),
        (3, {}, TypeError, "path: expected a path, got 3"),
    ],
)
def test_movies_to_be_written(tmp_path, name, options, error, message):
    for library in ("av", "tifffile", "zarr"):
        pytest.importorskip(library)
    from stillscope.io.writers import write_movie

    with pytest.raises(error, match="^" + message):
        write_movie(tmp_path / name if name != 3 else name, BYTES, **options)
    assert list(tmp_path.iterdir()) == []


def test_one_number_is_the_size_of_a_square_pixel(tmp_path):
    pytest.importorskip("tifffile")
    from stillscope.io.writers import write_movie

    write_movie(tmp_path / "m.tif", BYTES, pixel_size=1.5)
    with stillscope.open_movie(tmp_path / "m.tif") as movie:
        assert movie.pixel_size == (1.5, 1.5)


def test_bad_frames_beyond_all_numbers():
    given = np.array([2**64 - 1], np.uint64)  # -1, were it signed
    with pytest.raises(ValueError, match="bad_frames: expected indices of 6 frames, got 18446744"):
        stillscope.estimate_motion(MOVIE, bad_frames=given)


@pytest.fixture(scope="module")
def motion():
    return stillscope.estimate_motion(MOVIE)


@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
@pytest.mark.parametrize(
    ("attributes", "error", "message"),
    [
        ("text", TypeError, "attributes: expected a Mapping, got str"),
        ({"format": "mine"}, ValueError, "attributes: expected other names than .*got 'format'"),
        ({"stats": 1}, ValueError, "attributes: expected other names than format, .*got 'stats'"),
        ({3: 1}, ValueError, "attributes: expected other names .*got 3"),
        ({"": 1}, ValueError, "attributes: expected other names .*got ''"),
        ({"a": object()}, TypeError, "attributes: expected what JSON can hold, got 'a' of object"),
        ({"a": [MOVIE]}, TypeError, "attributes: expected what JSON can hold, got 'a' of list"),
    ],
)
def test_attributes_of_shifts(tmp_path, motion, suffix, attributes, error, message):
    pytest.importorskip("zarr")
    with pytest.raises(error, match=message):
        stillscope.save_motion(tmp_path / f"m{suffix}", motion, attributes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
def test_attributes_that_can_be_kept(tmp_path, motion, suffix):
    pytest.importorskip("zarr")
    from stillscope.io.motion_file import read_motion

    path = tmp_path / f"m{suffix}"
    plain = {"a": "text", "b": np.int16(3), "c": np.float32(0.5)}
    given = {**plain, "d": True, "e": [1, None], "f": {}}
    stillscope.save_motion(path, motion, given)
    kept = read_motion(path)[1]
    expected = {"a": "text", "b": 3, "c": 0.5, "d": "true", "e": "[1, null]", "f": "{}"}
    assert {name: kept[name] for name in given} == expected


def test_what_is_no_motion_or_no_summary(tmp_path, motion):
    pytest.importorskip("matplotlib")
    pytest.importorskip("av")
    from stillscope import report

    summary = report.summarise(MOVIE, None, motion)
    for given, kind in ((motion.shifts, "ndarray"), ([0], "list"), (None, "NoneType"),
                        (summary, "Summary")):  # fmt: skip
        for call in (
            lambda value: stillscope.save_motion(tmp_path / "m.zarr", value),
            lambda value: report.write_preview(tmp_path / "m.mp4", MOVIE, None, value),
            lambda value: report.plot_deformation(tmp_path / "m.png", value),
            lambda value: report.summarise(MOVIE, None, value),
        ):
            with pytest.raises(TypeError, match=f"^motion: expected a MotionEstimate, got {kind}"):
                call(given)
    for given, kind in ((motion, "MotionEstimate"), ({}, "dict"), (None, "NoneType")):
        for call in (
            lambda value: report.write_report(tmp_path / "m.html", value),
            lambda value: report.write_figures(tmp_path / "m", value),
            lambda value: report.overview_figure(value),
        ):
            with pytest.raises(TypeError, match=f"^summary: expected a Summary, got {kind}"):
                call(given)
    for call in (
        lambda path: stillscope.save_motion(path.with_suffix(".zarr"), motion),
        lambda path: report.write_report(path.with_suffix(".html"), summary),
        lambda path: report.write_preview(path.with_suffix(".mp4"), MOVIE, None, motion),
        lambda path: report.plot_deformation(path.with_suffix(".png"), motion),
    ):
        with pytest.raises(FileNotFoundError, match="^path: .*nowhere: no such folder"):
            call(tmp_path / "nowhere" / "m")
    with pytest.raises(TypeError, match="^path: expected a path, got 3"):
        stillscope.save_motion(3, motion)
    with pytest.raises(TypeError, match="^path: expected a path, got 3"):
        stillscope.load_motion(3)
    assert list(tmp_path.iterdir()) == []


def test_pictures_of_fields(tmp_path):
    pytest.importorskip("matplotlib")
    from stillscope import report

    movie = moving_movie(6, 96, 96)[0]
    motion = stillscope.estimate_motion(movie, nonrigid=True)
    with pytest.raises(ValueError, match="^path: expected a suffix that Matplotlib knows"):
        report.plot_deformation(tmp_path / "m.docx", motion)
    with pytest.raises(TypeError, match="^frame: expected an integer, got 1.5"):
        report.plot_deformation(tmp_path / "m.png", motion, 1.5)
    assert list(tmp_path.iterdir()) == []
    report.plot_deformation(tmp_path / "m.png", motion)
    assert [path.name for path in tmp_path.iterdir()] == ["m.png"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"recording": "mouse"}, TypeError, "recording: expected a dict or None, got 'mouse'"),
        ({"recording": {"frame_rate": "20"}}, TypeError,
         r"recording\['frame_rate'\]: expected a number"),
        ({"recording": {"pixel_size": (1, 2, 3)}}, ValueError,
         r"recording\['pixel_size'\]: expected a number or"),
        ({"recording": {"pixel_size": -1}}, ValueError,
         r"recording\['pixel_size'\]: expected finite numbers"),
        ({"recording": {"files": "a.avi"}}, TypeError,
         r"recording\['files'\]: expected a list, got 'a.avi'"),
        ({"recording": {"files": [1]}}, TypeError, r"recording\['files'\]: expected paths, got 1"),
        ({"recording": {"missing": 3}}, TypeError, r"recording\['missing'\]: expected a list"),
        ({"recording": {"missing": [3]}}, ValueError,
         r"recording\['missing'\]: expected \(file, frame, reason\) each, got 3"),
        ({"parameters": [1]}, TypeError, "parameters: expected a dict or None"),
        ({"timings": {"write": "long"}}, TypeError, r"timings\['write'\]: expected a number"),
        ({"outputs": {"movie": 3}}, TypeError, r"outputs\['movie'\]: expected a path, got 3"),
        ({"sample": 0}, ValueError, "sample: expected at least 1"),
    ],
)  # fmt: skip
def test_what_a_report_is_told(motion, options, error, message):
    from stillscope.report import SummaryBuilder, summarise

    with pytest.raises(error, match="^" + message):
        summarise(MOVIE, None, motion, **options)
    if "sample" not in options:
        builder = SummaryBuilder(motion, MOVIE.shape, MOVIE.dtype)
        builder.add(MOVIE)
        with pytest.raises(error, match="^" + message):
            builder.finish(**options)


def test_recordings(tmp_path):
    np.save(tmp_path / "m.npy", BYTES)
    for dataset in (3, b"movie", ["movie"]):
        with pytest.raises(TypeError, match="^dataset: expected a name or None, got"):
            stillscope.open_movie(tmp_path / "m.npy", dataset=dataset)
    with stillscope.open_movie(tmp_path / "m.npy") as movie:
        for size in (2.5, "2", None, True):
            with pytest.raises(TypeError, match="^size: expected an integer, got"):
                movie.blocks(size)
        assert [len(block) for block in movie.blocks(np.int64(4))] == [4, 2]


def test_a_file_of_frames_that_do_not_lie_together(tmp_path):
    path = tmp_path / "m.npy"
    np.save(path, np.asfortranarray(BYTES))
    with stillscope.open_movie(path) as movie:
        assert np.array_equal(movie[:], BYTES)
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, len(whole) - BYTES.size):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"m\.npy: expected 2,880 bytes of pixels, got [\d,]+"):
            stillscope.open_movie(path)
    for shape in ((0, 4, 5), (3, 0, 5)):
        np.save(path, np.zeros(shape, order="F"))
        with pytest.raises(ValueError, match=r"m\.npy: expected .*with pixels"):
            stillscope.open_movie(path)


def test_shifts_in_the_place_of_a_movie(tmp_path, motion):
    pytest.importorskip("zarr")
    stillscope.save_motion(tmp_path / "m.zarr", motion)
    with pytest.raises(ValueError, match=r"m\.zarr: expected a movie, got shifts: .*load_motion"):
        stillscope.open_movie(tmp_path / "m.zarr")
