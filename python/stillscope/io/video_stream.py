# SPDX-License-Identifier: GPL-3.0-or-later
"""A video as PyAV opens it, and what can be said of its packets, in the decoder process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import av

from stillscope.io.events import MOST_PIXELS, BadFile
from stillscope.io.packets import data_fault, jpeg_size, read_log

__all__ = ["DROPPED", "VideoStream", "is_end", "key_of"]

_DEMUX_RETRIES = 3
_LONGEST_GAP = 1000  # frames; more are not dropped, their number is damaged
DROPPED = "dropped while recording, or lost"


class VideoStream:
    """The first video stream of a file.

    Attributes
    ----------
    codec : str
    frame_rate : float or None
        Hz, as the header states it.
    stated : int
        Frames that the header states.
    is_in_order : bool
        Whether a packet is a frame, and packets are in the order of frames.
    mode : str or None
        How it was opened last.
    """

    def __init__(self, file: str, n_threads: int | None, alive: Callable[[], None]) -> None:
        self._file = file
        self._threads = n_threads or 0
        self._alive = alive
        self._container = self._true_size = self.mode = None
        av.logging.restore_default_callback()  # to standard error, where `complaint` reads it
        av.logging.set_libav_level(av.logging.ERROR)
        self.open("NONE")
        context = self._stream.codec_context
        self.codec = context.name
        self.is_in_order = context.codec.intra_only or self.codec == "ffv1"
        # In an AVI file the time of a frame is its number.
        self._is_numbered = self.is_in_order and self._container.format.name == "avi"
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.frame_rate = float(rate) if rate and 0 < rate < 1_000_000 else None
        self.stated = self._stream.frames
        if self.codec == "mjpeg":
            self._true_size = self._size_of_first_picture()
            self.open("NONE")
        self._habits: frozenset[str] = frozenset()
        self._habits = self._find_habits()

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = self.mode = None

    def open(self, thread_type: str) -> None:
        """Open it, at its beginning; threads are of a kind that PyAV knows."""
        self.close()
        self.mode = thread_type
        try:
            self._container = av.open(self._file)
        except (av.FFmpegError, UnicodeError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BadFile(f"expected a video file, can't open it ({reason})") from error
        if not self._container.streams.video:
            raise BadFile("expected a video file, it holds no video stream")
        self._stream = self._container.streams.video[0]
        context = self._stream.codec_context
        if context is None:
            raise BadFile("expected a video file, FFmpeg does not know its codec")
        context.thread_type = thread_type
        context.thread_count = self._threads if thread_type != "NONE" else 1
        context.options = {"max_pixels": str(MOST_PIXELS)}
        if self._true_size is not None:
            context.height, context.width = self._true_size

    def seek(self, key: int) -> None:
        """Go to the last key frame at or before the one of this key.

        Raises
        ------
        av.FFmpegError
            If there is none.
        """
        self._container.seek(key, stream=self._stream)

    def packets(self) -> Iterator[Any]:
        """Packets, and a str where something is wrong with the file."""
        retries = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, MemoryError) as error:
                reason = getattr(error, "strerror", None) or "not enough memory"
                yield f"the file is damaged behind this ({reason})"
                retries += 1
                if retries > _DEMUX_RETRIES:
                    return
                packets = self._container.demux(self._stream)
                continue
            if packet is None:
                return
            yield packet

    def gap(self, last: int | None, packet: Any) -> int:
        """How many frames are missing between packets, where a file has numbers for them.

        An AVI file may hold empty places.

        Parameters
        ----------
        last : int or None
            The key of the packet before.
        packet : av.Packet
        """
        key = key_of(packet)
        if not self._is_numbered or last is None or key is None:
            return 0
        return key - last - 1 if 1 < key - last <= _LONGEST_GAP else 0

    def fault(self, packet: Any) -> str | None:
        """Why a packet is not to be decoded."""
        if packet.size == 0:
            # The decoder would take it for the end.
            return DROPPED
        if packet.is_corrupt:
            return "cut off"
        return None if "data" in self._habits else data_fault(packet, self.codec)

    def complaint(self) -> str | None:
        """FFmpeg's complaint about the last frame, where the frame is given out all the same.

        Wrong pixels are then patched with those of frames before: in FFV1 where a checksum is
        wrong. That is told in the log alone, which is standard error, a file.
        """
        text = read_log()
        # Codecs whose frames refer to others complain of much that is harmless.
        if not text or not self.is_in_order or "complaint" in self._habits:
            return None
        lines = [line for line in text.splitlines() if line.startswith(f"[{self.codec} @")]
        return (lines[0].partition("]")[2].strip()[:100] or "damaged") if lines else None

    def _size_of_first_picture(self):
        """Height and width of a JPEG picture, which count, not what the file's header says.

        FFmpeg takes pictures that are much lower than the header says for halves, every second
        row. They are where there are two in a packet.
        """
        for packet in self.packets():
            if not isinstance(packet, str) and packet.size:
                is_single = bytes(packet).count(b"\xff\xd8\xff") == 1
                return jpeg_size(packet) if is_single else None
        return None

    def _find_habits(self):
        """What is said of both first frames, though they are given out: it is the file's habit.

        Some cameras write JPEG headers of their own. Checksums are no matter of habits.
        """
        if self.codec == "ffv1":
            return frozenset()
        said = []
        for packet in self.packets():
            if isinstance(packet, str) or len(said) == 2:
                break
            self._alive()
            try:
                frames = packet.size and packet.decode()
            except (av.FFmpegError, MemoryError):
                frames = []
            found = {"data": data_fault(packet, self.codec), "complaint": self.complaint()}
            if frames:
                said.append({name for name, fault in found.items() if fault})
        return frozenset(set.intersection(*said)) if said else frozenset()


def is_end(packet: Any) -> bool:
    """Whether it is the last one, which makes the decoder give out what it holds."""
    return packet.size == 0 and packet.dts is None


def key_of(thing: Any) -> int | None:
    """The time of a packet or frame, by which they are matched."""
    return thing.dts if thing.pts is None else thing.pts
