# SPDX-License-Identifier: GPL-3.0-or-later
"""The decoder process: ``python -m stillscope.io.decoder``, started by ``process.py``.

Files may be damaged, and libraries that decode them may crash, hang or ask for all memory there is
when they are. Here that costs a process that is easily started again.

Requests come on standard input, a line of JSON each. Answers go to standard output: lengths of a
head and a body, the head (JSON), the body (pixels). The first head says ``ready``, the last one of
an answer ``done`` or ``error``. Between requests the process decodes ahead of what was last asked
for.
"""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import sys
import threading
import time
from collections import deque

from stillscope.io.events import ODD_SIZE

LENGTHS = struct.Struct("<IQ")  # of an answer's head and body [bytes]
_AHEAD = 16 << 20  # bytes of frames that are decoded ahead
_MEMORY = 4 << 30  # bytes that the process may have: a header may lie about the size of a frame
_SIGN_OF_LIFE = 0.5  # s


class _Output:
    """Where answers go; library messages on standard output go to standard error instead."""

    def __init__(self):
        self._descriptor = os.dup(1)
        os.dup2(2, 1)
        self._last = time.monotonic()

    def send(self, head, body=None):
        text = json.dumps(head).encode()
        size = 0 if body is None else body.nbytes
        self._write(LENGTHS.pack(len(text), size) + text)
        if size:
            self._write(memoryview(body.reshape(-1).view("u1")))
        self._last = time.monotonic()

    def alive(self):
        """Now and then a sign of life, where there is much to do before the next answer."""
        if time.monotonic() - self._last > _SIGN_OF_LIFE:
            self.send({"alive": True})

    def _write(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


class _Cursor:
    """Goes through the events of a file in order, and ahead of them."""

    def __init__(self, source, start, mark, announce):
        self._events = source.events(start, mark, announce)
        self._ahead = deque()
        self._bytes = 0
        self.slot = self._slot_ahead = start  # of the next event to be given out, to be made
        self.last = None  # the slot behind which there is nothing to be had
        self.is_read_in_order = start == 0
        self._has_ended = False

    def next(self):
        """The next event with its pixels, None at the end."""
        if self._ahead:
            event, pixels = self._ahead.popleft()
            self._bytes -= 0 if pixels is None else pixels.nbytes
        else:
            event, pixels = self._decode()
        if event is not None and event.slot is not None:
            self.slot = event.slot + 1
        return event, pixels

    def skip(self):
        """Like ``next``, but pixels may not be made."""
        if self._ahead:
            return self.next()[0]
        event = next(self._events, None)
        if event is not None and event.slot is not None:
            self.slot = self._slot_ahead = event.slot + 1
        return event

    @property
    def can_go_ahead(self):
        if self._has_ended or (self.last is not None and self._slot_ahead > self.last):
            return False
        return self.is_read_in_order and self._bytes < _AHEAD

    def go_ahead(self):
        event, pixels = self._decode()
        if event is not None:
            self._ahead.append((event, pixels))
            self._bytes += 1024 if pixels is None else pixels.nbytes

    def _decode(self):
        event = next(self._events, None)
        if event is None:
            self._has_ended = True
            return None, None
        if event.slot is not None:
            self._slot_ahead = event.slot + 1
        if event.frame is None:
            return event, None
        try:
            return event, event.pixels()
        except Exception as error:
            return event._replace(frame=None, reason=_reason(error)), None


class _Server:
    def __init__(self, output):
        self._output = output
        self._source = self._source_key = self._cursor = None

    @property
    def can_go_ahead(self):
        return self._cursor is not None and self._cursor.can_go_ahead

    def go_ahead(self):
        self._cursor.go_ahead()

    def answer(self, request):
        getattr(self, f"_{request['do']}")(request)

    def _open(self, request):
        key = [request[name] for name in ("file", "kind", "careful", "skip", "select")]
        if self._source is None or self._source_key != key:
            self.forget()
            if request["kind"] == "video":
                from stillscope.io.video_file import VideoFile as Source
            else:
                from stillscope.io.tiff_file import TiffMovie as Source
            self._source = Source(request, self._output.alive)
            self._source_key = key
        return self._source

    def forget(self):
        if self._source is not None:
            self._source.close()
        self._source = self._source_key = self._cursor = None

    def _describe(self, request):
        head, body = self._open(request).describe()
        self._output.send({"about": head}, body)

    def _count(self, request):
        """The marks of all frames that may be there, and size and type of the first good one."""
        source = self._open(request)
        self._cursor = None
        marks, kind = source.count(), None
        for event in source.events(0, None, self._announce(request)):
            self._output.alive()
            if event.frame is not None:
                kind = event.kind()
                break
        self._output.send({"about": source.describe()[0], "marks": marks, "is": kind})

    def _scan(self, request):
        """All events from ``start`` on, without pixels; the frame's size and type instead."""
        source = self._open(request)
        self._cursor = None
        for event in source.events(request["start"], None, self._announce(request)):
            head = {"slot": event.slot, "reason": event.reason, "mark": event.mark}
            if event.frame is not None:
                try:
                    head["is"] = event.kind()
                except Exception as error:
                    head["reason"] = _reason(error)
            self._output.send(head)
        self._output.send({"about": source.describe()[0]})

    def _read(self, request):
        """Events ``start`` to ``stop`` (excluded); those of frames with the pixels as the body."""
        source = self._open(request)
        start, stop, mark = request["start"], request["stop"], request["mark"]
        cursor = self._cursor
        near = cursor is not None and cursor.slot <= start
        if near and mark and start - cursor.slot > source.worth_a_seek:
            near = False
        if not near:
            cursor = self._cursor = _Cursor(
                source, start if mark else 0, mark, self._announce(request)
            )
        else:
            cursor.is_read_in_order = cursor.slot == start
        cursor.last = request["last"]
        while cursor.slot < start:
            if cursor.skip() is None:
                break
            self._output.alive()
        while cursor.slot < stop:
            event, pixels = cursor.next()
            if event is None:
                self._output.send({"end": cursor.slot})
                break
            head = {"slot": event.slot, "reason": event.reason}
            if pixels is not None and [*pixels.shape, pixels.dtype.str] != request["is"]:
                height, width = pixels.shape
                head["reason"] = f"{ODD_SIZE}{height}x{width} {pixels.dtype}"
                pixels = None
            self._output.send(head, pixels)

    def _announce(self, request):
        """Tells what is decoded next, so that it is known what the process died of."""
        if not request["careful"]:
            return lambda number: None
        return lambda number: self._output.send({"at": number})


def _reason(error):
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__


def _guard_memory():
    try:
        import resource
    except ImportError:  # not on this system
        return
    for name, most in (("RLIMIT_DATA", _MEMORY), ("RLIMIT_CORE", 0)):
        limit = getattr(resource, name, None)
        if limit is not None:
            _, hard = resource.getrlimit(limit)
            if hard == resource.RLIM_INFINITY or most < hard:
                resource.setrlimit(limit, (most, hard))


def _end_with(parent):
    """Ends this process within a second of its parent, also out of a decoder that hangs."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main():
    """Answers requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to handle
    parent = os.getppid()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _guard_memory()
    output = _Output()
    server = _Server(output)
    output.send({"ready": True})
    requests = b""
    while True:
        while b"\n" not in requests:
            if server.can_go_ahead and not select.select([0], [], [], 0)[0]:
                server.go_ahead()
                continue
            more = os.read(0, 1 << 16)
            if not more:
                os._exit(0)  # threads of a library are not waited for
            requests += more
        line, requests = requests.split(b"\n", 1)
        try:
            server.answer(json.loads(line))
        except Exception as error:
            server.forget()
            is_file = type(error).__name__ == "BadFile"
            output.send({"error": str(error) if is_file else _reason(error)})
        else:
            output.send({"done": True})


if __name__ == "__main__":
    main()
