# SPDX-License-Identifier: GPL-3.0-or-later
"""AVI with lossless grey FFV1 video.

Every frame stands alone, so that damage to a file costs no more than it touches, and runs can be
encoded apart from each other: each goes to a file of packets, of which the movie is made at the end.
"""

from __future__ import annotations

import os
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np

from ... import _check
from ..durable import naming, remove, sync_file, write_bytes
from ..extras import import_extra
from .specification import MovieSpec, MovieWriter

_FORMATS = {"u1": "gray", "u2": "gray16le"}
_DEFAULT_RATE = 20.0  # Hz; AVI cannot do without
_MOST_DIVISOR, _MOST_RATE = 10_000, 2**31 - 1  # of the fraction that states the rate
_LENGTH = struct.Struct("<Q")


class AviWriter(MovieWriter):
    """Runs are packets in a folder beside the file."""

    @staticmethod
    def check(spec: MovieSpec) -> None:
        import_extra("av", "writing video files")
        if spec.dtype.str[1:] not in _FORMATS:
            raise TypeError(
                f"destination: expected a movie of uint8 or uint16 for AVI, got {spec.dtype}; "
                "zarr and TIFF hold it as it is"
            )
        least, most = 1 / _MOST_DIVISOR, _MOST_RATE // _MOST_DIVISOR
        if not least <= (spec.frame_rate or _DEFAULT_RATE) <= most:
            raise ValueError(
                f"frame_rate: expected {least:g} to {most} Hz for AVI, got {spec.frame_rate:g}"
            )

    @staticmethod
    def run_of(spec: MovieSpec) -> int:
        return min(spec.default_run(), 64)  # about a second of encoding, for Ctrl-C

    @staticmethod
    def disk_bytes(spec: MovieSpec) -> int:
        return 2 * spec.nbytes  # packets and the movie; FFV1 makes noise no larger

    @property
    def _packets(self) -> Path:
        return self.path.with_name(self.path.name + ".packets")

    def begin(self) -> None:
        with naming(self._packets, 0):
            self._packets.mkdir(exist_ok=True)

    def _run_file(self, begin: int) -> Path:
        return self._packets / f"{begin:012d}"

    def write(self, begin: int, frames: np.ndarray) -> None:
        codec = self._codec()
        packets = []
        for image in frames:
            packets += codec.encode(self._frame(image, len(packets)))
        packets += codec.encode(None)
        data = b"".join(_LENGTH.pack(packet.size) + bytes(packet) for packet in packets)
        write_bytes(self._run_file(begin), data)

    def finish(self, memory: int) -> None:
        av = import_extra("av", "writing video files")
        spent = self._packets.with_name(self._packets.name + ".spent")
        if not self._packets.exists():
            remove(spent)
            return
        size = sum(file.stat().st_size for file in self._packets.iterdir())
        with naming(self.path, size):
            with av.open(str(self.path), "w", format="avi") as container:
                stream = container.add_stream("ffv1", rate=self._rate)
                self._set_up(stream.codec_context)
                # The encoder writes the header, which must be that of the packets.
                stream.codec_context.open()
                index = 0
                for begin in range(0, self.spec.shape[0], self.run):
                    for data in self._read_packets(begin):
                        packet = av.Packet(data)
                        packet.stream = stream
                        packet.time_base = 1 / self._rate
                        packet.pts = packet.dts = index
                        packet.duration = 1
                        packet.is_keyframe = True
                        container.mux_one(packet)
                        index += 1
            sync_file(self.path)
        os.replace(self._packets, spent)
        remove(spent)

    def _read_packets(self, begin: int):
        with open(self._run_file(begin), "rb") as file:
            while header := file.read(_LENGTH.size):
                yield file.read(_LENGTH.unpack(header)[0])

    @property
    def _rate(self) -> Fraction:
        return Fraction(self.spec.frame_rate or _DEFAULT_RATE).limit_denominator(_MOST_DIVISOR)

    def _codec(self):
        av = import_extra("av", "writing video files")
        codec = av.CodecContext.create("ffv1", "w")
        self._set_up(codec)
        return codec

    def _set_up(self, codec) -> None:
        _, codec.height, codec.width = self.spec.shape
        codec.pix_fmt = _FORMATS[self.spec.dtype.str[1:]]
        codec.framerate = self._rate
        codec.time_base = 1 / self._rate
        codec.thread_count = self.n_threads or _check.processors()
        # Level 3 codes a frame in slices, at once, with checksums; there must be room for them.
        has_slices = min(self.spec.shape[1:]) >= 16
        codec.options = {"g": "1"}
        codec.options |= {"level": "3", "slices": "4"} if has_slices else {"level": "1"}

    def _frame(self, image: np.ndarray, index: int):
        av = import_extra("av", "writing video files")
        kind = _FORMATS[self.spec.dtype.str[1:]]
        sample = self.spec.dtype.newbyteorder("<")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image, sample), format=kind)
        frame.pts = index
        frame.time_base = 1 / self._rate
        return frame
