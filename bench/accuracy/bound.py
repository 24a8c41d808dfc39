# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cramér-Rao bound: what noise alone leaves unknown of a frame's shift."""

from __future__ import annotations

import numpy as np

from .scene import Scene

_STEP_PX = 0.05  # of the central difference: right to 0.4 % at the highest frequency
_FRAMES = 12  # over which it is averaged


def shift_bound(scene: Scene) -> float:
    """Least standard error of a shift [px], root mean square over axes and frames.

    With the frame without noise ``m`` as a function of the shift ``d``, and the variance ``v`` of a
    pixel's noise, the information on ``d`` is the sum over the pixels of ``grad m grad m^T / v``;
    no unbiased estimate has a smaller covariance than its inverse. The scene counts as known.

    Parameters
    ----------
    scene : Scene
        A movie whose motion is a translation.
    """
    traces = []
    for t in np.linspace(0, scene.recipe.frames - 1, _FRAMES).astype(int):
        weight = 1 / scene.variance(scene.clean(t))
        slope = [
            (scene.clean(t, step) - scene.clean(t, -step)) / (2 * _STEP_PX)
            for step in _STEP_PX * np.eye(2)
        ]
        information = [[(a * b * weight).sum() for a in slope] for b in slope]
        traces.append(np.trace(np.linalg.inv(information)) / 2)
    return float(np.sqrt(np.mean(traces)))
