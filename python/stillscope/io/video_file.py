# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos, in the decoder process (PyAV)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import av

from stillscope.io.events import MOST_PIXELS, BadFile, Event
from stillscope.io.packets import data_fault, jpeg_size, read_log
from stillscope.io.pixels import grey, grey_kind

__all__ = ["VideoFile"]

_DEMUX_RETRIES = 3
_LONGEST_GAP = 1000  # frames; more are not dropped, their number is damaged
_DROPPED = "dropped while recording, or lost"


class _Trouble(Exception):
    """Decoding at full speed does not tell which frame is bad: on from ``slot`` with care."""

    def __init__(self, slot: int) -> None:
        super().__init__(slot)
        self.slot = slot


class _SeekFailed(Exception):
    """The frame is not where it was seen before."""


class VideoFile:
    """The frames of a video's first video stream.

    At first they are decoded at full speed, by as many threads as FFmpeg likes. What goes wrong is
    then known late, and frames that were done are lost with it. So at the first trouble the file
    is opened again and decoded packet by packet.
    """

    def __init__(self, request: dict[str, Any], alive) -> None:
        self._file = request["file"]
        self._threads = request["threads"]
        self._careful = request["careful"]
        self._skip = set(request["skip"])
        self._alive = alive
        self._container = self._mode = self._true_size = None
        av.logging.restore_default_callback()  # to standard error, where _complaint reads it
        av.logging.set_libav_level(av.logging.ERROR)
        self._open("NONE")
        context = self._stream.codec_context
        self._codec = context.name
        # Whether a packet is a frame, and packets are in the order of frames.
        self._is_in_order = context.codec.intra_only or self._codec == "ffv1"
        self.worth_a_seek = 3 if self._is_in_order else 24  # frames to be passed over instead
        # In an AVI file the time of a frame is its number.
        self._is_numbered = self._is_in_order and self._container.format.name == "avi"
        rate = self._stream.average_rate or self._stream.guessed_rate
        self._rate = float(rate) if rate and 0 < rate < 1_000_000 else None
        self._stated = self._stream.frames
        if self._codec == "mjpeg":
            self._true_size = self._size_of_first_picture()
            self._open("NONE")
        self._habits = frozenset()
        self._habits = self._faults_of_first_frame()

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None

    def describe(self) -> tuple[dict[str, Any], None]:
        """What the header states, and whether anything was found wrong so far."""
        about = {
            "frame_rate": self._rate,
            "stated": self._stated,
            "codec": self._codec,
            "is_careful": self._careful,
        }
        return about, None

    def count(self) -> list[list]:
        """All packets, not decoded: the mark of each, in the order of frames."""
        self._open("NONE")
        marks, last = [], None
        for packet in self._demux():
            self._alive()
            if isinstance(packet, str):
                break
            if not _is_end(packet):
                marks += [[None, None]] * self._gap(last, packet)
                last = _key(packet)
                marks.append([last, packet.pos])
        if not self._is_in_order and all(key is not None for key, _ in marks):
            marks.sort()
        return marks

    def events(self, start: int, mark, announce) -> Iterator[Event]:
        """Events from slot ``start`` on.

        With a mark, the frame's ``[key, position]``, it is looked for there; the file's beginning
        is taken if it is not found.
        """
        while not self._careful:
            try:
                yield from self._fast(start, mark)
                return
            except _SeekFailed:
                mark = None
            except _Trouble as trouble:
                start = max(start, trouble.slot)
                self._careful = True
        for event in self._with_care(announce):
            if event.slot is None or event.slot >= start:
                yield event

    def _open(self, thread_type):
        self.close()
        self._mode = thread_type
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
        context.thread_count = (self._threads or 0) if thread_type != "NONE" else 1
        context.options = {"max_pixels": str(MOST_PIXELS)}
        if self._true_size is not None:
            context.height, context.width = self._true_size

    def _size_of_first_picture(self):
        """Height and width of a JPEG picture, which count, not what the file's header says.

        FFmpeg takes pictures that are much lower than the header says for halves, every second
        row. They are where there are two in a packet.
        """
        for packet in self._demux():
            if not isinstance(packet, str) and packet.size:
                is_single = bytes(packet).count(b"\xff\xd8\xff") == 1
                return jpeg_size(packet) if is_single else None
        return None

    def _faults_of_first_frame(self):
        """What is said of the first frame, though it is given out: then it is the file's habit.

        Some cameras write JPEG headers of their own.
        """
        for packet in self._demux():
            if isinstance(packet, str):
                break
            self._alive()
            try:
                frames = packet.size and packet.decode()
            except (av.FFmpegError, MemoryError):
                frames = []
            complaint = self._complaint()
            if frames:
                found = {"data": data_fault(packet, self._codec), "complaint": complaint}
                return frozenset(name for name, fault in found.items() if fault)
        return frozenset()

    def _fast(self, start, mark):
        """Frames at full speed, as long as nothing is wrong."""
        slot = 0 if mark is None else None
        if mark is None or self._mode != "AUTO":
            self._open("AUTO")
        if mark is not None:
            try:
                self._container.seek(mark[0], stream=self._stream)
            except av.FFmpegError:
                raise _SeekFailed from None
        fed, places, last = deque(), {}, None
        for packet in self._demux():
            if isinstance(packet, str):
                raise _trouble(slot)
            if not _is_end(packet):
                if self._fault(packet) or self._gap(last, packet):
                    raise _trouble(slot)
                last = _key(packet)
                fed.append(last)
                places[last] = packet.pos
            try:
                frames = packet.decode()
            except (av.FFmpegError, MemoryError):
                raise _trouble(slot) from None
            for frame in frames:
                key = _key(frame)
                place = places.pop(key, None)
                if self._is_in_order and (not fed or key != fed.popleft()):
                    raise _trouble(slot)
                if frame.is_corrupt or self._complaint():
                    raise _trouble(slot)
                if slot is None:
                    if key is not None and key < mark[0]:
                        continue
                    if [key, place] != mark:
                        raise _SeekFailed
                    slot = start
                if slot >= start:
                    yield _event(slot, frame, [key, place])
                slot += 1
            self._alive()
        if slot is None or (self._is_in_order and fed):
            raise _trouble(slot)

    def _with_care(self, announce):
        """Frames, and what is wrong, packet by packet from the beginning."""
        self._open("SLICE")  # threads that are done when a packet is
        self._complaint()
        slot = number = 0
        broken = last = None  # a frame that later ones may refer to: slot, key
        for packet in self._demux():
            self._alive()
            if isinstance(packet, str):
                yield Event(None, reason=packet)
                continue
            is_end = _is_end(packet)
            if not is_end:
                for _ in range(self._gap(last, packet)):
                    yield Event(slot, reason=_DROPPED)
                    slot += 1
                last = _key(packet)
            frames, reason = [], None if is_end else self._fault(packet)
            if number in self._skip:
                reason = "the decoder failed on it"
            if reason is None:
                announce(number)
                try:
                    frames = packet.decode()
                except (av.FFmpegError, MemoryError) as error:
                    reason = getattr(error, "strerror", None) or "not enough memory"
                if not is_end and reason is None and not frames and self._is_in_order:
                    reason = "no frame comes of it"
            complaint = self._complaint()
            number += 1
            for frame in frames:
                fault = complaint or ("the decoder says it is damaged" * frame.is_corrupt)
                if not fault and broken is not None:
                    if frame.key_frame or self._stands_alone():
                        broken = None
                    elif not self._precedes(frame, broken):
                        fault = f"refers to frame {broken[0]}, which is missing"
                elif fault and broken is None:
                    broken = (slot, _key(frame))
                mark = [_key(frame), None]
                yield Event(slot, reason=fault) if fault else _event(slot, frame, mark)
                slot += 1
            if reason is not None:
                yield Event(slot, reason=reason)
                if broken is None:
                    broken = (slot, _key(packet))
                slot += 1

    def _stands_alone(self):
        return self._is_in_order and self._codec != "ffv1"

    def _precedes(self, frame, broken):
        """Whether a frame that comes late was decoded before the one that is broken."""
        key = _key(frame)
        return not self._is_in_order and None not in (key, broken[1]) and key < broken[1]

    def _demux(self):
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

    def _gap(self, last, packet):
        """How many frames are missing between packets: an AVI file may hold empty ones for them."""
        key = _key(packet)
        if not self._is_numbered or last is None or key is None:
            return 0
        return key - last - 1 if 1 < key - last <= _LONGEST_GAP else 0

    def _fault(self, packet):
        """Why a packet is not to be decoded."""
        if packet.size == 0:
            # The decoder would take it for the end.
            return _DROPPED
        if packet.is_corrupt:
            return "cut off"
        return None if "data" in self._habits else data_fault(packet, self._codec)

    def _complaint(self):
        """FFmpeg's complaint about the last frame, where the frame is given out all the same.

        Wrong pixels are then patched with those of frames before: in FFV1 where a checksum is
        wrong. That is told in the log alone, which is standard error, a file.
        """
        text = read_log()
        # Codecs whose frames refer to others complain of much that is harmless.
        if not text or not self._is_in_order or "complaint" in self._habits:
            return None
        lines = [line for line in text.splitlines() if line.startswith(f"[{self._codec} @")]
        return (lines[0].partition("]")[2].strip()[:100] or "damaged") if lines else None


def _trouble(slot):
    """To be raised where the next frame, which would be ``slot``, is not good."""
    return _SeekFailed() if slot is None else _Trouble(slot)


def _is_end(packet):
    """Whether it is the last one, which makes the decoder give out what it holds."""
    return packet.size == 0 and packet.dts is None


def _key(thing):
    """The time of a packet or frame, by which they are matched."""
    return thing.dts if thing.pts is None else thing.pts


def _event(slot, frame, mark):
    return Event(slot, frame, None, mark, grey, grey_kind)
