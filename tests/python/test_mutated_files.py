# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged videos and TIFF files: no crash, no hang, and the frames that are whole are kept.

Every case is made from its number. ``STILLSCOPE_MUTATED_FILES=1000 pytest`` on this file runs that
many; the last line says what came of them.
"""

import os
import struct
import time
import warnings
from collections import Counter

import numpy as np
import pytest

from stillscope.io import open_movie

av = pytest.importorskip("av")
tifffile = pytest.importorskip("tifffile")

CASES = int(os.environ.get("STILLSCOPE_MUTATED_FILES", "72"))
FRAMES, HEIGHT, WIDTH = 12, 24, 32
TIMEOUT = 20.0  # s without a sign of life; the machine may be busy
LONGEST = 90.0  # s for a file
# Of at least so many files, the share that opens, and frames a file that had to be there and were:
# were they refused, or nobody knew what to expect of them, the cases would say nothing. Measured
# 0.96 and 4.1 of 72.
ENOUGH = 20
LEAST_OPENED = 0.75
LEAST_KEPT = 1.5

VIDEOS = {"ffv1": "gray", "mjpeg": "yuvj420p", "rawvideo": "gray"}
TIFFS = {
    "plain": {},
    "pages": {"metadata": None, "contiguous": False},
    "deflate": {"compression": "zlib"},
    "big": {"bigtiff": True, "metadata": None, "contiguous": False},
    "imagej": {"imagej": True},
}
figures = Counter()


def movie():
    """Smooth frames that differ: an image moves, so that no two are the same."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [np.sin((y + 3 * k) / 5) * np.cos((x - 2 * k) / 7) for k in range(FRAMES)]
    return np.rint(127 + 100 * np.stack(waves)).astype(np.uint8)


def write_video(path, codec):
    with av.open(str(path), "w") as container:
        options = {"g": "1", "level": "3", "slices": "4"} if codec == "ffv1" else {}
        stream = container.add_stream(codec, rate=20, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, VIDEOS[codec]
        for k, image in enumerate(movie()):
            frame = av.VideoFrame.from_ndarray(image, format="gray")
            frame = frame.reformat(format=VIDEOS[codec])
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_tiff(path, kind):
    options = dict(TIFFS[kind])
    contiguous = options.pop("contiguous", None)
    big = options.pop("bigtiff", False)
    imagej = options.pop("imagej", False)
    with tifffile.TiffWriter(path, bigtiff=big, imagej=imagej) as writer:
        if contiguous is None:
            writer.write(movie(), photometric="minisblack", **options)
        else:
            for image in movie():
                writer.write(image, photometric="minisblack", contiguous=contiguous, **options)


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    """By kind: the file's bytes, its frames, and where the data of each lie: (begin, end)."""
    folder, files = tmp_path_factory.mktemp("intact"), {}
    for codec in VIDEOS:
        path = folder / f"{codec}.avi"
        write_video(path, codec)
        with av.open(str(path)) as container:
            packets = [p for p in container.demux(video=0) if p.size]
            places = [(p.pos, p.pos + p.size) for p in packets]
        files[codec] = (path.suffix, path.read_bytes(), open_movie(path)[:], places)
    for kind in TIFFS:
        path = folder / f"{kind}.tif"
        write_tiff(path, kind)
        with tifffile.TiffFile(path) as tif:
            strips = [(page.dataoffsets[0], sum(page.databytecounts)) for page in tif.pages]
            places = [(begin, begin + size) for begin, size in strips]
        files[kind] = (path.suffix, path.read_bytes(), open_movie(path)[:], places)
    for kind, (_, _, frames, places) in files.items():
        assert len(frames) == len(places) == FRAMES
        assert kind == "mjpeg" or np.array_equal(frames, movie())
    return files


# Mutations: the damaged bytes, and which frames must be there, by their number; None: nobody knows.


def truncated(rng, kind, content, places):
    cut = int(rng.integers(0, len(content)))
    whole = [k for k, (_, end) in enumerate(places) if end <= cut]
    if kind in ("pages", "big", "deflate"):
        whole = None  # directories lie between the frames
    if kind in VIDEOS and whole == []:
        whole = None
    return content[:cut], whole


def flipped_in_a_frame(rng, kind, content, places):
    hit = int(rng.integers(FRAMES))
    for _ in range(int(rng.integers(1, 9))):
        at = int(rng.integers(*places[hit]))
        content[at] ^= 1 << int(rng.integers(8))
    return content, [k for k in range(FRAMES) if k != hit]


def zeroed_frame(rng, kind, content, places):
    hit = int(rng.integers(FRAMES))
    begin, end = places[hit]
    content[begin:end] = bytes(end - begin)
    return content, [k for k in range(FRAMES) if k != hit]


def flipped_anywhere(rng, kind, content, places):
    for _ in range(int(rng.integers(1, 33))):
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    return content, None


def lying_header(rng, kind, content, places):
    """A field of the header, or of a directory, becomes a number that is often a lie."""
    number = int(rng.choice([0, 1, 7, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF]))
    if kind in VIDEOS:
        at = 4 * int(rng.integers(3, places[0][0] // 4))
    else:
        form, place = ("<Q", 8) if kind == "big" else ("<I", 4)
        at = struct.unpack_from(form, content, place)[0] + int(rng.integers(0, 150))
    content[at : at + 4] = number.to_bytes(4, "little")
    return content, None


def lying_count(rng, kind, content, places):
    """The places of an AVI header that state how many frames there are."""
    if kind not in VIDEOS:
        return lying_header(rng, kind, content, places)
    number = int(rng.choice([0, 1, 5, 13, 1000, 0x7FFFFFFF]))
    for chunk, offset in ((b"avih", 24), (b"strh", 40)):
        at = content.index(chunk) + offset
        content[at : at + 4] = number.to_bytes(4, "little")
    return content, list(range(FRAMES))


def removed(rng, kind, content, places):
    hit = int(rng.integers(FRAMES))
    begin, end = places[hit]
    if kind in VIDEOS:  # the whole chunk
        del content[begin - 8 : end + (end - begin) % 2]
        return content, [k for k in range(FRAMES) if k != hit]
    del content[begin:end]
    return content, None


def duplicated(rng, kind, content, places):
    hit = int(rng.integers(FRAMES))
    begin, end = places[hit]
    if kind in VIDEOS:
        begin, end = begin - 8, end + (end - begin) % 2
    content[end:end] = content[begin:end]
    return content, list(range(FRAMES)) if kind in VIDEOS else None


def stated_too_long(rng, kind, content, places):
    """A chunk's, or strip's, number of bytes is a lie."""
    if kind not in VIDEOS:
        return lying_header(rng, kind, content, places)
    at = places[int(rng.integers(FRAMES))][0] - 4
    number = int(rng.choice([0, 1, 100, 100_000, 0x7FFFFFFF, 0xFFFFFFFF]))
    content[at : at + 4] = number.to_bytes(4, "little")
    return content, None


MUTATIONS = [
    truncated, flipped_in_a_frame, zeroed_frame, flipped_anywhere, lying_header, lying_count,
    removed, duplicated, stated_too_long,
]  # fmt: skip


def matches(frames, reference):
    """The numbers of the reference's frames that are there, in order."""
    found = []
    for image in frames:
        found += [k for k in range(FRAMES) if np.array_equal(image, reference[k])][:1]
    return found


def in_order(numbers, found):
    """Those of the numbers that are found one behind the other."""
    rest = iter(found)
    return [number for number in numbers if number in rest]


@pytest.mark.parametrize("number", range(CASES))
def test_whatever_is_done_to_a_file_whole_frames_are_kept(tmp_path, intact, number):
    rng = np.random.default_rng([6, number])
    kinds = list(intact)
    kind = kinds[number % len(kinds)]
    mutate = MUTATIONS[number // len(kinds) % len(MUTATIONS)]
    suffix, content, reference, places = intact[kind]
    content, whole = mutate(rng, kind, bytearray(content), places)
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            with open_movie(path, timeout=TIMEOUT) as recording:
                frames = recording[:]
                blocks = np.concatenate(list(recording.blocks(5)))
        except ValueError as error:
            assert str(error).startswith(str(path))
            frames = None
    took = time.monotonic() - began
    figures.update(files=1, opened=frames is not None, frames=0 if frames is None else len(frames))
    figures["longest"] = max(figures["longest"], took)
    assert took < LONGEST
    if frames is None:
        assert not whole, f"{mutate.__name__} of {kind}: {whole} are whole"
        return
    assert blocks.shape == frames.shape
    if frames.shape[1:] == reference.shape[1:] and whole is not None:
        for read in (frames, blocks):
            found = matches(read, reference)
            kept = in_order(whole, found)
            assert len(kept) == len(whole), f"{mutate.__name__} of {kind}: {found} are there"
        figures.update(expected=len(whole), kept=len(kept))


def test_the_cases_say_something(capsys):
    with capsys.disabled():
        print(f"\n{dict(figures)}")
    if figures["files"] < ENOUGH:
        pytest.skip("needs the cases above")
    assert figures["opened"] >= LEAST_OPENED * figures["files"]
    assert figures["kept"] >= LEAST_KEPT * figures["files"]
