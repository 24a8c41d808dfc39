# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos, in the decoder process (PyAV)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import av

from stillscope.io.events import Event
from stillscope.io.pixels import grey, grey_kind
from stillscope.io.video_stream import DROPPED, VideoStream, is_end, key_of

__all__ = ["VideoFile"]


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
        self._careful = request["careful"]
        self._skip = set(request["skip"])
        self._alive = alive
        self._video = VideoStream(request["file"], request["threads"], alive)
        self.worth_a_seek = 3 if self._video.is_in_order else 24  # frames to be passed over instead

    def close(self) -> None:
        self._video.close()

    def describe(self) -> tuple[dict[str, Any], None]:
        """What the header states, and whether anything was found wrong so far."""
        about = {
            "frame_rate": self._video.frame_rate,
            "stated": self._video.stated,
            "codec": self._video.codec,
            "is_careful": self._careful,
        }
        return about, None

    def count(self) -> list[list]:
        """All packets, not decoded: the mark of each, in the order of frames."""
        self._video.open("NONE")
        marks, last = [], None
        for packet in self._video.packets():
            self._alive()
            if isinstance(packet, str):
                break
            if not is_end(packet):
                marks += [[None, None]] * self._video.gap(last, packet)
                last = key_of(packet)
                marks.append([last, packet.pos])
        if not self._video.is_in_order and all(key is not None for key, _ in marks):
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

    def _fast(self, start, mark):
        """Frames at full speed, as long as nothing is wrong."""
        slot = 0 if mark is None else None
        if mark is None or self._video.mode != "AUTO":
            self._video.open("AUTO")
        if mark is not None:
            try:
                self._video.seek(mark[0])
            except av.FFmpegError:
                raise _SeekFailed from None
        fed, places, last = deque(), {}, None
        for packet in self._video.packets():
            if isinstance(packet, str):
                raise _trouble(slot)
            if not is_end(packet):
                if self._video.fault(packet) or self._video.gap(last, packet):
                    raise _trouble(slot)
                last = key_of(packet)
                fed.append(last)
                places[last] = packet.pos
            try:
                frames = packet.decode()
            except (av.FFmpegError, MemoryError):
                raise _trouble(slot) from None
            for frame in frames:
                key = key_of(frame)
                place = places.pop(key, None)
                if self._video.is_in_order and (not fed or key != fed.popleft()):
                    raise _trouble(slot)
                if frame.is_corrupt or self._video.complaint():
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
        if slot is None or (self._video.is_in_order and fed):
            raise _trouble(slot)

    def _with_care(self, announce):
        """Frames, and what is wrong, packet by packet from the beginning."""
        self._video.open("SLICE")  # threads that are done when a packet is
        self._video.complaint()
        slot = number = 0
        broken = last = None  # a frame that later ones may refer to: slot, key
        for packet in self._video.packets():
            self._alive()
            if isinstance(packet, str):
                yield Event(None, reason=packet)
                continue
            is_last = is_end(packet)
            if not is_last:
                for _ in range(self._video.gap(last, packet)):
                    yield Event(slot, reason=DROPPED)
                    slot += 1
                last = key_of(packet)
            frames, reason = [], None if is_last else self._video.fault(packet)
            if number in self._skip:
                reason = "the decoder failed on it"
            if reason is None:
                announce(number)
                try:
                    frames = packet.decode()
                except (av.FFmpegError, MemoryError) as error:
                    reason = getattr(error, "strerror", None) or "not enough memory"
                if not is_last and reason is None and not frames and self._video.is_in_order:
                    reason = "no frame comes of it"
            complaint = self._video.complaint()
            number += 1
            for frame in frames:
                fault = complaint or ("the decoder says it is damaged" * frame.is_corrupt)
                if not fault and broken is not None:
                    if frame.key_frame or self._stands_alone():
                        broken = None
                    elif not self._precedes(frame, broken):
                        fault = f"refers to frame {broken[0]}, which is missing"
                elif fault and broken is None:
                    broken = (slot, key_of(frame))
                mark = [key_of(frame), None]
                yield Event(slot, reason=fault) if fault else _event(slot, frame, mark)
                slot += 1
            if reason is not None:
                yield Event(slot, reason=reason)
                if broken is None:
                    broken = (slot, key_of(packet))
                slot += 1

    def _stands_alone(self):
        return self._video.is_in_order and self._video.codec != "ffv1"

    def _precedes(self, frame, broken):
        """Whether a frame that comes late was decoded before the one that is broken."""
        key = key_of(frame)
        return not self._video.is_in_order and None not in (key, broken[1]) and key < broken[1]


def _trouble(slot):
    """To be raised where the next frame, which would be ``slot``, is not good."""
    return _SeekFailed() if slot is None else _Trouble(slot)


def _event(slot, frame, mark):
    return Event(slot, frame, None, mark, grey, grey_kind)
