# SPDX-License-Identifier: GPL-3.0-or-later
"""Markdown tables, and numbers as the page writes them."""

from __future__ import annotations

_DIGITS = 3  # significant


def number(value: float) -> str:
    """Three significant digits, never in powers of ten, whole from a hundred on."""
    text = f"{float(f'{value:.{_DIGITS}g}'):.10f}"
    whole, _, _ = text.partition(".")
    if value == 0 or abs(value) >= 10 ** (_DIGITS - 1):
        return f"{value:.0f}"
    if abs(value) >= 1:
        return f"{value:.{_DIGITS - len(whole.lstrip('-'))}f}"
    return text.rstrip("0")


def spread(times: dict) -> str:
    """Median (lowest to highest)."""
    return f"{number(times['median'])} ({number(times['low'])} to {number(times['high'])})"


def table(head: list[str], rows: list[list[str]], left: str = "l") -> str:
    """A table, the first ``len(left)`` columns on the left, the others on the right."""
    rule = ["---" if k < len(left) else "---:" for k in range(len(head))]
    lines = [head, rule, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
