# SPDX-License-Identifier: GPL-3.0-or-later
"""The decoder process as its parent sees it: started where it is needed, given up if it fails."""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["DEFAULT_TIMEOUT", "DecoderDied", "DecoderProcess", "FileError"]

DEFAULT_TIMEOUT = 60.0  # s, generous: network drives wake up slowly
_LENGTHS = struct.Struct("<IQ")  # as in decoder.py, which is not imported: it is run
_PIPE_BYTES = 1 << 20
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ of Linux; Python names it from 3.10 on, not everywhere


class DecoderDied(Exception):
    """The process ended, or was ended since it gave no sign of life."""

    def __init__(self, reason: str, *, is_hang: bool) -> None:
        super().__init__(reason)
        self.is_hang = is_hang


class FileError(Exception):
    """The process is well; the file can't be read."""


class DecoderProcess:
    """A process that decodes videos and TIFF files.

    It is started at the first question, and again after it died, was closed, or belongs to another
    process (after a fork, or where this was unpickled). Questions are asked one at a time, with
    ``lock`` held.

    Parameters
    ----------
    n_threads : int or None
        Threads of a video decoder; None: as FFmpeg likes.
    timeout : float
        s without a sign of life after which the process is ended.
    """

    def __init__(self, n_threads: int | None = None, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.n_threads = n_threads
        self.timeout = timeout
        self.lock = threading.RLock()
        self._process: subprocess.Popen | None = None
        self._owner: int | None = None
        self._asking: object = None  # the question that is being answered
        self._finalizer: Any = None
        self._log: Any = None  # the process's standard error, a file without a name

    def __getstate__(self) -> dict[str, Any]:
        return {"n_threads": self.n_threads, "timeout": self.timeout}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)

    @property
    def pid(self) -> int | None:
        """The process, if there is one."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End the process; it is started again where it is needed."""
        process, finalizer = self._process, self._finalizer
        self._process = self._finalizer = self._asking = None
        if process is not None and self._owner == os.getpid():
            finalizer.detach()
            _end(process, self._log)

    def ask(
        self, question: dict[str, Any], place: Callable[[dict, int], memoryview | None]
    ) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Ask for something; the answers as they come.

        Parameters
        ----------
        question : dict
            See ``decoder.py``.
        place : callable
            Called with an answer's head and the size of its body: where the body goes. None: it is
            returned as bytes.

        Yields
        ------
        head : dict
        body : bytes

        Raises
        ------
        DecoderDied
            If the process ends, or hangs.
        FileError
            If the file can't be read.
        OSError
            If the process can't be started.
        """
        if self._asking is not None:  # an answer that nobody waits for any more (Ctrl-C)
            self.close()
        asking = self._asking = object()
        try:
            self._start()
            self._write(json.dumps({**question, "threads": self.n_threads}).encode() + b"\n")
            while True:
                head, body_size = self._read_head()
                body = b""
                if body_size:
                    memory = place(head, body_size)
                    if memory is None:
                        body = self._read(body_size)
                    else:
                        self._read_into(memory)
                if "done" in head or "error" in head:
                    self._asking = None
                    if "error" in head:
                        raise FileError(head["error"])
                    return
                if "alive" not in head:
                    yield head, body
        finally:
            if self._asking is asking:  # what is left of the answer is not waited for
                self.close()

    def _start(self):
        if self._process is not None and self._owner == os.getpid():
            if self._process.poll() is None:
                return
            self.close()
        # From the root folder, so that no file of the working folder is taken for a module; with
        # the path of this process, so that the libraries are the same.
        path = os.pathsep.join(os.path.abspath(p) for p in sys.path if p)
        quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "4"}
        self._log = _nameless_file()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "stillscope.io.decoder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
            cwd=os.path.abspath(os.sep),
            env={**os.environ, **quiet, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C at the terminal is for this process alone
        )
        self._owner = os.getpid()
        self._finalizer = weakref.finalize(self, _end, self._process, self._log)
        try:
            import fcntl

            fcntl.fcntl(self._process.stdout, _SET_PIPE_SIZE, _PIPE_BYTES)
        except (ImportError, OSError):  # only faster
            pass
        try:
            self._read_head()
        except DecoderDied as death:
            raise OSError(f"the decoder process can't be started: {death}") from None

    def _read_head(self):
        head_size, body_size = _LENGTHS.unpack(self._read(_LENGTHS.size))
        return json.loads(self._read(head_size)), body_size

    def _write(self, data):
        try:
            self._process.stdin.write(data)
        except OSError:
            raise self._death() from None

    def _read(self, size):
        data = bytearray(size)
        self._read_into(memoryview(data))
        return bytes(data)

    def _read_into(self, memory):
        descriptor = self._process.stdout.fileno()
        while memory:
            self._wait()
            count = os.readv(descriptor, [memory])
            if not count:
                raise self._death()
            memory = memory[count:]

    def _wait(self):
        """Until there is something to read.

        The time is counted in short waits: while this process is stopped (Ctrl-Z) or the computer
        sleeps, no more than one of them goes by.
        """
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        step = min(1.0, self.timeout / 4)
        for _ in range(max(1, round(self.timeout / step))):
            if poll.poll(step * 1000):
                return
        raise DecoderDied(f"the decoder gave no answer for {self.timeout:g} s", is_hang=True)

    def _death(self):
        """What the process died of."""
        try:
            status = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return DecoderDied("the decoder closed its output", is_hang=False)
        if status < 0:
            try:
                name = signal.Signals(-status).name
            except ValueError:
                name = str(-status)
            return DecoderDied(f"the decoder crashed ({name})", is_hang=False)
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return DecoderDied(f"the decoder ended, status {status} ({last[:200]})", is_hang=False)


def _nameless_file():
    """A file that is gone when it is closed; in memory where that can be, for disks may be full."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("decoder"), "w+b")
    return tempfile.TemporaryFile()


def _end(process, log):
    """Ends the process and takes its status, so that nothing of it is left."""
    log.close()
    process.kill()
    process.stdin.close()
    process.stdout.close()
    process.wait()
