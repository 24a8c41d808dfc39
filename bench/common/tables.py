# SPDX-License-Identifier: GPL-3.0-or-later
"""Markdown tables, and numbers as the page writes them."""

from __future__ import annotations

import math

_DIGITS = 3  # significant


def number(value: float) -> str:
    """Three significant digits, never in powers of ten; whole from a hundred on."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    value = float(f"{value:.{_DIGITS}g}") if abs(value) < 10**_DIGITS else value
    decimals = _DIGITS - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, decimals)}f}"


def spread(times: dict) -> str:
    """Median (lowest to highest)."""
    return f"{number(times['median'])} ({number(times['low'])} to {number(times['high'])})"


def table(head: list[str], rows: list[list[str]], left: str = "l") -> str:
    """A table, the first ``len(left)`` columns on the left, the others on the right."""
    rule = ["---" if k < len(left) else "---:" for k in range(len(head))]
    lines = [
        head,
        rule,
        *([" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
