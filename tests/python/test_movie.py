# SPDX-License-Identifier: GPL-3.0-or-later
"""The plain API on NumPy arrays: `stillscope.estimate_motion` and `stillscope.apply_motion`."""

import math
import threading
import time

import numpy as np
import pytest
from support import INTEGER_LEVELS, as_dtype, bilinear, error_of, moving_movie

import stillscope
from stillscope.simulate import simulate_movie

DTYPES = [
    "?",
    "i1",
    "u1",
    "i2",
    "u2",
    "i4",
    "u4",
    "i8",
    "u8",
    "f2",
    "f4",
    "f8",
    ">u2",
    ">f4",
    ">f8",
]
# Single precision against a naive bilinear in double, as a share of the range. Measured 1.2e-7.
WARP_TOLERANCE = 1e-6
# float16 holds 11 bits.
WARP_TOLERANCE_FLOAT16 = 1e-3
# OpenCV 5 against the exact grid, grey levels of 255. Measured 2.3e-4.
OPENCV_TOLERANCE = 5e-3


@pytest.fixture(scope="module")
def movie():
    return moving_movie(23, 61, 83)[0]


def levels(dtype):
    dtype = np.dtype(dtype)
    return INTEGER_LEVELS.get(dtype.str.lstrip("|<="), 4000)


# --- estimate_motion ------------------------------------------------------------------------------


def test_the_result(movie):
    before = movie.tobytes()
    result = stillscope.estimate_motion(movie)
    assert movie.tobytes() == before
    assert isinstance(result, stillscope.MotionEstimate)
    assert result.shifts.shape == (23, 2) and result.shifts.dtype == np.float64
    assert result.template.shape == (61, 83) and result.template.dtype == np.float32
    assert result.template.flags.c_contiguous
    assert set(result.stats) >= {"counts", "planned", "repaired", "dead"}
    assert result.stats["repaired"] == result.stats["dead"] == 0
    assert "23 frames of 61x83" in repr(result)
    one_group = stillscope.estimate_motion(movie, npart=23, refine=0)
    np.testing.assert_allclose(one_group.shifts.mean(axis=0), 0, atol=1e-12)  # measured 1e-15
    with pytest.raises(AttributeError):
        result.shifts = None


def expected_nodes(n, chunk, npart):
    """Leaves and nodes above them, recursively: chunks by array_split, then groups of npart."""

    def in_chunk(items):
        groups = math.ceil(items / npart)
        leaves, nodes, level = groups, 0, groups
        while level > 1:
            level = math.ceil(level / npart)
            nodes += level
        return leaves, nodes

    sizes = [min(chunk, n - first) for first in range(0, n, chunk)]
    leaves, nodes = np.sum([in_chunk(size) for size in sizes], axis=0)
    level = len(sizes)
    while level > 1:
        level = math.ceil(level / npart)
        nodes += level
    return leaves, nodes


@pytest.mark.parametrize("chunks", [1, 4, 7, 20])
@pytest.mark.parametrize("npart", [2, 3, 5])
@pytest.mark.parametrize("alt_error", [5, None])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_every_kernel_runs_once(movie, chunks, npart, alt_error, n_threads):
    frames = moving_movie(40, 24, 30)[0]
    chunk = math.ceil(40 / chunks)
    stats = stillscope.estimate_motion(
        frames, chunk=chunk, npart=npart, alt_error=alt_error, n_threads=n_threads, registrar="fft"
    ).stats
    counts, planned = stats["counts"], stats["planned"]
    for name in ("leaves", "nodes", "runs", "warps"):
        assert counts[name] == planned[name], name
    # A registration that can't change the answer is spared, and counted.
    assert counts["registrations"] + counts["spared"] == planned["registrations"]
    assert counts["spectra"] + 2 * counts["spared"] == planned["spectra"]
    if alt_error is None:  # no slots, nothing to spare
        assert counts["spared"] == 0
    leaves, nodes = expected_nodes(40, chunk, npart)
    assert (planned["leaves"], planned["nodes"]) == (leaves, nodes)
    assert planned["runs"] == [1] * (leaves + nodes)
    assert counts["registrations"] >= 39  # at least one for each frame but one


def variants():
    yield {}
    yield {"chunk": 5}
    yield {"chunk": 4, "alt_error": None, "npart": 2}
    yield {"chunk": 6, "aggregation": "max", "slot_last": "second"}


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "u2", "i2"])
@pytest.mark.parametrize("options", list(variants()), ids=str)
def test_the_result_does_not_depend_on_the_number_of_threads(movie, dtype, options, monkeypatch):
    frames = as_dtype(movie, dtype)
    first = stillscope.estimate_motion(frames, n_threads=1, **options)
    corrected = stillscope.apply_motion(frames, first, n_threads=1)
    for n in (2, 7):
        again = stillscope.estimate_motion(frames, n_threads=n, **options)
        assert again.shifts.tobytes() == first.shifts.tobytes()
        assert again.template.tobytes() == first.template.tobytes()
        assert again.stats == first.stats
        out = stillscope.apply_motion(frames, first, n_threads=n)
        assert out.tobytes() == corrected.tobytes()
        monkeypatch.setenv("STILLSCOPE_NUM_THREADS", str(n))
        again = stillscope.estimate_motion(frames, **options)
        assert again.shifts.tobytes() == first.shifts.tobytes()
        assert again.template.tobytes() == first.template.tobytes()


def test_calls_from_many_threads_at_once(movie):
    frames = movie.astype("f4")
    reference = stillscope.estimate_motion(frames, chunk=6)
    results = [None] * 6

    def work(i):
        results[i] = stillscope.estimate_motion(frames, chunk=6, n_threads=1 + i % 3)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(results))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for result in results:
        assert result.shifts.tobytes() == reference.shifts.tobytes()
        assert result.template.tobytes() == reference.template.tobytes()


def layouts(frames):
    """The same values in other layouts of memory, each with its owner: (name, view, memory)."""
    n, h, w = frames.shape
    big = np.zeros((2 * n, h + 3, 2 * w + 5), frames.dtype)
    big[1::2, 2:-1, 3 : 3 + 2 * w : 2] = frames
    yield "strided", big[1::2, 2:-1, 3 : 3 + 2 * w : 2], big
    flipped = np.ascontiguousarray(frames[::-1, ::-1, ::-1])
    yield "negative", flipped[::-1, ::-1, ::-1], flipped
    fortran = np.asfortranarray(frames)
    yield "Fortran order", fortran, fortran
    permuted = np.ascontiguousarray(frames.transpose(2, 0, 1))
    yield "permuted", permuted.transpose(1, 2, 0), permuted
    swapped = frames.astype(frames.dtype.newbyteorder())
    yield "byte-swapped", swapped, swapped
    raw = np.zeros(frames.nbytes + 1, "u1")
    unaligned = raw[1:].view(frames.dtype).reshape(frames.shape)
    unaligned[...] = frames
    yield "unaligned", unaligned, raw
    read_only = frames.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only, read_only
    record = np.zeros(frames.shape, [("flag", "u1"), ("pixel", frames.dtype)])
    record["pixel"] = frames
    yield "field of a record", record["pixel"], record
    yield "list", frames.tolist(), np.zeros(1)


LAYOUTS = [name for name, *_ in layouts(np.zeros((2, 3, 4)))]


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "u2", "u1"])
def test_layouts_of_memory(movie, name, dtype):
    frames = np.ascontiguousarray(as_dtype(movie, dtype)[:9])
    view, memory = next((v, m) for n, v, m in layouts(frames) if n == name)
    before = memory.tobytes()
    expected = stillscope.estimate_motion(frames, chunk=4)
    result = stillscope.estimate_motion(view, chunk=4)
    if name != "list" or dtype == "f8":  # a list's numbers are 64-bit
        assert result.shifts.tobytes() == expected.shifts.tobytes()
        assert result.template.tobytes() == expected.template.tobytes()
    else:
        np.testing.assert_allclose(result.shifts, expected.shifts, atol=1e-2)
    applied = stillscope.apply_motion(view, expected)
    reference = stillscope.apply_motion(frames, expected)
    np.testing.assert_allclose(applied, reference, rtol=0, atol=1e-4 if name == "list" else 0)
    assert memory.tobytes() == before


def test_a_broadcast_movie(movie):
    """Strides of zero: one frame n times."""
    frames = np.broadcast_to(movie[0], (5, 61, 83))
    result = stillscope.estimate_motion(frames)
    np.testing.assert_allclose(result.shifts, 0, atol=4e-5)  # px; measured 3.0e-6
    shifts = np.arange(10.0).reshape(5, 2)
    expected = stillscope.apply_motion(frames.copy(), shifts)
    assert stillscope.apply_motion(frames, shifts).tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_can_be_estimated(movie, dtype):
    frames = np.rint(movie * 16).astype("u8") if dtype == "u8" else as_dtype(movie, dtype)
    result = stillscope.estimate_motion(frames)
    reference = stillscope.estimate_motion(movie)
    # Rounding to whole levels moves shifts by little, one bit a pixel by more. Measured 0.03, 0.3.
    bound = 1.0 if dtype == "?" else 0.1
    assert np.abs(result.shifts - reference.shifts).max() < bound
    assert result.template.dtype == np.float32


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (300, 1), (2, 2), (3, 5)])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_small_frames(size, n):
    frames = np.random.default_rng(1).random((n, *size))
    result = stillscope.estimate_motion(frames, chunk=3)
    assert result.shifts.shape == (n, 2) and np.isfinite(result.shifts).all()
    # NaN where no frame lies, as in the corners after a diagonal shift.
    assert result.template.shape == size and np.isfinite(result.template).any()
    assert np.abs(np.diff(result.shifts[:, 0], append=result.shifts[0, 0])).max() <= n * size[0]
    if size == (1, 1):
        assert not result.shifts.any()


@pytest.mark.parametrize("value", [0, 7, 250])
@pytest.mark.parametrize("dtype", ["f4", "u1"])
def test_constant_frames_do_not_move(value, dtype):
    frames = np.full((7, 20, 30), value, dtype)
    result = stillscope.estimate_motion(frames, chunk=4)
    assert not result.shifts.any()
    np.testing.assert_array_equal(result.template, np.full((20, 30), value))


def test_a_rolled_frame_is_found_exactly(movie):
    """Whole-pixel circular motion of one scene: the correlation's peak is symmetric."""
    steps = np.array([(0, 0), (3, -2), (-7, 11), (12, 5), (1, 1)])
    frames = np.stack([np.roll(movie[0], step, (0, 1)) for step in steps])
    # A movie of one leaf: no template is ever warped.
    shifts = stillscope.estimate_motion(frames, npart=5, refine=0).shifts
    relative = shifts - shifts[0]
    np.testing.assert_allclose(relative, -steps, rtol=0, atol=1e-6)  # px; measured 8e-8


def test_non_finite_pixels_are_counted(movie):
    frames = movie.astype("f4")
    frames[3, 4:6, 7] = np.nan
    frames[8, 0, 0] = np.inf
    frames[15] = np.nan
    before = frames.tobytes()
    with pytest.warns(UserWarning, match="2 estimated .* 1 without"):
        result = stillscope.estimate_motion(frames, chunk=6, refine=0)
    assert frames.tobytes() == before
    assert (result.stats["repaired"], result.stats["dead"]) == (2, 1)
    assert np.isnan(result.shifts).any(axis=1).tolist() == [i == 15 for i in range(23)]
    assert np.isfinite(result.template).all()
    corrected = stillscope.apply_motion(frames, result, fill=-1)
    assert (corrected[15] == -1).all()


# --- apply_motion ---------------------------------------------------------------------------------

SHIFTS = np.array(
    [(0, 0), (1, -2), (0.5, 0.25), (-1.37, 4.81), (10.999, -0.001), (0.3, 20), (-11.5, 2), (13, 0),
     (0, -17.2), (12, 16)]
)  # fmt: skip


def small_movie(dtype):
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(2)
    values = rng.uniform(0, 1, (len(SHIFTS), 12, 17))
    if dtype.kind == "b":
        return values > 0.5
    if dtype.kind == "f":
        return (values * 250).astype(dtype)
    low = 0 if dtype.kind == "u" else -levels(dtype)
    return np.rint(low + values * (levels(dtype) - low)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fill", [0, 1])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_against_a_naive_bilinear(dtype, fill, n_threads):
    frames = small_movie(dtype)
    before = frames.tobytes()
    out = stillscope.apply_motion(frames, SHIFTS, fill=fill, n_threads=n_threads)
    assert frames.tobytes() == before
    assert out.dtype == frames.dtype and out.shape == frames.shape
    exact = np.stack([bilinear(f, s, fill) for f, s in zip(frames, SHIFTS)])
    if frames.dtype.kind == "f":
        half = frames.dtype.itemsize == 2
        bound = 250 * (WARP_TOLERANCE_FLOAT16 if half else WARP_TOLERANCE)
        assert np.abs(out - exact).max() <= bound
    else:
        # Rounded to the nearest: either neighbour where the exact value lies between two.
        assert np.abs(out.astype(float) - exact).max() <= 0.5 + 1e-3
        if dtype != "?":
            assert np.abs(out.astype(float) - np.trunc(exact)).max() > 0.5


@pytest.mark.parametrize(
    ("dtype", "fill", "expected"), [("u1", 0, 255), ("i1", 0, 127), ("i2", 0, 32767),
                                    ("u2", 0, 65535), ("i4", 0, 2**31 - 1), ("u4", 0, 2**32 - 1),
                                    ("i8", 0, None), ("u8", 0, None)]
)  # fmt: skip
def test_the_largest_and_smallest_values_stay(dtype, fill, expected):
    info = np.iinfo(dtype)
    for value in (info.max, info.min):
        frames = np.full((3, 5, 6), value, dtype)
        shifts = [(0, 0), (1, 1), (0.25, -0.7)]
        out = stillscope.apply_motion(frames, shifts, fill=fill)
        inside = out[:, 1:-1, 1:-1].astype(float)
        # Nothing wraps round; single precision keeps 24 bits of the largest.
        np.testing.assert_allclose(inside, float(value), rtol=1e-6, atol=0)
        if expected is not None and value == info.max:
            assert out[0].max() == expected


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_nan_fill(dtype):
    frames = small_movie(dtype)
    out = stillscope.apply_motion(frames, SHIFTS, fill=np.nan)
    exact = np.stack([bilinear(f, s, np.nan) for f, s in zip(frames, SHIFTS)])
    np.testing.assert_array_equal(np.isnan(out), np.isnan(exact))
    assert np.isnan(out).any() and not np.isnan(out).all()
    assert np.nanmax(np.abs(out - exact)) <= 250 * (
        WARP_TOLERANCE_FLOAT16 if dtype == "f2" else WARP_TOLERANCE
    )


@pytest.mark.parametrize("dtype", ["f4", "u1", "?", "i8"])
@pytest.mark.parametrize("grid", ["exact", "cv2"])
def test_shifts_that_lead_nowhere_give_fill(dtype, grid):
    nowhere = [(np.nan, 0), (0, np.nan), (np.inf, 1), (-np.inf, 0), (13, 0), (0, -18), (1e300, 0)]
    frames = small_movie(dtype)[: len(nowhere)]
    out = stillscope.apply_motion(frames, nowhere, fill=1, grid=grid)
    assert out.dtype == frames.dtype and (out == 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_pixels_are_copied(dtype):
    frames = small_movie(dtype)[:2]
    for grid in ("exact", "cv2"):
        out = stillscope.apply_motion(frames, [(0, 0), (2, -3)], grid=grid)
        # Doubles go through single precision.
        is_double = frames.dtype.kind == "f" and frames.dtype.itemsize == 8
        kept = frames.astype("f4") if is_double else frames
        np.testing.assert_array_equal(out[0], kept[0])
        np.testing.assert_array_equal(out[1, 2:, :-3], kept[1, :-2, 3:])
        assert not out[1, :2].any() and not out[1, :, -3:].any()


def test_the_cv2_grid_is_32_positions_a_pixel():
    frames = small_movie("f4")[:1]
    fine = stillscope.apply_motion(frames, [(0.26, -0.74)], grid="cv2")
    snapped = stillscope.apply_motion(frames, [(8 / 32, -24 / 32)], grid="exact")
    np.testing.assert_allclose(fine, snapped, rtol=0, atol=1e-3)  # of 250; measured 3e-5
    assert np.abs(fine - stillscope.apply_motion(frames, [(0.26, -0.74)])).max() > 0.1


@pytest.mark.parametrize("size", [(96, 120), (61, 83)])
def test_the_exact_grid_is_that_of_opencv_5(size):
    cv2 = pytest.importorskip("cv2")
    if not cv2.__version__.startswith("5."):
        pytest.skip("OpenCV 4 samples on a grid")
    rng = np.random.default_rng(5)
    frames = rng.uniform(0, 255, (40, *size)).astype("f4")
    shifts = rng.uniform(-9, 9, (40, 2))
    for fill in (0, 50):
        out = stillscope.apply_motion(frames, shifts, fill=fill)
        for frame, (dy, dx), mine in zip(frames, shifts, out):
            matrix = np.array([[1, 0, dx], [0, 1, dy]], "f4")
            reference = cv2.warpAffine(
                frame, matrix, size[::-1], flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT, borderValue=fill,
            )  # fmt: skip
            assert np.abs(mine - reference).max() <= OPENCV_TOLERANCE


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(0, 12, 17), (3, 0, 17), (3, 12, 0)])
def test_an_empty_movie_is_applied_to_nothing(dtype, size):
    out = stillscope.apply_motion(np.empty(size, dtype), np.zeros((size[0], 2)))
    assert out.shape == size and out.dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_out(dtype):
    frames = small_movie(dtype)
    expected = stillscope.apply_motion(frames, SHIFTS)
    out = np.zeros_like(frames)
    assert stillscope.apply_motion(frames, SHIFTS, out=out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("name", [n for n in LAYOUTS if n not in ("read-only", "list")])
@pytest.mark.parametrize("dtype", ["f4", "u2"])
def test_out_in_any_layout(name, dtype):
    frames = small_movie(dtype)
    view, memory = next((v, m) for n, v, m in layouts(np.zeros_like(frames)) if n == name)
    source = frames.astype(view.dtype)  # the byte-swapped one has a dtype of its own
    stillscope.apply_motion(source, SHIFTS, out=view)
    np.testing.assert_array_equal(view, stillscope.apply_motion(frames, SHIFTS))
    if name == "strided":  # nothing written beside it
        assert not memory[::2].any() and not memory[:, :2].any() and not memory[:, :, 4::2].any()


def test_out_may_interleave_with_the_movie_but_not_overlap_it():
    memory = np.zeros((2 * len(SHIFTS), 12, 17), "f4")
    memory[::2] = small_movie("f4")
    expected = stillscope.apply_motion(memory[::2].copy(), SHIFTS)
    stillscope.apply_motion(memory[::2], SHIFTS, out=memory[1::2])
    np.testing.assert_array_equal(memory[1::2], expected)
    for out in (memory[::2], memory[-2::-2], memory[: len(SHIFTS)]):
        before = memory.tobytes()
        with pytest.raises(ValueError, match="out"):
            stillscope.apply_motion(memory[::2], SHIFTS, out=out)
        assert memory.tobytes() == before


def test_shifts_can_be_given_in_many_forms(movie):
    motion = stillscope.estimate_motion(movie)
    expected = stillscope.apply_motion(movie, motion.shifts)
    for shifts in (
        motion,
        motion.shifts.tolist(),
        motion.shifts.astype(">f8"),
        np.asfortranarray(motion.shifts),
        motion.shifts[::-1][::-1],
    ):
        assert stillscope.apply_motion(movie, shifts).tobytes() == expected.tobytes()
    whole = np.ones((23, 2), "u1")
    np.testing.assert_array_equal(
        stillscope.apply_motion(movie, whole), stillscope.apply_motion(movie, whole.astype(float))
    )


def test_shifting_and_shifting_back(movie):
    """Whole pixels lose nothing but the border."""
    shifts = np.tile([(3.0, -4.0)], (23, 1))
    there = stillscope.apply_motion(movie, shifts)
    back = stillscope.apply_motion(there, -shifts)
    np.testing.assert_array_equal(back[:, :-3, 4:], movie.astype("f4")[:, :-3, 4:])


# --- other pixels ---------------------------------------------------------------------------------

# px of the full movie: shifts that were estimated on it and on a copy binned by 2. Measured 0.0154
# and 0.038.
BINNED_RMS = 0.02
BINNED_MAX = 0.06


@pytest.mark.parametrize("dtype", ["f4", "u1", "i8", "?"])
@pytest.mark.parametrize(
    ("binning", "divisor"),
    [(2, 2), (0.5, 0.5), (3, 3), (np.float32(1.5), 1.5), ((2, 0.25), (2, 0.25)),
     ([1, 3], (1, 3)), (np.array([4, 1]), (4, 1))],
)  # fmt: skip
def test_binning_divides_the_shifts_exactly(dtype, binning, divisor):
    frames = small_movie(dtype)
    expected = stillscope.apply_motion(frames, SHIFTS / divisor, interpolation="cubic")
    out = stillscope.apply_motion(frames, SHIFTS, binning=binning, interpolation="cubic")
    np.testing.assert_array_equal(out, expected)


def by_two(frames):
    """Means of 2x2 pixels."""
    n, h, w = frames.shape
    return frames.reshape(n, h // 2, 2, w // 2, 2).mean((2, 4), dtype="f4")


def test_moved_then_binned_is_binned_then_moved():
    """For whole binned pixels, to the bit."""
    frames = np.random.default_rng(4).integers(0, 255, (5, 24, 30)).astype("f4")
    shifts = np.array([(0, 0), (2, -4), (-6, 8), (10, 2), (0, -12)])
    expected = by_two(stillscope.apply_motion(frames, shifts))
    out = stillscope.apply_motion(by_two(frames), shifts, binning=2)
    np.testing.assert_array_equal(out, expected)


def test_an_estimate_serves_a_movie_of_another_binning():
    frames, displacement = simulate_movie(60, 240, 320, seed=5, dtype=np.float32)
    small = by_two(frames)
    full, half = stillscope.estimate_motion(frames), stillscope.estimate_motion(small)
    rms, largest = error_of(2 * half.shifts, displacement)
    assert rms <= BINNED_RMS and largest <= BINNED_MAX
    assert error_of(full.shifts, displacement)[0] <= BINNED_RMS
    inner = np.s_[:, 30:-30, 30:-30]

    def unrest(movie):
        """Standard deviation over the frames, away from the borders."""
        return np.median(movie[inner].std(axis=0))

    for movie, own, other, binning in ((frames, full, half, 0.5), (small, half, full, 2)):
        by_own = stillscope.apply_motion(movie, own)
        by_other = stillscope.apply_motion(movie, other, binning=binning)
        assert unrest(by_other) <= 1.02 * unrest(by_own) < unrest(movie)  # measured 1.006
        forgotten = stillscope.apply_motion(movie, other)
        assert unrest(forgotten) > 1.5 * unrest(by_other)  # measured 1.7 and 5


@pytest.mark.parametrize(
    ("binning", "error"),
    [(0, ValueError), (-2, ValueError), (math.inf, ValueError), (math.nan, ValueError),
     ((2, 0), ValueError), ((1, 2, 3), ValueError), ("2", TypeError), (None, TypeError),
     ((1, "a"), TypeError)],
)  # fmt: skip
@pytest.mark.parametrize("frames", [len(SHIFTS), 0])
def test_binning_is_checked(binning, error, frames):
    movie, shifts = small_movie("f4")[:frames], SHIFTS[:frames]
    with pytest.raises(error, match="binning: expected .*number.* got "):
        stillscope.apply_motion(movie, shifts, binning=binning)


# --- the GIL --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["estimate", "apply"])
def test_other_threads_run_while_a_kernel_does(kernel):
    frames = np.random.default_rng(3).random((500, 200, 200), np.float32)
    if kernel == "apply":
        frames = np.broadcast_to(frames[:1], (3000, 200, 200))
        out, shifts = np.empty(frames.shape, "f4"), np.full((3000, 2), 0.3)

    def run():
        if kernel == "apply":
            stillscope.apply_motion(frames, shifts, out=out, n_threads=1)
        else:
            stillscope.estimate_motion(frames, n_threads=1)

    started, stop, ticks = threading.Event(), threading.Event(), []

    def tick():
        started.set()
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    other = threading.Thread(target=tick)
    other.start()
    started.wait(10)
    begin = time.perf_counter()
    run()
    end = time.perf_counter()
    stop.set()
    other.join(10)
    took = end - begin
    assert took > 0.05  # long enough to say something
    # Were the GIL held there would be no tick between the first and the last tenth.
    inside = [t for t in ticks if begin + 0.1 * took < t < end - 0.1 * took]
    assert len(inside) >= 5


def test_the_last_slot_is_the_last_frame_unless_asked_for_the_second():
    frames = moving_movie(27, 61, 83, seed=12, limit=12)[0]
    # Where every disagreement is followed, the choice of the slot shows.
    plain, last, second = (
        stillscope.estimate_motion(frames, alt_error=0.01, **options).shifts
        for options in ({}, {"slot_last": "last"}, {"slot_last": "second"})
    )
    assert np.array_equal(plain, last)
    assert not np.array_equal(plain, second)


@pytest.mark.parametrize("value", [1e-12, 0.1, 1e12])
@pytest.mark.parametrize("registrar", ["fft", "coarse_to_fine"])
def test_constant_frames_of_any_value_have_no_motion(value, registrar):
    movie = np.full((3, 64, 48), value, np.float32)
    assert not stillscope.estimate_motion(movie, registrar=registrar).shifts.any()


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1e17])
def test_frames_that_single_precision_cannot_correlate_are_refused(scale):
    noise = np.random.default_rng(0).standard_normal((64, 64)) * scale
    movie = np.stack([np.roll(noise, k, axis=0) for k in range(3)])
    with pytest.raises(ValueError, match="frames: expected a standard deviation"):
        stillscope.estimate_motion(movie)


def test_fallbacks_are_counted_with_the_work_that_they_took():
    movie = np.random.default_rng(1).random((4, 100, 100), np.float32)
    counts = stillscope.estimate_motion(movie, registrar="coarse_to_fine").stats["counts"]
    assert counts["fallbacks"] > 0
    assert counts["extra_spectra"] >= counts["fallbacks"] and counts["windows"] > 0


# --- interpolation and borders --------------------------------------------------------------------


def keys(t):
    """Cubic convolution, a = -1/2."""
    t = abs(t)
    if t < 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0


def convolved(frame, shift, kernel, reach, border, fill):
    """A frame moved by a kernel, pixel by pixel, in double."""
    height, width = frame.shape
    pad = reach + int(np.abs(shift).max()) + 1
    mode = {"mode": "edge"} if border == "nearest" else {"constant_values": fill}
    padded = np.pad(frame.astype("f8"), pad, **mode)
    out = np.zeros(frame.shape)
    for y in range(height):
        for x in range(width):
            py, px = y - shift[0], x - shift[1]
            for iy in range(int(np.floor(py)) - reach + 1, int(np.floor(py)) + reach + 1):
                wy = kernel(py - iy)
                for ix in range(int(np.floor(px)) - reach + 1, int(np.floor(px)) + reach + 1):
                    weight = wy * kernel(px - ix)
                    if weight:
                        out[y, x] += weight * padded[iy + pad, ix + pad]
    return out


@pytest.mark.parametrize("dtype", ["f4", "u1", "i2"])
@pytest.mark.parametrize("border", ["constant", "nearest"])
@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_interpolation_and_border_against_a_plain_convolution(dtype, border, interpolation):
    rng = np.random.default_rng(11)
    frames = rng.integers(0, 255, (7, 11, 13)).astype(dtype)
    shifts = [(0, 0), (1, -2), (0.5, 0.5), (-0.25, 3.75), (-2.6, 0), (0, 1.1), (-5.3, -4.8)]
    how = {"fill": 9, "interpolation": interpolation, "border": border}
    got = stillscope.apply_motion(frames, shifts, **how)
    kernel, reach = (keys, 2) if interpolation == "cubic" else (lambda t: max(0, 1 - abs(t)), 1)
    for frame, shift, out in zip(frames, shifts, got):
        expected = convolved(frame, np.array(shift, "f8"), kernel, reach, border, 9)
        if dtype == "f4":
            np.testing.assert_allclose(out, expected, atol=1e-3)  # of 255; measured 6e-5
        else:
            low, high = (0, 255) if dtype == "u1" else (-32768, 32767)
            assert np.abs(out - np.clip(np.rint(expected), low, high)).max() <= 1
    again = stillscope.apply_motion(frames, shifts, n_threads=3, **how)
    assert again.tobytes() == got.tobytes()
    turned = stillscope.apply_motion(np.asfortranarray(frames), shifts, **how)
    assert turned.tobytes() == got.tobytes()


def test_borders():
    frames = np.full((3, 9, 10), 7, "f4")
    shifts = [(1.5, -2.25), (-3, 0), (0, np.nan)]
    for interpolation in ("linear", "cubic"):
        edge = stillscope.apply_motion(
            frames, shifts, border="nearest", interpolation=interpolation
        )
        np.testing.assert_allclose(edge[:2], 7, rtol=1e-6)
        assert (edge[2] == 0).all()
        holes = stillscope.apply_motion(frames, shifts, border="nan", interpolation=interpolation)
        assert np.isnan(holes[2]).all() and np.isnan(holes[1, -3:]).all()
        reach = 1 if interpolation == "linear" else 2
        # Whole shifts read no sample of weight zero.
        assert np.isfinite(holes[1, :-3]).all()
        inner = holes[0, 1 + reach :, : -2 - reach]
        np.testing.assert_allclose(inner[: 9 - 1 - 2 * reach], 7, rtol=1e-6)
    with pytest.raises(ValueError, match="border: expected another than 'nan'"):
        stillscope.apply_motion(frames.astype("u1"), shifts, border="nan")
    with pytest.raises(ValueError, match="border: expected 'constant' or 'nan' or 'nearest'"):
        stillscope.apply_motion(frames, shifts, border="wrap")
    with pytest.raises(ValueError, match="interpolation: expected 'linear' or 'cubic'"):
        stillscope.apply_motion(frames, shifts, interpolation="sinc")


@pytest.mark.parametrize(("interpolation", "left"), [("linear", 0.25), ("cubic", 0.41)])
def test_what_interpolation_does_to_noise_and_flux(interpolation, left):
    rng = np.random.default_rng(12)
    noise = rng.standard_normal((4, 200, 220)).astype("f4")
    moved = stillscope.apply_motion(noise, np.full((4, 2), 0.5), interpolation=interpolation)
    np.testing.assert_allclose(moved[:, 3:-3, 3:-3].var(), left, rtol=0.03)
    spot = np.zeros((1, 40, 40), "f4")
    spot[0, 18:22, 17:23] = rng.random((4, 6))
    moved = stillscope.apply_motion(spot, [(2.3, -1.7)], interpolation=interpolation)
    np.testing.assert_allclose(moved.sum(), spot.sum(), rtol=1e-5)
