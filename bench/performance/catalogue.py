# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to apply shifts that are compared; :mod:`performance.appliers` has their functions."""

from __future__ import annotations

from dataclasses import dataclass

from common.catalogue import OPENCV


@dataclass(frozen=True)
class Applier:
    """A way to apply shifts.

    Attributes
    ----------
    label : str
        Its name on the page, with ``{}`` where its version goes.
    environment : str
        Where it is installed.
    function : str
        The function of :mod:`performance.appliers` that calls it.
    packages : tuple of str
        Packages whose versions matter, its own first.
    """

    label: str
    environment: str
    function: str
    packages: tuple[str, ...]


APPLIERS: dict[str, Applier] = {
    "ours": Applier("`stillscope.apply_motion`", "stillscope", "ours", ("stillscope",)),
    "ours-frame": Applier(
        "`stillscope.motion_correction.transform_perframe`, in a loop", "stillscope",
        "our_frames", ("stillscope",),
    ),
    "opencv": Applier("OpenCV {} `warpAffine`, in a loop", "opencv", "opencv", OPENCV),
    "minian-2": Applier(
        "minian {} `transform_perframe`, in a loop", "minian-2", "minian_frames",
        ("minian", *OPENCV),
    ),
    "minian-1": Applier(
        "minian {} `transform_perframe`, in a loop", "minian-1", "minian_frames",
        ("minian", "SimpleITK"),
    ),
}  # fmt: skip
