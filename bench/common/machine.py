# SPDX-License-Identifier: GPL-3.0-or-later
"""What the measurements ran on."""

from __future__ import annotations

import os
import platform
import re
import subprocess

_KIB_PER_GIB = 1024 * 1024
_VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "asimd": "NEON", "sse4_2": "SSE4.2"}


def describe() -> dict:
    """Processor, cores, caches, memory, operating system and compiler of this machine.

    Returns
    -------
    dict
        ``cpu``, ``cores`` (that this process may use), ``vectors``, ``hypervisor``, ``caches``,
        ``memory_gib``, ``system``, ``python``, ``compiler``; what can't be found out is left out.
    """
    lines = dict(re.findall(r"^([^:\n]+):\s*(.*)$", _output("lscpu"), re.MULTILINE))
    flags = lines.get("Flags", "").split()
    found = {
        "cpu": _cpu_name(lines),
        "cores": len(os.sched_getaffinity(0)),
        "vectors": next((name for flag, name in _VECTORS.items() if flag in flags), None),
        "hypervisor": lines.get("Hypervisor vendor"),
        "caches": ", ".join(
            f"{key[:3].strip()} {lines[key]}"
            for key in ("L1d cache", "L2 cache", "L3 cache") if key in lines
        ),
        "memory_gib": round(_meminfo_kib("MemTotal") / _KIB_PER_GIB, 1),
        "system": _system_name(),
        "python": platform.python_version(),
        "compiler": _output("c++", "--version").split("\n")[0],
    }  # fmt: skip
    return {key: value for key, value in found.items() if value}


def available_bytes() -> int:
    """Memory that could be had now."""
    return _meminfo_kib("MemAvailable") * 1024


def busy_seconds() -> float:
    """Processor time of all cores since the start, by whoever used it, or the host withheld it."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _cpu_name(lines: dict) -> str:
    family = ", ".join(f"{k.lower()} {lines[k]}" for k in ("CPU family", "Model") if k in lines)
    return f"{lines.get('Model name', platform.machine())} ({family})"


def _system_name() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, Linux {platform.release().split('-')[0]}"


def _meminfo_kib(field: str) -> int:
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field))


def _output(*command: str) -> str:
    try:
        environment = os.environ | {"LC_ALL": "C"}
        return subprocess.run(command, capture_output=True, text=True, env=environment).stdout
    except OSError:
        return ""
