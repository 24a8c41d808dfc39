# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a page, its pictures and its results are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from . import environments
from .environments import OURS, ROOT, EnvironmentFailed, say


class Output:
    """The files of a page: in ``docs``, or in a folder of its own for a quick run.

    Parameters
    ----------
    name : str
        Of the page, and of the package under ``bench`` that makes it.
    folder : Path
        Where they go.
    images : str
        Folder of the pictures under `folder`.
    """

    def __init__(self, name: str, folder: Path, images: str) -> None:
        self.name = name
        self.results = folder / name / "results.json"
        self.images = folder / images
        self.page = folder / f"{name}.md"

    def load(self) -> dict:
        """Results of earlier runs; none if there are none."""
        return json.loads(self.results.read_text()) if self.results.exists() else {}

    def save(self, results: dict) -> None:
        """Replace the results."""
        self.results.parent.mkdir(parents=True, exist_ok=True)
        self.results.write_text(json.dumps(results, indent=1) + "\n")

    def write_page(self, render: Callable[[dict, Path], str]) -> None:
        """Draw the pictures and write the page from the results.

        Raises
        ------
        EnvironmentFailed
            If there are no results, or the pictures can't be drawn.
        """
        if not self.results.exists():
            raise EnvironmentFailed("there are no results to write a page from")
        environments.make(OURS)
        self.images.mkdir(parents=True, exist_ok=True)
        environments.call(OURS, f"{self.name}.figures", self.results, self.images)
        self.page.write_text(render(self.load(), self.images))
        say(f"written: {self.page.relative_to(ROOT)}")
