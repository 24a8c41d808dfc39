# SPDX-License-Identifier: GPL-3.0-or-later
"""Code that opens what a correction wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple


class Snippet(NamedTuple):
    """A few lines of Python, and what they do."""

    title: str
    code: str


_MOVIES = {
    ".zarr": "import xarray as xr\n\nmovie = xr.open_zarr({path})",
    ".nc": "import xarray as xr\n\nmovie = xr.open_dataset({path})",
    ".npy": 'import numpy as np\n\nmovie = np.load({path}, mmap_mode="r")',
    ".tif": "import tifffile\n\nmovie = tifffile.imread({path})",
    ".tiff": "import tifffile\n\nmovie = tifffile.imread({path})",
    ".avi": "from stillscope.video import read_movie\n\nmovie, frame_rate = read_movie({path})",
}
_MOTIONS = {
    ".zarr": "import xarray as xr\n\nmotion = xr.open_zarr({path})",
    ".nc": "import xarray as xr\n\nmotion = xr.open_dataset({path})",
    ".npy": "import numpy as np\n\nshifts = np.load({path})",
    ".csv": 'import numpy as np\n\nshifts = np.loadtxt({path}, delimiter=",", skiprows=1)',
}
_AGAIN = """\
import stillscope

motion = stillscope.estimate_motion(movie{options})
corrected = stillscope.apply_motion(movie, motion)"""


def snippets_of(summary: Any) -> list[Snippet]:
    """How to open the results, and how to make them again."""
    items = []
    for role, title, known in (
        ("movie", "Open the corrected movie", _MOVIES),
        ("motion", "Open the shifts", _MOTIONS),
    ):
        path = summary.outputs.get(role)
        template = known.get(Path(str(path)).suffix.lower()) if path is not None else None
        if template is not None:
            items.append(Snippet(title, template.format(path=repr(str(path)))))
    options = "".join(
        f", {name}={value!r}"
        for name, value in summary.parameters.items()
        if name.isidentifier() and isinstance(value, (str, int, float, bool))
    )
    code = _AGAIN.format(options=options)
    if summary.valid is not None:
        rows, columns = summary.valid
        code += (
            f"\ncropped = corrected[:, {rows.start}:{rows.stop}, {columns.start}:{columns.stop}]"
        )
    items.append(Snippet("Do it again, in memory", code))
    return items
