# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings are read whole, in order and with their exact values; what is missing is reported."""

import sys
from pathlib import Path

import numpy as np
import pytest

from stillscope.video import find_videos, read_movie, write_movie

av = pytest.importorskip("av")

RECORDING = Path(__file__).resolve().parents[3] / "shared" / "data" / "wireless_corrupted.avi"
# FFmpeg stretches studio-range luma (16 to 235) to 0 to 255 with rounding. Measured 1 grey level.
STUDIO_RANGE_TOLERANCE = 1
# Motion JPEG at its best quality on a smooth image. Measured 1 grey level; the mean 0.02.
JPEG_TOLERANCE = 2
JPEG_MEAN_TOLERANCE = 0.1


def noise(frames, height, width, dtype=np.uint8, seed=0):
    most = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, most, (frames, height, width), dtype, True)


def encode(path, codec, pixel_format, images, array_format, **options):
    """Write a video by FFmpeg's own means, converted from array_format to pixel_format."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixel_format
        for image in images:
            frame = av.VideoFrame.from_ndarray(image, format=array_format)
            container.mux(stream.encode(frame.reformat(format=pixel_format)))
        container.mux(stream.encode())


def formats_of(codec):
    """Pixel formats that FFmpeg can encode with this codec."""
    return {f.name for f in av.Codec(codec, "w").video_formats or ()}


def state_frames(path, number):
    """Overwrite the two places of an AVI header that state how many frames there are."""
    content = bytearray(path.read_bytes())
    for chunk, offset in ((b"avih", 24), (b"strh", 40)):
        at = content.index(chunk) + offset
        content[at : at + 4] = number.to_bytes(4, "little")
    path.write_bytes(content)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(48, 64), (37, 53), (1, 17), (300, 1), (1, 1), (16, 700)])
def test_what_is_written_is_read_back_exactly(tmp_path, dtype, size):
    movie = noise(7, *size, dtype)
    write_movie(tmp_path / "movie.avi", movie, 29.97)
    read, frame_rate = read_movie(tmp_path / "movie.avi")
    assert read.dtype == dtype
    assert np.array_equal(read, movie)
    assert frame_rate == pytest.approx(29.97)
    assert read.flags.c_contiguous and read.flags.writeable


def test_strided_byte_swapped_and_read_only_movies_are_written(tmp_path):
    movie = noise(8, 40, 60, np.uint16)
    strided = movie[::2, ::-1, 5:50:3]
    swapped = movie.astype(movie.dtype.newbyteorder())
    frozen = movie.copy()
    frozen.flags.writeable = False
    for given in (strided, swapped, frozen):
        write_movie(tmp_path / "movie.avi", given)
        assert np.array_equal(read_movie(tmp_path / "movie.avi")[0], given)


def test_a_movie_longer_than_the_buffer_grows(tmp_path):
    movie = noise(600, 6, 8)
    write_movie(tmp_path / "movie.avi", movie)
    assert np.array_equal(read_movie(tmp_path / "movie.avi")[0], movie)


def test_a_folder_of_eleven_files_is_joined_in_natural_order(tmp_path):
    movie = noise(33, 12, 14)
    for k, part in enumerate(np.split(movie, 11), start=1):
        write_movie(tmp_path / f"msCam{k}.avi", part)
    (tmp_path / "timestamps.csv").write_text("not a video")
    (tmp_path / "._msCam1.avi").write_text("nor is this")
    (tmp_path / "folder.avi").mkdir()
    assert [p.stem for p in find_videos(tmp_path)] == [f"msCam{k}" for k in range(1, 12)]
    assert np.array_equal(read_movie(tmp_path)[0], movie)
    assert np.array_equal(read_movie(sorted(tmp_path.glob("ms*.avi")))[0], movie)


def test_folders_and_files_are_sorted_together(tmp_path):
    names = ["day2/b.avi", "day10/a1.avi", "day10/a2.avi"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_videos([str(tmp_path / "day10"), tmp_path / "day2" / "b.avi"])
    assert found == [tmp_path / name for name in names]


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("raw.avi", "rawvideo", "gray"),
        ("ffv1.avi", "ffv1", "bgr0"),
        ("raw_colour.avi", "rawvideo", "bgr24"),
        ("planes.avi", "utvideo", "gbrp"),
        ("alpha.mkv", "ffv1", "ya8"),
    ],
)
def test_grey_images_in_any_lossless_layout_stay_exact(tmp_path, name, codec, pixel_format):
    movie = noise(4, 22, 32)
    movie[0].flat[:256] = np.arange(256)
    images, array_format = movie, "gray"
    if pixel_format in ("bgr0", "bgr24", "gbrp"):
        images, array_format = np.repeat(movie[..., None], 3, axis=3), "rgb24"
    encode(tmp_path / name, codec, pixel_format, images, array_format)
    assert np.array_equal(read_movie(tmp_path / name)[0], movie)


@pytest.mark.parametrize("bits", [9, 10, 12, 14])
def test_deep_grey_keeps_the_sensor_values(tmp_path, bits):
    if f"gray{bits}le" not in formats_of("ffv1"):
        pytest.skip(f"this FFmpeg writes no {bits}-bit FFV1")
    movie = noise(3, 20, 30, np.uint16) >> (16 - bits)
    encode(tmp_path / "deep.mkv", "ffv1", f"gray{bits}le", movie, f"gray{bits}le")
    assert np.array_equal(read_movie(tmp_path / "deep.mkv")[0], movie)


def test_colour_becomes_its_luma(tmp_path):
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    encode(tmp_path / "colour.avi", "ffv1", "bgr0", [colours], "rgb24")
    assert read_movie(tmp_path / "colour.avi")[0].tolist() == [[[76, 150, 29, 255]]]


def test_deep_colour_becomes_its_luma(tmp_path):
    if "gbrp16le" not in formats_of("ffv1"):
        pytest.skip("this FFmpeg writes no 16-bit colour FFV1")
    grey = noise(2, 20, 30, np.uint16)
    encode(tmp_path / "deep.mkv", "ffv1", "gbrp16le", np.repeat(grey[..., None], 3, 3), "rgb48le")
    assert np.array_equal(read_movie(tmp_path / "deep.mkv")[0], grey)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "tolerance"),
    [
        ("studio.mkv", "ffv1", "yuv420p", STUDIO_RANGE_TOLERANCE),
        ("studio.mkv", "rawvideo", "nv12", STUDIO_RANGE_TOLERANCE),
        ("full.avi", "mjpeg", "yuvj420p", JPEG_TOLERANCE),
    ],
)
def test_yuv_becomes_its_luma(tmp_path, name, codec, pixel_format, tolerance):
    ramp = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8) * 2
    encode(tmp_path / name, codec, pixel_format, [ramp], "gray", qmin="1", q="1")
    read = read_movie(tmp_path / name)[0][0]
    assert np.abs(read.astype(int) - ramp).max() <= tolerance


def test_a_truncated_file_gives_the_frames_before_the_cut(tmp_path):
    movie = noise(40, 32, 32)
    path = tmp_path / "cut.avi"
    write_movie(path, movie)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.warns(UserWarning, match=r"cut\.avi: (\d+) frames read .* 1 could not be decoded"):
        read, _ = read_movie(path)
    assert 20 <= len(read) < 30
    assert np.array_equal(read, movie[: len(read)])


def test_damaged_frames_are_left_out_and_counted(tmp_path):
    path = tmp_path / "damaged.avi"
    ramp = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    encode(path, "mjpeg", "yuvj420p", [ramp + k for k in range(20)], "gray", qmin="1", q="1")
    content = bytearray(path.read_bytes())
    at = -1
    for k in range(11):
        at = content.index(b"\xff\xd8", at + 1)  # where a JPEG starts
        if k in (4, 10):
            size = int.from_bytes(content[at - 4 : at], "little")
            content[at : at + size] = bytes(size)
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="18 frames read .* 2 could not be decoded"):
        read, _ = read_movie(path)
    kept = [k for k in range(20) if k not in (4, 10)]
    assert np.abs(read.mean(axis=(1, 2)) - ramp.mean() - kept).max() <= JPEG_MEAN_TOLERANCE


@pytest.mark.parametrize("stated", [0, 3])
def test_a_header_that_states_too_few_frames_is_not_believed(tmp_path, stated):
    movie = noise(9, 16, 16)
    write_movie(tmp_path / "few.avi", movie)
    state_frames(tmp_path / "few.avi", stated)
    assert np.array_equal(read_movie(tmp_path / "few.avi")[0], movie)


def test_a_header_that_states_too_many_frames_is_reported(tmp_path):
    movie = noise(9, 16, 16)
    write_movie(tmp_path / "many.avi", movie)
    state_frames(tmp_path / "many.avi", 1000)
    with pytest.warns(UserWarning, match="9 frames read .*states 1000.* 0 could not be decoded"):
        read, _ = read_movie(tmp_path / "many.avi")
    assert np.array_equal(read, movie)


def test_the_real_recording_is_read_whole():
    if not RECORDING.exists():
        pytest.skip(f"no real recording at {RECORDING}")
    movie, frame_rate = read_movie(RECORDING)
    assert movie.shape == (60, 200, 200)
    assert movie.dtype == np.uint8
    assert frame_rate == 20
    cv2 = pytest.importorskip("cv2")
    capture = cv2.VideoCapture(str(RECORDING))
    frames = []
    while (frame := capture.read()[1]) is not None:
        frames.append(frame[..., 0])
    assert np.array_equal(movie, frames)


def test_reading_refuses_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.avi"):
        read_movie(tmp_path / "missing.avi")
    with pytest.raises(ValueError, match=f"{tmp_path.name}: expected a folder with videos"):
        read_movie(tmp_path)
    with pytest.raises(ValueError, match="paths: expected at least one"):
        read_movie([])


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_reading_refuses_what_is_no_video(tmp_path, content):
    (tmp_path / "text.avi").write_bytes(content)
    with pytest.raises(ValueError, match=r"text\.avi: expected a video file"):
        read_movie(tmp_path / "text.avi")


def test_reading_refuses_sound(tmp_path):
    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match=r"sound\.mkv: .* no video stream"):
        read_movie(tmp_path / "sound.mkv")


def test_reading_refuses_a_file_without_a_whole_frame(tmp_path):
    write_movie(tmp_path / "none.avi", noise(1, 64, 64))
    content = (tmp_path / "none.avi").read_bytes()
    (tmp_path / "none.avi").write_bytes(content[: content.index(b"movi") + 500])
    with pytest.raises(ValueError, match=r"none\.avi: expected at least one frame"):
        read_movie(tmp_path / "none.avi")


@pytest.mark.parametrize(
    ("other", "given"),
    [(noise(1, 16, 18), "16x18 uint8"), (noise(1, 16, 16, np.uint16), "16x16 uint16")],
)
def test_reading_refuses_files_that_do_not_fit_together(tmp_path, other, given):
    write_movie(tmp_path / "cam1.avi", noise(2, 16, 16))
    write_movie(tmp_path / "cam2.avi", other)
    with pytest.raises(ValueError, match=rf"cam2\.avi: expected .* 16x16 uint8 .* got {given}"):
        read_movie(tmp_path)


def test_reading_refuses_a_file_named_twice(tmp_path):
    write_movie(tmp_path / "cam1.avi", noise(2, 16, 16))
    with pytest.raises(ValueError, match=r"paths: .*cam1\.avi is named twice"):
        read_movie([tmp_path, tmp_path / "cam1.avi"])


@pytest.mark.parametrize(
    ("movie", "error"),
    [
        (np.zeros((2, 4, 4), np.float32), TypeError),
        ([[[1]]], TypeError),
        (np.zeros((4, 4), np.uint8), ValueError),
        (np.zeros((0, 4, 4), np.uint8), ValueError),
        (np.zeros((2, 0, 4), np.uint8), ValueError),
    ],
)
def test_writing_refuses_what_is_no_grey_movie(tmp_path, movie, error):
    with pytest.raises(error, match="^movie: expected"):
        write_movie(tmp_path / "movie.avi", movie)
    assert not (tmp_path / "movie.avi").exists()


def test_writing_refuses_a_bad_path_or_rate(tmp_path):
    movie = noise(1, 4, 4)
    with pytest.raises(ValueError, match="^path: expected the suffix .avi"):
        write_movie(tmp_path / "movie.mp4", movie)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        write_movie(tmp_path / "nowhere" / "movie.avi", movie)
    for rate in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="^frame_rate: expected"):
            write_movie(tmp_path / "movie.avi", movie, rate)


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for call in (
        lambda: read_movie(tmp_path),
        lambda: write_movie(tmp_path / "movie.avi", noise(1, 4, 4)),
    ):
        with pytest.raises(ImportError, match=r'pip install "stillscope\[video\]"'):
            call()
