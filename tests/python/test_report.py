# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: its figures against plain NumPy, its page against a parser, its video decoded."""

import math
import re
import time
import warnings
from html.parser import HTMLParser

import numpy as np
import pytest
from support import as_dtype, bilinear, in_new_process, moving_movie

import stillscope
from stillscope.report import Summary, SummaryBuilder, gather, summarise, write_report
from stillscope.report.accumulate import PixelStatistics, covered
from stillscope.report.envelope import envelope, thinned
from stillscope.report.snippets import snippets_of
from stillscope.report.words import advice_for, indices_text, percent
from stillscope.report.worst import choose, thumbnail

_FRAMES = 40
# Drawing 200,000 frames takes 0.8 s on a busy core; a line of as many points takes some ten.
_DRAW_SECONDS = 10
# Bytes of one of these pictures; measured 131,000. As many points drawn one by one take millions.
_DRAW_BYTES = 500_000
# Relative, of sums in double. Measured 0: they are exact.
_MEAN_TOLERANCE = 1e-12
# Share of a pixel that comes from outside, above rounding. The smallest that is any: 0.014.
_OUTSIDE = 1e-6
# Grey levels: of means of floats against those of the same frames rounded. Measured 0.49.
_ROUNDING = 0.5
# How many times the rest of a torn frame's difference its strip has. Measured 4.4.
_STRIP_RATIO = 3
# What is left of a good frame over its contrast: noise. Measured 0.15.
_NOISE_SHARE = 0.25
# Correlation of a frame with what a video shows of it. Measured 0.991: compression.
_PREVIEW_SIMILARITY = 0.97
# Grey level of a label on black. Measured 255.
_LABEL_LEVEL = 150


def estimate(movie, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return stillscope.estimate_motion(movie, n_threads=1, **options)


def hurt(movie):
    """A black, a flashing, a torn and a repeated frame."""
    movie = movie.copy()
    movie[7] //= 20
    movie[15] = np.clip(movie[15].astype(int) * 2, 0, 255)
    movie[22, 30:60] = np.roll(movie[22, 30:60], 19, axis=1)
    movie[31] = movie[30]
    return movie


@pytest.fixture(scope="module")
def movie():
    return hurt(as_dtype(moving_movie(_FRAMES, seed=4)[0], "u1"))


@pytest.fixture(scope="module")
def motion(movie):
    return estimate(movie)


@pytest.fixture(scope="module")
def summary(movie, motion):
    return summarise(movie, None, motion, n_threads=1)


def handmade_motion(frames, size=(40, 50), seed=0):
    """An estimate of so many frames that nobody had to read."""
    rng = np.random.default_rng(seed)
    flags = {
        name: rng.random(frames) < share
        for name, share in (("black", 0.001), ("torn", 0.05), ("low_confidence", 0.2))
    }
    values = {
        name: rng.random(frames)
        for name in ("similarity_before", "similarity", "peak", "ratio", "residual", "gain")
    }
    quality = stillscope.FrameQuality(
        uncertainty=rng.random(frames) / 100, flags=flags, interpolated=flags["torn"], **values
    )
    shifts = np.cumsum(rng.normal(0, 0.1, (frames, 2)), axis=0)
    image = rng.random(size).astype(np.float32)
    return stillscope.MotionEstimate(
        shifts, image, quality, (slice(2, 38), slice(3, 47)), mean_before=image
    )


# ---------------------------------------------------------------- the summary


def test_images_are_those_of_numpy(movie, motion, summary):
    used = ~motion.quality.flagged
    assert used.sum() < _FRAMES
    np.testing.assert_array_equal(summary.used, used)
    np.testing.assert_array_equal(summary.mean_before, movie[used].mean(axis=0))
    np.testing.assert_array_equal(summary.max_before, movie[used].max(axis=0))

    corrected = stillscope.apply_motion(movie, motion).astype(float)
    ones = np.ones(movie.shape[1:])
    for k, shift in enumerate(motion.shifts):
        # A pixel that blends with the outside, where everything is 0, has less than 1 of ones.
        corrected[k][bilinear(ones, shift, 0.0) < 1 - _OUTSIDE] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # pixels that no frame covers
        np.testing.assert_allclose(
            summary.mean_after, np.nanmean(corrected[used], axis=0), rtol=_MEAN_TOLERANCE
        )
        np.testing.assert_array_equal(summary.max_after, np.nanmax(corrected[used], axis=0))


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "f4", "f8", "b1"])
def test_statistics_of_every_type(dtype):
    rng = np.random.default_rng(1)
    frames = (rng.normal(0, 100, (9, 13, 17))).clip(-120, 120).astype(dtype)
    if np.dtype(dtype).kind == "f":
        frames[2, 3] = np.nan
        frames[4, 5:7, 1] = np.inf
        frames[:, 9, 9] = np.nan
    statistics = PixelStatistics(frames.shape[1:], frames.dtype)
    total, count = np.zeros(frames.shape[1:]), np.zeros(frames.shape[1:], int)
    largest = np.full(frames.shape[1:], -np.inf)
    for k, frame in enumerate(frames):
        part = (slice(k % 3, 13 - k % 2), slice(k % 4, 17))
        statistics.add(frame, part)
        for i, j in np.ndindex(frame.shape):
            inside = part[0].start <= i < part[0].stop and part[1].start <= j < part[1].stop
            if inside and np.isfinite(frame[i, j]):
                total[i, j] += frame[i, j]
                count[i, j] += 1
                largest[i, j] = max(largest[i, j], frame[i, j])
    np.testing.assert_array_equal(statistics.count, count)
    expected = np.full(total.shape, np.nan)
    np.divide(total, count, out=expected, where=count > 0)
    np.testing.assert_allclose(statistics.mean, expected, rtol=_MEAN_TOLERANCE)
    np.testing.assert_array_equal(statistics.max, np.where(count > 0, largest, np.nan))


def test_sums_of_very_many_frames_are_exact():
    statistics = PixelStatistics((1, 2), np.dtype("u2"))
    frame = np.array([[65535, 1]], np.uint16)
    for _ in range(70_000):
        statistics.add(frame)
    np.testing.assert_array_equal(statistics.mean, frame)


@pytest.mark.parametrize("shift", [(0, 0), (1.25, -2), (-0.5, 3.5), (40, 0), (math.nan, 0)])
def test_covered_is_where_nothing_comes_from_outside(shift):
    shape = (12, 15)
    seen = np.zeros(shape, bool)
    part = covered(np.array(shift, float), shape)
    if part is not None:
        seen[part] = True
    moved = bilinear(np.ones(shape), np.array(shift, float), 0.0)
    np.testing.assert_array_equal(seen, moved == 1)


def test_streaming_gives_what_one_piece_gives(movie, motion, summary, monkeypatch):
    class Watched:
        shape, dtype = movie.shape, movie.dtype

        def __init__(self):
            self.read = []

        def __getitem__(self, run):
            assert run.stop - run.start <= 3
            self.read += range(run.start, run.stop)
            return movie[run]

    monkeypatch.setattr(gather, "_RUN_BYTES", 3 * movie[0].nbytes)
    watched, steps = Watched(), []
    streamed = summarise(
        watched, None, motion, n_threads=2, progress=lambda done, of: steps.append((done, of))
    )
    assert watched.read == list(range(_FRAMES))  # once, in order
    assert steps[-1] == (_FRAMES, _FRAMES)
    for name in ("mean_before", "mean_after", "max_before", "max_after"):
        np.testing.assert_array_equal(getattr(streamed, name), getattr(summary, name))
    np.testing.assert_array_equal(streamed.residual.after, summary.residual.after)
    assert streamed.to_dict() == summary.to_dict()


def test_corrected_movie_as_given_or_as_made(movie, motion, summary):
    given = summarise(movie, stillscope.apply_motion(movie, motion), motion, n_threads=1)
    np.testing.assert_array_equal(given.mean_after, summary.mean_after)
    floats = stillscope.apply_motion(movie.astype(np.float32), motion, border="nan")
    as_floats = summarise(movie, floats, motion, n_threads=1)
    np.testing.assert_allclose(as_floats.mean_after, summary.mean_after, rtol=0, atol=_ROUNDING)


APPLYING = [
    {"interpolation": "cubic"},
    {"border": "nearest"},
    {"fill": 250},
    {"interpolation": "cubic", "fill": 250},
]


@pytest.mark.parametrize("applying", APPLYING)
def test_corrected_as_frames_are_moved_elsewhere(movie, motion, summary, applying):
    corrected = stillscope.apply_motion(movie, motion, **applying)
    given = summarise(movie, corrected, motion, applying=applying, n_threads=1)
    made = summarise(movie, None, motion, applying=applying, n_threads=1)
    for name in ("mean_after", "max_after"):
        np.testing.assert_array_equal(getattr(made, name), getattr(given, name))
    for one, other, plain in zip(made.worst, given.worst, summary.worst):
        np.testing.assert_array_equal(one.after, other.after)
        np.testing.assert_array_equal(one.difference, plain.difference)
    is_other = not np.array_equal(made.mean_after, summary.mean_after, equal_nan=True)
    assert is_other == ("interpolation" in applying)  # what comes from outside is in no mean
    assert applying.items() <= made.parameters.items()


def test_code_of_the_page_moves_frames_the_same_way(movie, motion):
    how = {"interpolation": "cubic", "fill": float("nan")}
    frames = movie.astype(np.float32)
    summary = summarise(frames, None, motion, applying=how, parameters={"refine": 1})
    (again,) = [s for s in snippets_of(summary) if "again" in s.title]
    names = {"movie": frames}
    exec(again.code, names)
    expected = stillscope.apply_motion(frames, stillscope.estimate_motion(frames, refine=1), **how)
    np.testing.assert_array_equal(names["corrected"], expected)


def test_nothing_from_outside_is_in_the_means(movie):
    """Four samples on an axis reach further than two; frames that lie still reach nowhere."""
    motion = handmade_motion(len(movie), movie.shape[1:])
    motion.shifts[:3] = (0, 0), (3, -2), (2.5, 0)
    means = [
        summarise(
            movie, None, motion, applying={"interpolation": "cubic", "fill": fill}, n_threads=1
        ).mean_after
        for fill in (0, 255)
    ]
    np.testing.assert_array_equal(*means)
    motion.shifts[:] = 0
    whole = summarise(movie, None, motion, applying={"interpolation": "cubic"}, n_threads=1)
    np.testing.assert_array_equal(whole.mean_after, whole.mean_before)


@pytest.mark.parametrize(
    ("applying", "error", "message"),
    [
        ("cubic", TypeError, "applying: expected a mapping of options of apply_motion, got 'cub"),
        ({"binning": 2}, ValueError, "applying: expected options of fill, grid, interpolation, "),
        ({"border": "nan"}, ValueError, "border: expected another than 'nan'"),
        ({"fill": 1000}, ValueError, "fill: expected a number from 0 to 255"),
    ],
)
def test_other_ways_to_move_frames_are_refused(movie, motion, tmp_path, applying, error, message):
    pytest.importorskip("av")
    from stillscope.report import write_preview

    with pytest.raises(error, match=message):
        summarise(movie, None, motion, applying=applying)
    with pytest.raises(error, match=message):
        SummaryBuilder(motion, movie.shape, movie.dtype, applying=applying)
    with pytest.raises(error, match=message):
        write_preview(tmp_path / "a.mp4", movie, None, motion, applying=applying)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{}, {"preset": "miniscope"}, {"region": np.s_[8:90, 10:100]}])
def test_residual_motion_is_that_of_the_library(movie, options):
    motion = estimate(movie, **options)
    summary = summarise(movie, None, motion, sample=7, n_threads=1)
    whole = motion.residual_motion(movie, n_threads=1)
    frames = summary.residual.frames
    assert len(frames) == 7 and frames[0] == 0 and frames[-1] == _FRAMES - 1
    assert not motion.quality.flagged[frames].any()
    np.testing.assert_array_equal(summary.residual.before, whole.before[frames])
    np.testing.assert_array_equal(summary.residual.after, whole.after[frames])


def test_figures_follow_from_the_motion(movie, motion, summary):
    good = ~motion.quality.flagged
    plain = summary.to_dict()
    assert summary.crispness == motion.crispness
    assert summary.verdict == motion.verdict
    assert summary.status == ("helps" if motion.helps else "does not help")
    assert plain["similarity_after"] == pytest.approx(motion.quality.similarity[good].mean())
    assert plain["flagged"] == motion.quality.flagged.sum()
    assert set(plain["flags"]) >= {"black", "flash", "torn", "duplicate"}
    centre = np.median(motion.shifts[good], axis=0)
    far = np.linalg.norm(motion.shifts[good] - centre, axis=1)
    assert plain["displacement_max_px"] == pytest.approx(far.max())
    rows, columns = motion.valid
    assert plain["valid"] == [[rows.start, rows.stop], [columns.start, columns.stop]]
    assert {row.name for row in summary.figures} >= {"Similarity, mean", "Flagged frames"}


def test_worst_frames_show_every_flag(motion, summary):
    frames = [item.frame for item in summary.worst]
    assert len(frames) == len(set(frames)) <= 8
    for name, flag in motion.quality.flags.items():
        if flag.any():
            assert any(flag[k] for k in frames), name
    torn = next(item for item in summary.worst if "torn" in item.flags)
    assert "strip" in torn.reason and "before" in torn.reason
    strip, rest = torn.difference[35:55, 10:-10], torn.difference[70:85, 10:-10]
    assert np.nanstd(strip) > _STRIP_RATIO * np.nanstd(rest)  # the part that lies elsewhere
    assert choose(handmade_motion(500)).keys() == choose(handmade_motion(500)).keys()


def test_difference_of_a_good_frame_is_small(summary):
    item = next(item for item in summary.worst if not item.flags)
    # The frame less the template in its own brightness: noise alone.
    assert np.nanstd(item.difference) < _NOISE_SHARE * np.nanstd(item.after)


def test_thumbnails_keep_means():
    image = np.arange(500 * 700, dtype=np.float32).reshape(500, 700)
    image[0, 0] = np.nan
    small = thumbnail(image)
    assert small.shape == (167, 234) and small.dtype == np.float32
    assert small[1, 1] == pytest.approx(image[3:6, 3:6].mean())
    assert small[0, 0] == pytest.approx(np.nanmean(image[:3, :3]))


ODD = {
    "constant": np.full((12, 40, 50), 7, np.uint8),
    "noise": np.random.default_rng(0).integers(0, 255, (20, 64, 80)).astype(np.uint8),
    "one frame": np.random.default_rng(1).integers(0, 255, (1, 64, 80)).astype(np.uint16),
    "one pixel": np.zeros((5, 1, 1), np.int32),
    "small": np.random.default_rng(2).integers(0, 255, (5, 8, 9)).astype(np.int32),
    "all NaN": np.full((6, 40, 40), np.nan, np.float32),
    "some NaN": np.where(
        np.arange(12)[:, None, None] % 5 == 3, np.nan,
        np.random.default_rng(3).random((12, 64, 80)),
    ),
    "boolean": np.random.default_rng(4).random((5, 30, 40)) > 0.5,
}  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"refine": 0}, {"refine": 0, "preset": "miniscope"}])
@pytest.mark.parametrize("name", ODD)
def test_odd_movies_have_a_report(tmp_path, name, options):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    motion = estimate(ODD[name], **options)
    summary = summarise(ODD[name], None, motion, n_threads=1)
    if "preset" not in options:  # whose page is that of refine=0
        write_report(tmp_path / "report.html", summary)
        check_page((tmp_path / "report.html").read_text())
    assert summary.status in ("does not help", "cannot be told")
    assert advice_for(summary)
    assert summary._repr_html_() and motion._repr_html_() and repr(summary)


def test_verdict_without_refinement(movie):
    summary = summarise(movie, None, estimate(movie, refine=0), n_threads=1)
    assert summary.status == "cannot be told" and "refine=0" in summary.verdict
    assert np.isfinite(summary.crispness).all() and summary.crispness[1] > summary.crispness[0]
    assert summary.used.all() and summary.valid is None


def test_refusals(movie, motion, summary, tmp_path):
    with pytest.raises(ValueError, match=r"corrected: expected shape \(40, 96, 120\), got"):
        summarise(movie, movie[:-1], motion)
    with pytest.raises(ValueError, match="motion: expected one of 39 frames"):
        summarise(movie[:-1], None, motion)
    with pytest.raises(ValueError, match="expected frames of"):
        summarise(movie[:, :-1], None, motion)
    with pytest.raises(ValueError, match="n_threads: expected at least 1, got 0"):
        summarise(movie, None, motion, n_threads=0)
    with pytest.raises(TypeError, match="motion: expected a MotionEstimate, got ndarray"):
        summarise(movie, None, motion.shifts)
    builder = SummaryBuilder(motion, movie.shape, movie.dtype)
    builder.add(movie[:5])
    with pytest.raises(ValueError, match="frames: expected 40 of them, got 5"):
        builder.finish()
    with pytest.raises(ValueError, match="before: expected at most 35 frames"):
        builder.add(movie)
    with pytest.raises(ValueError, match="path: expected the suffix .html"):
        write_report(tmp_path / "report.txt", summary)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        write_report(tmp_path / "nowhere" / "report.html", summary)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- the page


class Page(HTMLParser):
    """Collects what a page refers to, and whether its tags are closed."""

    EMPTY = {"meta", "img", "source", "input", "br", "hr", "link"}

    def __init__(self):
        super().__init__()
        self.resources, self.ids, self.links, self.labels = [], [], [], []
        self.images, self.heads, self.text, self.open = [], [], [], []
        self.tables_without_heads = 0

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.resources += [attributes[n] for n in ("src", "srcset", "data") if n in attributes]
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "a":
            self.links.append(attributes["href"])
        if tag == "label":
            self.labels.append(attributes["for"])
        if tag == "img":
            self.images.append(attributes)
        if tag == "th":
            self.heads.append(attributes)
        assert tag not in ("script", "link", "iframe", "object"), tag
        assert not any(name.startswith("on") for name in attributes)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def check_page(text):
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert text.startswith("<!doctype html>")
    assert all(resource.startswith("data:image/png;base64,") for resource in page.resources)
    assert not re.search(r"https?:|url\(|@import", text)
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert set(page.labels) <= set(page.ids)
    assert page.images and all(image.get("alt") for image in page.images)
    assert page.heads and all(head.get("scope") for head in page.heads)
    return page


def test_page_needs_nothing_but_itself(tmp_path, summary):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    path = tmp_path / "report.html"
    path.write_text("an older one")
    write_report(path, summary)
    page = check_page(path.read_text())
    text = " ".join(" ".join(page.text).split())
    for words in ("Correction helps", "Mean image", "torn", "What to do next", "7", "apply_motion"):
        assert words in text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]  # no temporary file is left


def test_page_says_what_was_given(tmp_path, movie, motion):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    summary = summarise(
        movie, None, motion, n_threads=1,
        recording={
            "name": "mouse 1", "files": ["a1.avi", "a2.avi"], "frame_rate": 20.0,
            "pixel_size": (2.0, 2.0), "microscope": "V4",
            "missing": [("a1.avi", k, "cut off") for k in (5, 6, 7)] + [("a2.avi", None, "lost")],
        },
        parameters={"max_shift": 12.5, "preset": None},
        timings={"estimate": 2.5},
        outputs={"corrected.zarr": "x/corrected.zarr", "shifts.zarr": "x/corrected.shifts.zarr"},
    )  # fmt: skip
    write_report(tmp_path / "report.html", summary)
    page = check_page((tmp_path / "report.html").read_text())
    text = " ".join(" ".join(page.text).split())
    for words in (
        "mouse 1", "a2.avi", "20 Hz", "2 \N{MICRO SIGN}m", "V4", "5-7", "cut off", "Mind the gaps",
        "max_shift", "12.5", "2.5 s", "62.50 ms", "load_motion('x/corrected.shifts.zarr')",
        "open_zarr('x/corrected.zarr')['corrected']",
    ):  # fmt: skip
        assert words in text, words


def test_hostile_names_are_text(tmp_path, movie, motion):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}$\\frac$'
    summary = summarise(
        movie, None, motion, n_threads=1,
        recording={"name": evil, "files": [evil], "missing": [(evil, evil, evil)], evil: evil},
        parameters={evil: evil}, timings={evil: 1.0}, outputs={evil: evil + ".zarr"},
    )  # fmt: skip
    write_report(tmp_path / "report.html", summary)
    page = check_page((tmp_path / "report.html").read_text())
    assert any(evil in text for text in page.text)


def test_same_summary_same_bytes(tmp_path, summary):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    for name in ("a", "b"):
        write_report(tmp_path / f"{name}.html", summary)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_pictures_as_files(tmp_path, summary):
    pytest.importorskip("matplotlib")
    from stillscope.report import write_figures

    folder = tmp_path / "new" / "pictures"
    written = write_figures(folder, summary)
    assert sorted(written) == sorted(folder.iterdir())
    assert sorted(path.name for path in written) == sorted(
        f"{name}.png"
        for name in (
            "overview", "shifts", "similarity", "residual", "displacement", "uncertainty",
            "mean-before", "mean-after", "max-before", "max-after", "worst",
        )
    )  # fmt: skip
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


def test_overview_with_known_motion(summary):
    pytest.importorskip("matplotlib")
    from stillscope.report import overview_figure

    figure = overview_figure(summary, truth=summary.motion.shifts + 3.0)
    known, estimated = figure.axes[0].lines[:2]
    np.testing.assert_allclose(known.get_ydata(), estimated.get_ydata())  # one constant removed
    with pytest.raises(ValueError, match=r"truth: expected shape \(40, 2\)"):
        overview_figure(summary, truth=np.zeros((3, 2)))


def test_failed_write_keeps_the_old_page(tmp_path, summary, monkeypatch):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stillscope.io.durable.sync_tree", full)
    with pytest.raises(OSError, match="report.html"):
        write_report(path, summary)
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_notebook_shows_verdict_plot_and_figures(motion, summary):
    pytest.importorskip("matplotlib")
    for text in (motion._repr_html_(), summary._repr_html_()):
        assert "Correction helps" in text and "data:image/png" in text
        assert "Similarity, mean" in text and "<script" not in text


# ---------------------------------------------------------------- advice


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Nothing"),
        ({"bad_frames": np.arange(_FRAMES) % 3 < 2}, "Look at the flagged frames"),
        ({"refine": 0}, "refine=3"),
    ],
)
def test_advice_by_case(options, words):
    movie = as_dtype(moving_movie(_FRAMES, seed=4)[0], "u1")
    summary = summarise(movie, None, estimate(movie, **options), n_threads=1)
    assert any(words in item.what for item in summary.advice)


def test_advice_leaves_a_still_movie_alone():
    rng = np.random.default_rng(0)
    scene = moving_movie(1, seed=2)[0][0]
    movie = np.rint(scene + rng.normal(0, 4, (30, *scene.shape))).clip(0, 255).astype(np.uint8)
    summary = summarise(movie, None, estimate(movie), n_threads=1)
    assert summary.status == "does not help" and summary.is_still
    assert summary.advice[0].what == "Leave the movie as it is"


def test_words():
    assert indices_text([]) == ""
    assert indices_text([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"
    assert indices_text(np.arange(0, 100, 2), most=2) == "0, 2 and 48 more"
    assert [percent(share) for share in (0, 0.0004, 0.004, 0.25, 1)] == [
        "0 %", "<0.1 %", "0.4 %", "25 %", "100 %",
    ]  # fmt: skip


# ---------------------------------------------------------------- very long movies


def test_envelope_keeps_extremes():
    rng = np.random.default_rng(0)
    values = rng.normal(size=100_003)
    values[40_000], values[40_001] = 50, -60
    values[60_000:70_000] = np.nan
    x, y = envelope(values, 500)
    assert len(x) == 1000 and (np.diff(x) >= 0).all()
    assert np.nanmax(y) == 50 and np.nanmin(y) == -60
    assert np.isnan(y[(x > 60_500) & (x < 69_500)]).all()
    np.testing.assert_array_equal(values[x.astype(int)], y)
    flag = np.zeros(100_000, bool)
    flag[[3, 99_999]] = True
    assert thinned(flag, 500).sum() == 400


def test_very_many_frames_draw_fast(tmp_path):
    pytest.importorskip("matplotlib")
    from stillscope.report.drawing import png
    from stillscope.report.figures import all_figures

    motion = handmade_motion(200_000)
    image = np.zeros((40, 50))
    summary = Summary(
        motion=motion, shape=(200_000, 40, 50), dtype=np.dtype("u1"), status="helps", verdict="",
        mean_before=image, mean_after=image, max_before=image, max_after=image,
        used=~motion.quality.flagged, residual=None, worst=(), crispness=(1.0, 2.0),
        recording={"frame_rate": 30.0},
    )  # fmt: skip
    start = time.perf_counter()
    drawn = {name: png(figure) for name, figure in all_figures(summary).items()}
    assert time.perf_counter() - start < _DRAW_SECONDS
    assert set(drawn) == {"shifts", "similarity", "displacement", "uncertainty"}
    assert all(len(data) < _DRAW_BYTES for data in drawn.values())


# ---------------------------------------------------------------- the preview


def decoded(path):
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(stream)]
        return frames, float(stream.average_rate), stream.codec_context.pix_fmt


def similarity(a, b):
    """Correlation of two images."""
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_preview_shows_both_movies(tmp_path, dtype):
    pytest.importorskip("av")
    from stillscope.report import write_preview

    movie = as_dtype(moving_movie(25, height=95, width=121, seed=4)[0], dtype)
    if dtype == "f4":
        movie[3, 10:20] = np.nan
    motion = estimate(movie)
    steps = []
    count = write_preview(
        tmp_path / "preview.mp4", movie, None, motion, frame_rate=12.5, labels=False,
        n_threads=1, progress=lambda *step: steps.append(step),
    )  # fmt: skip
    frames, rate, pixels = decoded(tmp_path / "preview.mp4")
    assert count == len(frames) == 25 and rate == 12.5 and pixels == "yuv420p"
    assert steps[-1] == (25, 25)
    assert frames[0].shape == (96, 246)  # even: 95 + 1, 121 + 4 + 121
    corrected = stillscope.apply_motion(movie, motion)
    for k in (8, 20):
        shown = frames[k].astype(float)
        for part, frame in ((shown[:95, :121], movie[k]), (shown[:95, 125:246], corrected[k])):
            assert similarity(part, frame) > _PREVIEW_SIMILARITY


@pytest.mark.parametrize("applying", APPLYING)
def test_preview_moves_frames_as_they_are_moved_elsewhere(
    tmp_path, movie, motion, applying, pictures
):
    pytest.importorskip("av")
    from stillscope.report import write_preview

    corrected = stillscope.apply_motion(movie, motion, **applying)
    for given, how in ((None, {"applying": applying}), (corrected, {}), (None, {})):
        write_preview(tmp_path / "a.mp4", movie, given, motion, labels=False, n_threads=1, **how)
    made, expected, plain = np.split(np.stack(pictures), 3)
    np.testing.assert_array_equal(made, expected)
    assert not np.array_equal(made, plain)


def test_preview_of_a_long_or_large_movie_is_small(tmp_path, motion, movie):
    pytest.importorskip("av")
    from stillscope.report import write_preview

    count = write_preview(tmp_path / "a.mp4", movie, movie, motion, most_frames=7, labels=False)
    frames, _, _ = decoded(tmp_path / "a.mp4")
    assert count == len(frames) == 7  # every 6th
    assert similarity(frames[1][:, :120], movie[6]) > _PREVIEW_SIMILARITY

    large = np.repeat(np.repeat(movie[:2], 12, axis=1), 12, axis=2)
    still = handmade_motion(2, large.shape[1:])
    write_preview(tmp_path / "b.mp4", large, large, still, labels=False)
    assert max(decoded(tmp_path / "b.mp4")[0][0].shape) <= 1604


def test_preview_of_a_movie_that_fails(tmp_path, motion, movie):
    pytest.importorskip("av")
    from stillscope.report import write_preview

    class Failing:
        shape, dtype = movie.shape, movie.dtype

        def __getitem__(self, run):
            if run.stop - run.start > 1:  # not one frame, for the contrast
                raise OSError("m.avi: can't be read")
            return movie[run]

    with pytest.raises(OSError, match="^m.avi: can't be read$"):
        write_preview(tmp_path / "a.mp4", Failing(), None, motion)
    assert list(tmp_path.iterdir()) == []


def test_preview_has_labels(tmp_path, motion, movie):
    pytest.importorskip("av")
    pytest.importorskip("matplotlib")
    from stillscope.report import write_preview

    write_preview(tmp_path / "a.mp4", movie, None, motion, labels=True)
    frames, _, _ = decoded(tmp_path / "a.mp4")
    assert frames[0].shape == (96 + 22, 244)
    assert frames[0][:22, :100].max() > _LABEL_LEVEL
    assert frames[0][:22, 124:190].max() > _LABEL_LEVEL


def test_preview_refuses(tmp_path, motion, movie):
    pytest.importorskip("av")
    from stillscope.report import write_preview

    with pytest.raises(ValueError, match="path: expected the suffix .mp4"):
        write_preview(tmp_path / "a.avi", movie, None, motion)
    with pytest.raises(ValueError, match="frame_rate: expected a finite number above 0, got 0"):
        write_preview(tmp_path / "a.mp4", movie, None, motion, frame_rate=0)
    with pytest.raises(ValueError, match="most_frames: expected at least 1"):
        write_preview(tmp_path / "a.mp4", movie, None, motion, most_frames=0)
    with pytest.raises(ValueError, match="n_threads: expected at least 1, got 0"):
        write_preview(tmp_path / "a.mp4", movie, None, motion, n_threads=0)
    with pytest.raises(TypeError, match="n_threads: expected an integer, got '2'"):
        write_preview(tmp_path / "a.mp4", movie, None, motion, n_threads="2")
    with pytest.raises(ValueError, match="corrected: expected shape"):
        write_preview(tmp_path / "a.mp4", movie, movie[1:], motion)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- extras


def test_import_takes_nothing_along():
    loaded = in_new_process(
        """
        import json, sys
        import stillscope, stillscope.report
        heavy = {"matplotlib", "jinja2", "av", "PIL", "pandas", "xarray"}
        print(json.dumps(sorted(heavy & set(sys.modules))))
        """
    )
    assert loaded == []


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2", "av"])
def test_missing_extras_name_themselves(missing, tmp_path):
    messages = in_new_process(
        """
        import json, sys
        sys.modules[sys.argv[1]] = None
        import numpy as np, stillscope
        from stillscope.report import summarise, write_figures, write_preview, write_report
        movie = np.random.default_rng(0).integers(0, 99, (4, 30, 40)).astype(np.uint8)
        motion = stillscope.estimate_motion(movie, refine=0)
        summary = summarise(movie, None, motion)
        said = []
        for call in (
            lambda: write_report(sys.argv[2] + "/a.html", summary),
            lambda: write_figures(sys.argv[2] + "/a", summary),
            lambda: write_preview(sys.argv[2] + "/a.mp4", movie, None, motion),
            lambda: write_preview(sys.argv[2] + "/b.mp4", movie, None, motion, labels=True),
        ):
            try:
                call()
                said.append("")
            except ImportError as error:
                said.append(str(error))
        said.append("<img" if "<img" in motion._repr_html_() else "table" if "<table" in
                    motion._repr_html_() else "")
        print(json.dumps(said))
        """,
        missing,
        tmp_path,
    )
    plots = 'the report needs Matplotlib: pip install "stillscope[report]"'
    pages = 'the report needs Jinja2: pip install "stillscope[report]"'
    videos = 'the preview needs PyAV: pip install "stillscope[video]"'
    expected = {
        "matplotlib": [plots, plots, "", plots, "table"],
        "jinja2": [pages, "", "", "", "<img"],
        "av": ["", "", videos, videos, "<img"],
    }
    assert messages == expected[missing]
