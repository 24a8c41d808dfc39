# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw the pictures of docs/report.md and the README's: of recordings that are simulated.

    python docs/images/make_reports.py FOLDER [--pictures]

writes good.html, bad.html and do-no-harm.html into FOLDER; with --pictures (needs Chromium) also
what a browser shows of them: the pictures for the docs beside this script, and whole pages of a
desktop's and a phone's width in FOLDER. correction.png, the README's, is drawn in any case.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import time
import warnings
from pathlib import Path

import numpy as np

import stillscope
from stillscope.report import Summary, summarise, write_report
from stillscope.report.figures import overview_figure
from stillscope.simulate import simulate_movie

_FRAMES, _HEIGHT, _WIDTH = 600, 360, 480
_RATE = 20.0
_DESKTOP, _PHONE = 1280, 390  # px
_DOCS_HEIGHT, _DOCS_WIDTH = 2650, 900  # px: of the page, and of the picture
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def good() -> Summary:
    """A recording that moves, with a few frames that came to harm."""
    movie, _ = simulate_movie(_FRAMES, _HEIGHT, _WIDTH, seed=3)
    _harm(movie, black=[212], torn=[88, 431], duplicate=[301])
    return _report("session-a", movie)


def bad() -> Summary:
    """Stripes that stay on the sensor hold the estimate, and many frames came to harm."""
    movie, _ = simulate_movie(_FRAMES, _HEIGHT, _WIDTH, seed=5, limit=8)
    stripes = 45 * np.sin(2 * np.pi * np.arange(_WIDTH) / 6.0) * (np.arange(_WIDTH) % 48 < 30)
    movie = np.clip(movie + stripes, 0, 255).astype(np.uint8)
    _harm(
        movie, black=[40, 41, 42, 305], flash=[150, 390, 391], torn=[75, 222, 223, 460, 520],
        duplicate=[101, 102, 350, 351, 352],
    )  # fmt: skip
    missing = [("session-b/2.avi", k, "the frame could not be decoded") for k in (57, 58, 59)]
    missing.append(("session-b/3.avi", 181, "the file ends inside this frame"))
    return _report("session-b", movie, missing=missing)


def do_no_harm() -> Summary:
    """A scene that stands still: frames are best left as they are."""
    still = np.zeros((_FRAMES, 2))
    movie, _ = simulate_movie(_FRAMES, _HEIGHT, _WIDTH, seed=7, displacement=still)
    return _report("session-c", movie)


def draw_overview(picture: Path) -> None:
    """What `stillscope correct` makes of the recording that it simulates."""
    movie, displacement = simulate_movie()
    motion = stillscope.estimate_motion(movie)
    figure = overview_figure(summarise(movie, None, motion), truth=-displacement)
    figure.savefig(picture, dpi=120)


def _harm(movie: np.ndarray, *, black=(), flash=(), torn=(), duplicate=()) -> None:
    movie[list(black)] = movie[list(black)] // 12
    movie[list(flash)] = np.clip(movie[list(flash)].astype(int) * 2 + 30, 0, 255)
    for k in torn:
        third = movie.shape[1] // 3
        movie[k, third : 2 * third] = np.roll(movie[k, third : 2 * third], 23, axis=1)
    for k in duplicate:
        movie[k] = movie[k - 1]


def _report(name: str, movie: np.ndarray, *, missing=()) -> Summary:
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        motion = stillscope.estimate_motion(movie)
    estimated = time.perf_counter()
    corrected = stillscope.apply_motion(movie, motion)
    applied = time.perf_counter()
    return summarise(
        movie, corrected, motion,
        recording={
            "name": name, "files": [f"{name}/{k}.avi" for k in (1, 2, 3)], "frame_rate": _RATE,
            "missing": missing,
        },
        parameters={"refine": 3, "interpolation": "linear", "border": "constant"},
        timings={"estimate": estimated - start, "apply": applied - estimated},
        outputs={
            "movie": f"{name}/corrected.zarr", "shifts": f"{name}/corrected.shifts.zarr",
        },
    )  # fmt: skip


def _screenshot(browser: str, page: Path, picture: Path, width: int, height: int) -> None:
    subprocess.run(
        [browser, "--headless=new", "--no-sandbox", "--hide-scrollbars",
         f"--window-size={width},{height}", f"--screenshot={picture}", page.resolve().as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip


def _picture_for_docs(page: Path, picture: Path, browser: str) -> None:
    from PIL import Image

    _screenshot(browser, page, picture, _DESKTOP, _DOCS_HEIGHT)
    with Image.open(picture) as image:
        size = (_DOCS_WIDTH, round(_DOCS_WIDTH * image.height / image.width))
        image = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    image.save(picture, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", action="store_true")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if arguments.pictures and browser is None:
        raise SystemExit("--pictures: expected Chromium, found none")
    draw_overview(Path(__file__).with_name("correction.png"))
    for name, make in (("good", good), ("bad", bad), ("do-no-harm", do_no_harm)):
        page = arguments.folder / f"{name}.html"
        summary = make()
        write_report(page, summary)
        print(f"{page}: {summary.verdict}")
        if arguments.pictures:
            beside = Path(__file__).with_name(f"report-{name}.png")
            _picture_for_docs(page, beside, browser)
            for width, height in ((_DESKTOP, 5600), (_PHONE, 8600)):
                picture = arguments.folder / f"{name}-{width}.png"
                _screenshot(browser, page, picture, width, height)


if __name__ == "__main__":
    main()
