# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of `stillscope.correct` to be interrupted, in a process of its own: see
test_interrupted.py. Arguments: a JSON object."""

import errno
import json
import os
import signal
import sys

import stillscope
from stillscope.pipeline import spool, stages
from stillscope.pipeline.job import Job


def fail_at(call: int, error: int) -> None:
    """Has the system refuse, once, the so-manieth call that brings something to the disk."""
    counted = {"calls": 0}

    def failing(function):
        def call_or_fail(*arguments, **options):
            counted["calls"] += 1
            if counted["calls"] == call:
                raise OSError(error, os.strerror(error))
            return function(*arguments, **options)

        return call_or_fail

    for name in ("pwrite", "fsync", "fdatasync", "replace", "truncate"):
        setattr(os, name, failing(getattr(os, name)))


def signal_at(stage: str, number: int) -> None:
    """Sends the process a signal once this has been noted for the first time."""
    note, sent = Job.note, []

    def note_and_send(self, **state):
        note(self, **state)
        if stage in state and not sent:
            sent.append(number)
            os.kill(os.getpid(), number)

    Job.note = note_and_send


def die_in_commit(step: int) -> None:
    """Ends the process before the so-manieth step once all parts are there."""
    steps = {"left": None}
    commit = Job.commit

    def counting(function):
        def call(*arguments, **options):
            if steps["left"] is not None:
                steps["left"] -= 1
                if steps["left"] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    def commit_and_count(self, results):
        steps["left"] = step
        commit(self, results)

    Job.commit = commit_and_count
    for name in ("replace", "unlink", "rmdir", "fsync"):
        setattr(os, name, counting(getattr(os, name)))


def main() -> int:
    arguments = json.loads(sys.argv[1])
    # All that can be kept is kept, after every run of frames.
    stages._CHECKPOINT_SECONDS = 0.0
    stages._CHECKPOINT_SHARE = 1e9
    spool._NOTE_BYTES = 1
    if "fail_at" in arguments:
        fail_at(arguments["fail_at"], getattr(errno, arguments["error"]))
    if arguments.get("die_at"):
        signal_at(arguments["die_at"], signal.SIGKILL)
    if arguments.get("die_in_commit"):
        die_in_commit(arguments["die_in_commit"])
    if arguments.get("stop_at"):
        signal_at(arguments["stop_at"], signal.SIGSTOP)
    # Processes that are started in the background may ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        stillscope.correct(
            arguments["source"], arguments["destination"], n_threads=1, progress=False,
            **arguments["options"],
        )  # fmt: skip
    except OSError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
