# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``bench/accuracy/run.sh``."""

from __future__ import annotations

import argparse
import datetime
import shutil
import sys
import time
from dataclasses import asdict
from functools import partial

from common import catalogue, command, environments, machine
from common.environments import OURS, EnvironmentFailed, run_job, say
from common.output import Output
from common.tables import number

from . import fields, page
from .plan import (
    BUILD,
    COMMAND,
    EIGHT_BITS,
    FULL,
    LIMIT_PEERS,
    MOVIES,
    PASSES,
    PEERS,
    QUICK,
    SECTIONS,
    SIMULATOR,
    SIMULATOR_PEERS,
    SWEEP_PEERS,
    VARIANTS,
    Case,
    Plan,
)

_PROGRAMS = (*PEERS, *fields.PROGRAMS)
_WAYS_OF_OURS = [
    name
    for name, peer in (catalogue.PEERS | fields.PROGRAMS).items()
    if name in _PROGRAMS and peer.environment == OURS
]
_DESCRIPTION = """\
Measure errors against known motion, ours and those of other programs, and write

  docs/accuracy.md                  the page
  docs/accuracy/*.png               its pictures
  docs/accuracy/results.json        all that was measured

Each program has a virtual environment of its own under build/peers, made where it is missing.
Movies stay under build/accuracy, and are the same from run to run.
"""

# Errors do not depend on which core computes them: processes are held on none. (Fields, which are
# timed, have their own.)
measure = partial(run_job, "accuracy.measure", is_held=False)


def main() -> int:
    """Run the command line.

    Returns
    -------
    int
        0, or 1 where nothing could be measured; the reason is on stderr.
    """
    arguments = _parser().parse_args()
    plan = QUICK if arguments.quick else FULL
    MOVIES.mkdir(parents=True, exist_ok=True)
    return command.run(
        arguments, "accuracy", "accuracy", BUILD,
        lambda output: _measure(plan, output, arguments), page.render,
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = command.parser(
        COMMAND, _DESCRIPTION, quick="few and short movies; written to build/accuracy/quick"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", choices=[*SECTIONS, "ours", *_PROGRAMS],
        help="measure this alone and keep the other results; may be repeated. NAME is one of "
        f"{', '.join(SECTIONS)}, a program: {', '.join(_PROGRAMS)}, or `ours`: all ways of ours. "
        "Sections and programs together: these programs in these sections",
    )  # fmt: skip
    parser.add_argument(
        "--keep-build", action="store_true", help="measure the package as it was last built"
    )
    return parser


def _measure(plan: Plan, output: Output, arguments: argparse.Namespace) -> None:
    """Measure what was asked for, saving after every section."""
    only = set(arguments.only)
    if "ours" in only:
        only |= set(_WAYS_OF_OURS)
    sections = [s for s in SECTIONS if s in only] or SECTIONS
    peers = [name for name in _PROGRAMS if name in only] or _PROGRAMS

    if not only:
        output.save({"sections": {}})
    if arguments.keep_build:
        environments.make(OURS)
    else:
        environments.install_package()
    for section in sections:
        say(f"{section}:")
        start = time.monotonic()
        kept = output.load().get("sections", {}).get(section, {}).get("rows", [])
        rows = _section(plan, section, peers, kept)
        # Read again: another run may have measured other sections meanwhile.
        results = {"sections": {}} | output.load()
        results |= {"plan": plan.name, "machine": machine.describe()}
        results["sections"][section] = {"date": datetime.date.today().isoformat(), "rows": rows}
        output.save(results)
        say(f"  ({time.monotonic() - start:.0f} s)")


def _section(plan: Plan, section: str, peers, kept: list[dict]) -> list[dict]:
    """Rows of a section, those that are kept among them, in the order of movies and programs."""
    known = {(row["panel"], row["x"], row["name"]): row for row in kept}
    rows = []
    for case in plan.cases(section):
        programs = _programs(section, case)
        asked = [name for name in programs if name in peers]
        folder, facts = _movie(section, case) if asked else ("", {})
        for name in programs:
            if name in asked:
                row = _row(plan, section, case, name, folder, facts)
                say(f"  {case.panel} {number(case.x)}, {name}: {_short(row)}")
            else:
                row = known.get((case.panel, case.x, name))
            rows += [row] if row else []
    return rows


def _programs(section: str, case: Case) -> list[str]:
    if section == "fields":
        return fields.programs(case)
    lists = {"peers": PEERS, "limits": LIMIT_PEERS, "minisim": SIMULATOR_PEERS}
    is_wide = section == "peers" and case.recipe.dtype != "uint8"
    return [
        name for name in lists.get(section, SWEEP_PEERS) if not (is_wide and name in EIGHT_BITS)
    ]


def _movie(section: str, case: Case) -> tuple[str, dict]:
    """Where the movie of a case lies, and what it is like."""
    is_simulated = section == "minisim"
    if is_simulated:
        environments.make(SIMULATOR)
        key = "-".join(str(value) for value in ("minisim", *case.recipe.values()))
        job = {"job": "simulated", "recipe": case.recipe}
    else:
        key = case.recipe.key()
        job = {"job": "movie", "recipe": asdict(case.recipe)}
    folder = str(MOVIES / key)
    facts = measure(SIMULATOR if is_simulated else OURS, job | {"folder": folder})
    if "failed" in facts:
        shutil.rmtree(folder, ignore_errors=True)
        raise EnvironmentFailed(f"simulating a movie: {facts['failed']}")
    return folder, facts | {"recipe": job["recipe"]}


def _row(plan: Plan, section: str, case: Case, name: str, folder: str, facts: dict) -> dict:
    """A program's errors on a movie."""
    if section == "fields":
        return fields.row(plan, case, name, folder, facts)
    who, options, settings = VARIANTS.get(name, (name, {}, ""))
    peer = catalogue.PEERS[who]
    row = {
        "panel": case.panel, "x": case.x, "name": name, "label": peer.label,
        "settings": settings or peer.settings,
        "is_ours": peer.environment == OURS, "movie": facts,
    }  # fmt: skip
    job = {
        "job": "estimate", "folder": folder, "peer": who, "options": options, "passes": PASSES,
        "given": section == "peers",
    }  # fmt: skip
    try:
        environments.make(peer.environment)
        return row | measure(peer.environment, job)
    except EnvironmentFailed as error:
        return row | {"failed": f"not installed: {error}"}


def _short(row: dict) -> str:
    if "failed" in row:
        return f"FAILED: {row['failed']}"
    return fields.short(row) if "ms" in row else f"{number(row['error_px']['rms'])} px"


if __name__ == "__main__":
    sys.exit(main())
