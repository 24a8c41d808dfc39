# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual environment for each peer, and calls into them.

Peers want versions of their dependencies that exclude each other, so none shares an environment.
What is made here lies under ``build/peers`` and is made again only where its requirements, or the
sources of stillscope, have changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "peers"
OURS = "stillscope"  # the environment that holds the package of this tree, and Matplotlib

# Freed memory is kept and large blocks come from the heap: pages are touched for the first time
# once only. It is the setting that helps minian most.
TUNED_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "67108864",
}

_REQUIREMENTS = Path(__file__).parent / "environments"
_SOURCES = ("CMakeLists.txt", "pyproject.toml", "cmake", "include", "src", "python")
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS", "STILLSCOPE_NUM_THREADS",
)  # fmt: skip
_ONE_XLA_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
_MESSAGE_LENGTH = 300  # of a failure that the page quotes [characters]


class EnvironmentFailed(RuntimeError):
    """An environment could not be made."""


def names() -> list[str]:
    """All environments, by their requirements files."""
    return sorted(path.stem for path in _REQUIREMENTS.glob("*.txt"))


def make(name: str) -> None:
    """Make an environment where it is missing or its requirements have changed.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Raises
    ------
    EnvironmentFailed
        If it can't be made; the message ends with pip's.
    """
    requirements = _REQUIREMENTS / f"{name}.txt"
    folder = BUILD / "environments" / name
    stamp = folder / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted and _runs(_python(name)):
        return
    start = time.monotonic()
    if not _runs(_python(name)):
        _command([sys.executable, "-m", "venv", "--clear", folder])
    _command([_python(name), "-m", "pip", "install", "-q", "-r", requirements])
    stamp.write_text(wanted)
    say(f"environment {name}: made ({time.monotonic() - start:.0f} s)")


def install_package() -> None:
    """Build the wheel of this tree and install it, where the sources have changed.

    Raises
    ------
    EnvironmentFailed
        If the package does not build.
    """
    make(OURS)
    stamp = BUILD / "environments" / OURS / "sources.sha256"
    wanted = _sources_hash()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    start = time.monotonic()
    wheels = BUILD / "wheel"
    for old in wheels.glob("*.whl"):
        old.unlink()
    # A build folder of its own: run.sh and test.sh may be building in theirs.
    _command([
        _python(OURS), "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", wheels,
        f"--config-settings=build-dir={wheels / 'build'}", ROOT,
    ])  # fmt: skip
    wheel = next(wheels.glob("stillscope-*.whl"))
    _command([_python(OURS), "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", wheel])
    stamp.write_text(wanted)
    say(f"package of this tree: built and installed ({time.monotonic() - start:.0f} s)")


def build_kernels() -> None:
    """Build the C++ benchmarks.

    Raises
    ------
    EnvironmentFailed
        If they do not build.
    """
    _command(["cmake", "--preset", "bench"])
    _command(["cmake", "--build", "--preset", "bench", "--target", "bench_kernels"])


def run_job(
    module: str, name: str, job: dict, *, tuned: bool = False, threads: int = 1,
    is_held: bool = True,
) -> dict:  # fmt: skip
    """Run a job in an environment, in a process of its own.

    Parameters
    ----------
    module : str
        The module under ``bench`` that does it: one that calls :func:`common.worker.answer`.
    name : str
        The environment.
    job : dict
        What to do; ``job["job"]`` names it.
    tuned : bool
        Whether the allocator is tuned.
    threads : int
        Value of all thread variables.
    is_held : bool
        Whether a process of one thread is held on one core, as for a time.

    Returns
    -------
    dict
        Its answer, or ``{"failed": message}``.
    """
    environment = clean_environment()
    environment.update({variable: str(threads) for variable in _THREAD_VARIABLES})
    environment.update(TUNED_ALLOCATOR if tuned else {})
    if threads == 1:
        environment["XLA_FLAGS"] = _ONE_XLA_THREAD
        job = job | ({"core": min(os.sched_getaffinity(0))} if is_held else {})
    done = subprocess.run(
        [_python(name), "-m", module, json.dumps(job)],
        env=environment, cwd=BUILD, capture_output=True, text=True,
    )  # fmt: skip
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        return json.loads(lines[-1])
    reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return {"failed": f"exit status {done.returncode}: {reason}"[:_MESSAGE_LENGTH]}


def clean_environment() -> dict[str, str]:
    """This process's environment, less what would change what is measured."""
    drop = (*_THREAD_VARIABLES, *TUNED_ALLOCATOR, "STILLSCOPE_ISA", "XLA_FLAGS", "PYTHONHOME")
    kept = {key: value for key, value in os.environ.items() if key not in drop}
    return kept | {"PYTHONPATH": str(ROOT / "bench"), "PYTHONNOUSERSITE": "1"}


def call(name: str, module: str, *arguments: object) -> None:
    """Run a module under ``bench`` in an environment.

    Raises
    ------
    EnvironmentFailed
        If it fails.
    """
    _command([_python(name), "-m", module, *arguments])


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)


def _python(name: str) -> Path:
    return BUILD / "environments" / name / "bin" / "python"


def _runs(python: Path) -> bool:
    if not python.exists():
        return False
    return subprocess.run([python, "-c", "import pip"], capture_output=True).returncode == 0


def _command(command: list) -> None:
    """Run quietly; the end of what it printed is the message where it fails."""
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env=clean_environment(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    if done.returncode:
        what = " ".join(Path(str(part)).name for part in command[:4])
        raise EnvironmentFailed(f"{what}: {done.stdout.strip()[-_MESSAGE_LENGTH:]}")


def _sources_hash() -> str:
    digest = hashlib.sha256(sys.version.encode())
    for source in _SOURCES:
        files = [ROOT / source] if (ROOT / source).is_file() else (ROOT / source).rglob("*")
        for file in sorted(f for f in files if f.is_file() and f.suffix != ".pyc"):
            digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.hexdigest()
