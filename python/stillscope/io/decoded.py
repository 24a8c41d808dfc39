# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos and compressed TIFF files: frames that the decoder process makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .events import ODD_SIZE
from .parts import MissingFrame, Part
from .persistent import PersistentDecoder
from .process import DecoderProcess, FileError

__all__ = ["DecodedPart"]

# Frames of another size that a file may have, for they may be damaged: a share, and a number of
# those at its beginning.
_MOST_ODD, _FEW_ODD = 0.1, 5


class DecodedPart(Part):
    """A file of which the frames are decoded.

    A frame has a slot, its number in the file counted with those that are missing, and an index
    among those that can be decoded.

    Parameters
    ----------
    file : Path
    kind : str
        ``"video"`` or ``"TIFF"``.
    process : DecoderProcess
    check : bool
        Decode the file once, to know which frames can be.
    select : str or None
        Which frames of a hyperstack.
    about : dict or None
        What is known of a TIFF file.
    """

    is_costly = True

    def __init__(
        self,
        file: Path,
        kind: str,
        process: DecoderProcess,
        *,
        check: bool,
        select: str | None = None,
        about: dict[str, Any] | None = None,
    ) -> None:
        self.file = Path(file)
        asked = {"file": str(self.file.absolute()), "kind": kind, "select": select}
        self._decoder = PersistentDecoder(process, asked, is_careful=kind == "TIFF")
        self.is_exact = check
        with process.lock:
            found = self._scan() if check else self._count(about)
        self._good, shape, dtype, stated, missing = found
        rate = stated.get("frame_rate")
        size = stated.get("pixel_size")
        size = tuple(size) if size else None
        super().__init__(file, (len(self._good), *shape), dtype, rate, size, missing)

    def read(self, begin: int, end: int) -> np.ndarray:
        slots = self._good[begin:end]
        frames = np.empty((end - begin, *self.shape[1:]), self.dtype)
        done = 0
        with self._decoder.lock:
            # Slots without a frame between them are passed over.
            breaks = np.flatnonzero(np.diff(slots) > 1) + 1
            for first, last in zip([0, *breaks], [*breaks, len(slots)]):
                if first == last:
                    continue
                got, bad, _ = self._fetch(slots[first], slots[last - 1] + 1, frames[first:last])
                done += got
                if got < last - first:
                    raise self._unreadable(bad, int(slots[first]) + got)
        return frames

    def runs(self, first: int, size: int) -> Iterator[np.ndarray]:
        if self.is_exact:
            yield from super().runs(first, size)
            return
        missing, good, odd, slot, room = [], [], [], 0, first
        is_end = False
        while not is_end:
            frames = np.empty((room, *self.shape[1:]), self.dtype)
            done = 0
            while done < room and not is_end:
                with self._decoder.lock:
                    begin = slot
                    got, bad, slot = self._fetch(begin, begin + room - done, frames[done:])
                    is_end = slot < begin + room - done
                gone = {number for number, _ in bad}
                good += [number for number in range(begin, slot) if number not in gone]
                missing += [MissingFrame(self.file, number, reason) for number, reason in bad]
                done += got
                odd += [item for item in bad if item[1].startswith(ODD_SIZE)]
                if len(odd) > max(_FEW_ODD, _MOST_ODD * slot):
                    raise ValueError(
                        f"{self.file}: expected frames of {_described(self._kind)}, "
                        f"frame {odd[0][0]}: {odd[0][1]}"
                    )
            if done:
                yield frames[:done]
            room = size
        self._good = np.array(good, np.int64)
        self.missing = missing + [m for m in self.missing if m.frame is None]
        self.shape = (len(good), *self.shape[1:])
        self.is_exact = True

    @property
    def _kind(self):
        """Height, width and dtype of a frame."""
        return [*self.shape[1:], self.dtype.str]

    def _fetch(self, start, stop, frames):
        """Reads slots ``start`` to ``stop`` (excluded).

        Returns the number of frames that were put into ``frames``, what is bad ``(slot, reason)``
        (slot None: of no slot in particular), and the slot after the last one: less than ``stop``
        where the file ends.
        """
        done, bad, slot = 0, [], int(start)

        def place(head, size):
            return memoryview(frames[done].reshape(-1).view(np.uint8))

        question = {
            "do": "read",
            "stop": int(stop),
            "is": self._kind,
            "last": int(self._good[-1]) if self.is_exact else None,
        }
        try:
            for head in self._decoder.ask(question, int(start), place):
                if "reason" not in head:  # the end
                    continue
                if head["slot"] is not None:
                    slot = head["slot"] + 1
                if head["reason"] is None:
                    done += 1
                else:
                    bad.append((head["slot"], head["reason"]))
        except FileError as error:
            raise OSError(f"{self.file}: {error}") from None
        return done, bad, slot

    def _scan(self):
        """Decodes the file: the good slots, shape, dtype, what it states, what is missing."""
        kinds: dict[int, tuple] = {}
        bad: list[tuple[int | None, str]] = []
        marks, stated = [], {}
        try:
            for head in self._decoder.ask({"do": "scan"}, 0):
                if "about" in head:
                    stated = head["about"]
                elif head["reason"] is not None:
                    bad.append((head["slot"], head["reason"]))
                else:
                    kinds[head["slot"]] = tuple(head["is"])
                    marks.append(head["mark"])
        except FileError as error:
            raise ValueError(f"{self.file}: {error}") from None
        self._decoder.is_careful = self._decoder.is_careful or stated.get("is_careful", True)
        self._decoder.forget_deaths()
        if not kinds:
            why = f" ({bad[0][1]})" if bad else ""
            raise ValueError(
                f"{self.file}: expected at least one frame that can be decoded, got 0{why}"
            )
        (height, width, dtype), slots = self._usual(kinds, bad)
        if not bad:
            self._decoder.marks = _usable(marks)
        slot_count = 1 + max([*kinds, *(slot for slot, _ in bad if slot is not None)])
        bad += [(None, note) for note in stated.get("notes", ())]
        bad += self._lie(stated, slot_count)
        bad.sort(key=lambda item: (item[0] is None, item[0]))
        missing = [MissingFrame(self.file, slot, reason) for slot, reason in bad]
        return np.array(slots, np.int64), (height, width), dtype, stated, missing

    def _usual(self, kinds, bad):
        """Size and type of most frames, and their slots; the others are added to ``bad``."""
        counts = Counter(kinds.values())
        usual = counts.most_common(1)[0][0]
        odd = [slot for slot, kind in kinds.items() if kind != usual]
        if len(odd) > _MOST_ODD * len(kinds):
            raise ValueError(
                f"{self.file}: expected frames of one size, got {_described(usual)} and "
                f"{_described(kinds[odd[0]])} in frame {odd[0]}"
            )
        bad += [(slot, ODD_SIZE + _described(kinds[slot])) for slot in odd]
        return usual, sorted(set(kinds) - set(odd))

    def _count(self, about):
        """Counts packets: the same as ``_scan``, as far as it can be known without decoding."""
        if about is not None:  # of TIFF
            missing = [MissingFrame(self.file, None, note) for note in about["notes"]]
            return np.arange(about["frames"]), about["shape"], about["dtype"], about, missing
        try:
            answers = list(self._decoder.ask({"do": "count"}, 0))
        except FileError as error:
            raise ValueError(f"{self.file}: {error}") from None
        answer = answers[-1]
        if answer.get("is") is None:
            why = f" ({answer['reason']})" if answer.get("reason") else ""
            raise ValueError(
                f"{self.file}: expected at least one frame that can be decoded, got 0{why}"
            )
        height, width, dtype = answer["is"]
        stated, marks = answer["about"], answer["marks"]
        self._decoder.is_careful = self._decoder.is_careful or stated["is_careful"]
        self._decoder.marks = _usable(marks)
        missing = [MissingFrame(self.file, None, why) for _, why in self._lie(stated, len(marks))]
        return np.arange(len(marks)), (height, width), dtype, stated, missing

    def _lie(self, stated, count):
        number = stated.get("stated", 0)
        if number <= count:
            return []
        return [(None, f"the header states {number} frames, the file holds {count}")]

    def _unreadable(self, bad, slot):
        at, reason = bad[0] if bad else (slot, "the file ends before it")
        slot = slot if at is None else at
        advice = "" if self.is_exact else "; open with check=True to leave such frames out"
        return OSError(f"{self.file}: frame {slot} can't be decoded ({reason}){advice}")


def _usable(marks):
    """Marks by which frames can be found again: in order, each with its place in the file."""
    if any(mark is None or None in mark for mark in marks):
        return None
    keys = [key for key, _ in marks]
    return marks if all(a < b for a, b in zip(keys, keys[1:])) else None


def _described(kind):
    height, width, dtype = kind
    return f"{height}x{width} {np.dtype(dtype)}"
