# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged files, and a decoder that dies or hangs, cost the frames that are bad and no others."""

import os
import signal
import struct
import subprocess
import sys
import textwrap
import time
import warnings

import numpy as np
import pytest
from support import import_quietly
from test_readers import encode, noise, state_frames, write_tiff

from stillscope.io import open_movie
from stillscope.io.process import DecoderDied, DecoderProcess

pytest.importorskip("av")
tifffile = import_quietly("tifffile")

PATIENCE = 20.0  # s for things that take a fraction of one; the machine may be busy


def chunks(content):
    """Where the frames of an AVI file lie, without their chunk headers: (begin, end) of each."""
    at, places = content.index(b"movi") + 4, []
    while content[at : at + 4] == b"00dc":
        (size,) = struct.unpack_from("<I", content, at + 4)
        places.append((at + 8, at + 8 + size))
        at += 8 + size + size % 2
    return places


def opened(path, **options):
    """The recording, which must warn of what is missing."""
    with pytest.warns(UserWarning, match="are left out"):
        return open_movie(path, **options)


def frames_of(recording):
    return [missing.frame for missing in recording.missing]


@pytest.mark.parametrize("check", [True, False])
def test_a_truncated_video_gives_the_frames_before_the_cut(tmp_path, check):
    movie, path = noise(40, 32, 32), tmp_path / "cut.avi"
    encode(path, movie)
    content = path.read_bytes()
    whole = 25
    path.write_bytes(content[: chunks(content)[whole][0] + 100])
    recording = opened(path, check=check)
    assert np.array_equal(np.concatenate(list(recording.blocks(7))), movie[:whole])
    assert recording.shape == (whole, 32, 32)
    assert recording.missing[0][1:] == (whole, "cut off")
    assert recording.missing[1].frame is None and "states 40" in recording.missing[1].reason
    assert "2 missing" in repr(recording)


@pytest.mark.parametrize("codec", ["ffv1", "mjpeg"])
@pytest.mark.parametrize("check", [True, False])
def test_damaged_frames_are_left_out_and_listed(tmp_path, codec, check):
    path = tmp_path / "damaged.avi"
    encode(path, noise(20, 48, 64), codec, "yuvj420p" if codec == "mjpeg" else "gray")
    movie = open_movie(path)[:]
    content = bytearray(path.read_bytes())
    for k in (4, 10):
        begin, end = chunks(content)[k]
        content[begin:end] = bytes(end - begin)
    path.write_bytes(content)
    kept = [k for k in range(20) if k not in (4, 10)]
    if check:
        recording = opened(path)
        assert np.array_equal(recording[:], movie[kept])
        assert np.array_equal(recording[5], movie[6])
    else:
        recording = open_movie(path, check=False)
        assert len(recording) == 20 and not recording.is_exact
        with pytest.raises(OSError, match=r"frame 4 can't be decoded \(.*open with check=True"):
            recording[4]
        with pytest.raises(OSError, match="frame 10 can't be decoded"):
            recording[8:12]
        assert np.array_equal(recording[11], movie[11])
    for size in (3, 20):
        assert np.array_equal(np.concatenate(list(recording.blocks(size))), movie[kept])
    assert frames_of(recording) == [4, 10] and len(recording) == 18 and recording.is_exact
    assert np.array_equal(recording[[4, 9]], movie[[5, 11]])


def test_wrong_checksums_are_noticed(tmp_path):
    """FFmpeg patches such a frame with pixels of the one before, and says so in its log alone."""
    movie, path = noise(10, 64, 64), tmp_path / "flipped.avi"
    encode(path, movie, level="3", slices="4")
    content = bytearray(path.read_bytes())
    begin, end = chunks(content)[6]
    content[(begin + end) // 2] ^= 1
    path.write_bytes(content)
    recording = opened(path)
    assert frames_of(recording) == [6]
    assert np.array_equal(recording[:], np.delete(movie, 6, axis=0))


def test_frames_that_refer_to_a_missing_one_are_left_out(tmp_path):
    movie, path = noise(24, 32, 32), tmp_path / "chain.avi"
    encode(path, movie, g="8", level="3")
    content = bytearray(path.read_bytes())
    begin, end = chunks(content)[10]
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)
    recording = opened(path)
    assert frames_of(recording) == list(range(10, 16))
    assert "refers to frame 10" in recording.missing[1].reason
    assert np.array_equal(recording[:], np.delete(movie, range(10, 16), axis=0))


def test_dropped_frames_are_listed(tmp_path):
    movie, path = noise(9, 16, 16), tmp_path / "dropped.avi"
    encode(path, movie)
    content = bytearray(path.read_bytes())
    begin, end = chunks(content)[3]
    del content[begin : end + (end - begin) % 2]
    content[begin - 4 : begin] = bytes(4)  # a chunk of no bytes
    path.write_bytes(content)
    recording = opened(path)
    assert frames_of(recording) == [3] and "dropped" in recording.missing[0].reason
    assert np.array_equal(recording[:], np.delete(movie, 3, axis=0))


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("stated", [0, 3])
def test_a_header_that_states_too_few_frames_is_not_believed(tmp_path, stated, check):
    movie = noise(9, 16, 16)
    encode(tmp_path / "few.avi", movie)
    state_frames(tmp_path / "few.avi", stated)
    with open_movie(tmp_path / "few.avi", check=check) as recording:
        assert np.array_equal(recording[:], movie)


def test_a_header_that_states_too_many_frames_is_reported(tmp_path):
    movie = noise(9, 16, 16)
    encode(tmp_path / "many.avi", movie)
    state_frames(tmp_path / "many.avi", 1000)
    recording = opened(tmp_path / "many.avi")
    assert np.array_equal(recording[:], movie)
    assert recording.missing[0].reason == "the header states 1000 frames, the file holds 9"


@pytest.mark.parametrize("size", [(40, 40), (64, 32), (16_000, 16_000), (0x7FFFFFFF, 2)])
def test_a_header_that_lies_about_the_size_of_pictures_is_not_believed(tmp_path, size):
    path = tmp_path / "lie.avi"
    encode(path, noise(9, 32, 32), "mjpeg", "yuvj420p")
    movie = open_movie(path)[:]
    content = bytearray(path.read_bytes())
    struct.pack_into("<ii", content, content.index(b"strf") + 12, *reversed(size))
    path.write_bytes(content)
    with open_movie(path) as recording:
        assert np.array_equal(recording[:], movie)


@pytest.mark.parametrize("codec", ["ffv1", "rawvideo"])
@pytest.mark.parametrize("size", [(40_000, 40_000), (0x7FFFFFFF, 2)])
def test_a_header_that_states_an_absurd_size_is_an_error(tmp_path, codec, size):
    path = tmp_path / "lie.avi"
    encode(path, noise(9, 32, 32), codec)
    content = bytearray(path.read_bytes())
    struct.pack_into("<ii", content, content.index(b"strf") + 12, *reversed(size))
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"lie\.avi: expected at least one frame"):
        open_movie(path)


@pytest.mark.parametrize("check", [True, False])
def test_a_video_without_a_whole_frame_is_refused(tmp_path, check):
    path = tmp_path / "none.avi"
    encode(path, noise(1, 64, 64))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"movi") + 500])
    with pytest.raises(ValueError, match=r"none\.avi: expected at least one frame"):
        open_movie(path, check=check)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_damaged_pages_are_left_out_and_listed(tmp_path, compression):
    movie, path = noise(8, 20, 30, np.uint16), tmp_path / "pages.tif"
    with tifffile.TiffWriter(path) as writer:
        for image in movie:
            options = {"metadata": None, "contiguous": False, "compression": compression}
            writer.write(image, photometric="minisblack", **options)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        pages = [(page.offset, page.dataoffsets[0], page.databytecounts[0]) for page in tif.pages]
        place = tif.pages[2].tags["StripOffsets"].valueoffset
        if compression:
            content[pages[5][1] : pages[5][1] + 40] = bytes(40)
    content[place : place + 4] = (len(content) - 10).to_bytes(4, "little")
    path.write_bytes(content)
    bad = [2, 5] if compression else [2]
    recording = opened(path)
    assert frames_of(recording) == bad
    assert np.array_equal(recording[:], np.delete(movie, bad, axis=0))
    path.write_bytes(content[: pages[6][0] + 3])
    recording = opened(path)
    assert np.array_equal(recording[:], np.delete(movie, [*bad, 6, 7], axis=0))
    assert recording.missing[-1].frame is None


@pytest.mark.parametrize("tag", ["ImageWidth", "ImageLength", "StripByteCounts", "BitsPerSample"])
@pytest.mark.parametrize("number", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_pages_that_state_absurd_sizes(tmp_path, tag, number):
    path = tmp_path / "absurd.tif"
    write_tiff(path, noise(1, 20, 30)[0])
    with tifffile.TiffFile(path) as tif:
        place = tif.pages[0].tags[tag].offset
    content = bytearray(path.read_bytes())
    content[place + 2 : place + 4] = (4).to_bytes(2, "little")  # 32 bits
    content[place + 8 : place + 12] = number.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"absurd\.tif: expected"):
        open_movie(path)


def test_a_cut_off_npy_file_gives_its_whole_frames(tmp_path):
    movie, path = noise(9, 16, 16), tmp_path / "cut.npy"
    np.save(path, movie)
    path.write_bytes(path.read_bytes()[:-300])
    recording = opened(path)
    assert np.array_equal(recording[:], movie[:7])
    recording.close()
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(OSError, match=r"cut\.npy: .*cut off after it was opened"):
        recording[:]


@pytest.mark.parametrize("check", [True, False])
def test_a_size_that_changes_within_a_video_is_refused(tmp_path, check):
    """As if the camera had been set to another size while recording."""
    import av

    path, smaller, larger = (tmp_path / f"{name}.avi" for name in ("both", "smaller", "larger"))
    encode(smaller, noise(12, 32, 32), "mjpeg", "yuvj420p")
    encode(larger, noise(12, 48, 32), "mjpeg", "yuvj420p")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=20)
        stream.height = stream.width = 32
        stream.pix_fmt = "yuvj420p"
        for file in (smaller, larger):
            with av.open(str(file)) as source:
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.stream = stream
                        packet.pts = packet.dts = packet.dts + 12 * (file is larger)
                        container.mux(packet)
    with pytest.raises(ValueError, match=r"both\.avi: expected .*32x32 uint8.* frame 12"):
        for _ in open_movie(path, check=check).blocks(4):
            pass


# The process.


@pytest.fixture
def video(tmp_path):
    """A video and its frames."""
    movie = noise(60, 64, 64)
    encode(tmp_path / "movie.avi", movie)
    return tmp_path / "movie.avi", movie


def dying_at(monkeypatch, frames, *, is_hang=False, always=True):
    """Makes every decoder process die when it is at one of these frames."""
    ask, deaths = DecoderProcess.ask, []

    def dying(self, question, place):
        for head, body in ask(self, question, place):
            if "at" in head:
                yield head, body
            frame = head.get("at", head.get("slot"))
            if frame in frames and frame not in question["skip"] and (always or not deaths):
                deaths.append(frame)
                self.close()
                raise DecoderDied("the decoder crashed (SIGSEGV)", is_hang=is_hang)
            if "at" not in head:
                yield head, body

    monkeypatch.setattr(DecoderProcess, "ask", dying)
    return deaths


@pytest.mark.parametrize("is_hang", [False, True])
@pytest.mark.parametrize("kind", ["avi", "tif"])
def test_a_frame_that_the_decoder_dies_of_is_left_out(tmp_path, monkeypatch, kind, is_hang):
    movie, path = noise(20, 32, 32), tmp_path / f"deadly.{kind}"
    encode(path, movie) if kind == "avi" else write_tiff(path, movie, compression="zlib")
    dying_at(monkeypatch, [7], is_hang=is_hang)
    recording = opened(path)
    assert frames_of(recording) == [7]
    assert "crashed (SIGSEGV)" in recording.missing[0].reason
    assert np.array_equal(recording[:], np.delete(movie, 7, axis=0))


@pytest.mark.parametrize("check", [True, False])
def test_a_decoder_that_dies_too_often_costs_the_rest_of_the_file(tmp_path, monkeypatch, check):
    movie = noise(40, 16, 16)
    for k in (1, 2):
        encode(tmp_path / f"cam{k}.avi", movie)
    monkeypatch.setattr("stillscope.io.persistent._MOST_DEATHS", 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        recording = open_movie(tmp_path, check=False)
        dying_at(monkeypatch, range(30, 40))
        recording = open_movie(tmp_path) if check else recording
    expected = np.concatenate([movie[:30], movie[:30]])
    assert np.array_equal(np.concatenate(list(recording.blocks(7))), expected)
    assert recording.frames_of_files == (30, 30)
    assert recording.missing[-1].frame is None
    assert "what follows is not read" in recording.missing[-1].reason


def test_a_decoder_that_dies_once_costs_nothing(monkeypatch, video):
    path, movie = video
    assert dying_at(monkeypatch, [31], always=False) == []
    with open_movie(path) as recording:
        assert np.array_equal(recording[:], movie)


def test_a_decoder_that_is_killed_is_started_again(video):
    path, movie = video
    with open_movie(path) as recording:
        for k, block in enumerate(recording.blocks(6)):
            assert np.array_equal(block, movie[6 * k : 6 * k + 6])
            os.kill(recording._process.pid, signal.SIGKILL)
        assert recording.missing == ()


def test_a_decoder_that_hangs_is_given_up(video):
    path, movie = video
    with open_movie(path, timeout=1.5) as recording:
        pid = recording._process.pid
        os.kill(pid, signal.SIGSTOP)
        assert np.array_equal(recording[40:], movie[40:])
        assert recording._process.pid != pid


def test_a_decoder_leaves_interrupts_to_its_parent(video):
    path, movie = video
    with open_movie(path) as recording:
        pid = recording._process.pid
        os.kill(pid, signal.SIGINT)
        assert np.array_equal(recording[40:], movie[40:])
        assert recording._process.pid == pid


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_end(pid):
    deadline = time.monotonic() + PATIENCE
    while is_alive(pid):
        assert time.monotonic() < deadline, "the decoder goes on"
        time.sleep(0.05)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
@pytest.mark.parametrize("is_stuck", [False, True])
def test_a_decoder_ends_with_its_parent(video, is_stuck):
    code = """
        import sys, time
        from stillscope.io import open_movie
        recording = open_movie(sys.argv[1])
        recording[0:3]
        print(recording._process.pid, flush=True)
        time.sleep(600)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(video[0])], stdout=subprocess.PIPE
    )
    with parent:
        pid = int(parent.stdout.readline())
        if is_stuck:
            os.kill(pid, signal.SIGSTOP)
        parent.kill()
    if is_stuck:
        os.kill(pid, signal.SIGCONT)
    wait_for_end(pid)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_a_recording_that_is_let_go_ends_its_decoder(video):
    recording = open_movie(video[0])
    pid = recording._process.pid
    del recording
    wait_for_end(pid)


def test_a_forked_process_has_a_decoder_of_its_own(video):
    path, movie = video
    with open_movie(path) as recording:
        assert np.array_equal(recording[:3], movie[:3])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks where threads are
            child = os.fork()
        if child == 0:
            is_right = False
            try:
                is_right = np.array_equal(recording[30:33], movie[30:33])
            finally:
                os._exit(0 if is_right else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert np.array_equal(recording[3:6], movie[3:6])


def test_threads_may_share_a_recording(video):
    from concurrent.futures import ThreadPoolExecutor

    path, movie = video
    with open_movie(path) as recording, ThreadPoolExecutor(4) as pool:
        ranges = [(k % 50, k % 50 + 5) for k in range(0, 400, 37)]
        for (begin, end), read in zip(ranges, pool.map(lambda r: recording[r[0] : r[1]], ranges)):
            assert np.array_equal(read, movie[begin:end])


@pytest.mark.parametrize("name", ["movie.avi", "movie.tif"])
def test_warnings_as_errors_do_not_disturb_it(tmp_path, name):
    movie = noise(5, 20, 20)
    encode(tmp_path / "movie.avi", movie)
    write_tiff(tmp_path / "movie.tif", movie, compression="zlib")
    code = "import sys, stillscope.io as io; print(io.open_movie(sys.argv[1])[:].sum())"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / name)],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )  # fmt: skip
    assert result.returncode == 0 and not result.stderr, result.stderr
    assert int(result.stdout) == movie.sum()


def test_files_of_the_working_folder_are_not_taken_for_modules(tmp_path, monkeypatch, video):
    for name in ("av", "numpy", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    with open_movie(video[0].name) as recording:
        assert np.array_equal(recording[:3], video[1][:3])


def test_a_decoder_that_can_not_be_started_is_told(monkeypatch, video):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(OSError, match="the decoder process can't be started"):
        open_movie(video[0])
