# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``bench/performance/run.sh``."""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Callable
from pathlib import Path

from common import command, environments, machine
from common.catalogue import PEERS
from common.environments import OURS, EnvironmentFailed, say
from common.output import Output

from . import comparison, files, page, scaling, stages
from .plan import BUILD, COMMAND, EXTENT, FULL, QUICK, SECTIONS, SIZES, Plan

_DESCRIPTION = """\
Measure stillscope beside its peers and write

  docs/performance.md                  the page
  docs/images/performance-*.png        its pictures
  docs/performance/results.json        all that was measured

Each peer has a virtual environment of its own under build/peers, made where it is missing.
"""


def main() -> int:
    """Run the command line.

    Returns
    -------
    int
        0, or 1 where nothing could be measured; the reason is on stderr.
    """
    arguments = _parser().parse_args()
    plan = QUICK if arguments.quick else FULL
    (BUILD / "movies").mkdir(parents=True, exist_ok=True)
    return command.run(
        arguments, "performance", "images", BUILD,
        lambda output: _measure(plan, output, arguments), page.render,
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = command.parser(
        COMMAND, _DESCRIPTION, quick="few frames, few repeats; written to build/performance/quick"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", choices=[*SECTIONS, *PEERS],
        help="measure this alone and keep the other results; may be repeated. NAME is one of "
        f"{', '.join(SECTIONS)}, or a peer: {', '.join(PEERS)}",
    )  # fmt: skip
    parser.add_argument(
        "--long",
        action="store_true",
        help="run minian before its speed-up for many blocks too (a quarter of an hour or more)",
    )
    parser.add_argument(
        "--keep-build",
        action="store_true",
        help="measure the package and the kernels as they were last built",
    )
    return parser


def _measure(plan: Plan, output: Output, arguments: argparse.Namespace) -> None:
    """Measure what was asked for, saving after every section."""
    only = set(arguments.only)
    wanted = [s for s in SECTIONS if not only or s in only]
    some_peers = only & set(PEERS) if "peers" not in only else set()
    if some_peers:
        wanted = ["peers", *(s for s in wanted if s != "peers")]

    here = machine.describe()
    results = output.load() if only else {}
    if results and results["machine"]["cpu"] != here["cpu"]:
        raise EnvironmentFailed("the results there are of another machine: run without --only")
    results = {"sections": {}} | results | {"machine": here, "extent": EXTENT, "plan": plan.name}

    results["movie"] = _prepare(plan, wanted, arguments)
    run: dict[str, Callable] = {
        "peers": lambda: comparison.peers(plan, some_peers),
        "apply": lambda: comparison.apply(plan),
        "contract": lambda: comparison.blocks(plan, arguments.long),
        "stages": lambda: stages.stages(plan, not arguments.keep_build),
        "frames": lambda: scaling.frames(plan),
        "threads": lambda: scaling.threads(plan),
        "sizes": lambda: scaling.sizes(plan),
        "memory": lambda: scaling.memory(plan),
        "files": lambda: files.files(plan),
    }
    for section in wanted:
        say(f"{section}:")
        start = time.monotonic()
        rows = run[section]()
        if section == "peers" and some_peers:
            old = results["sections"].get("peers", {}).get("rows", [])
            rows = _in_order([r for r in old if r["name"] not in some_peers] + rows)
        results["sections"][section] = {
            "date": datetime.date.today().isoformat(),
            "seconds": round(time.monotonic() - start),
            "rows": rows,
        }
        output.save(results)
        say(f"  ({results['sections'][section]['seconds']} s)")


def _in_order(rows: list[dict]) -> list[dict]:
    return sorted(rows, key=lambda row: list(PEERS).index(row["name"]))


def _prepare(plan: Plan, wanted: list[str], arguments: argparse.Namespace) -> dict:
    """Environments, package and movies; what the main movie is like."""
    main = {}
    if not arguments.keep_build:
        environments.install_package()
    for extent in SIZES if "sizes" in wanted else (EXTENT,):
        frames = plan.base_frames if extent == EXTENT else plan.size_frames
        start = time.monotonic()
        folder = Path(comparison.movie_folder(extent))
        job = {"job": "movie", "folder": str(folder), "frames": frames}
        answer = comparison.measure(OURS, job | {"height": extent[0], "width": extent[1]})
        if "failed" in answer:
            raise EnvironmentFailed(f"simulating a movie: {answer['failed']}")
        taken = time.monotonic() - start
        say(f"movie {folder.name}: {answer['frames']} frames ({taken:.0f} s)")
        main = answer if extent == EXTENT else main
    return main


if __name__ == "__main__":
    sys.exit(main())
