# SPDX-License-Identifier: GPL-3.0-or-later
"""What a simulated movie is made of, in numbers: :mod:`accuracy.scene` makes it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

_SOURCES = ("recipe.py", "scene.py", "bound.py", "movie.py", "field_error.py")


@dataclass(frozen=True)
class Recipe:
    """A movie.

    Attributes
    ----------
    kind : {"miniscope", "two-photon"}
        Scene, camera and usual motion.
    frames, height, width : int
        Size.
    dtype : {"uint8", "uint16", "float32"}
        Pixel type; float32 is not rounded.
    seed : int
        Of scene, motion and noise.
    reach : float
        Largest displacement along an axis [px]; the whole motion is in proportion to it.
    fps : float
        0: the motion goes from frame to frame. Else it is smooth in time, with `reach` as its
        root mean square, and each frame is exposed as long as it lasts [frames a second].
    light : float
        Light, in that of the kind.
    read_noise : float
        Noise of reading a pixel, in that of the kind.
    bleached : float
        Share of the light that is gone at the end.
    flicker : float
        Standard deviation of each frame's own gain.
    rotation_deg, blur_px, field_px : float
        What no translation can undo: turning about the middle of the frame, Gaussian blur, a smooth
        field of displacement (its largest difference within a frame).
    when : {"drift", "sudden", "always"}
        Whether that grows over the movie, is there at full strength in one frame of ten, or in
        every frame; the field is then another in each, and `field_px` that of the frame which
        deforms most.
    row_px : float
        Scanning line by line: root mean square of the motion between first and last row of a
        frame [px].
    """

    kind: str
    frames: int
    height: int
    width: int
    dtype: str = "uint8"
    seed: int = 1
    reach: float = 12.0
    fps: float = 0.0
    light: float = 1.0
    read_noise: float = 1.0
    bleached: float = 0.0
    flicker: float = 0.0
    rotation_deg: float = 0.0
    blur_px: float = 0.0
    field_px: float = 0.0
    when: str = "drift"
    row_px: float = 0.0

    @property
    def is_rigid(self) -> bool:
        """Whether a frame is the scene displaced, and nothing else."""
        return not (self.rotation_deg or self.field_px or self.row_px)

    def key(self) -> str:
        """Changes with the numbers here and with the code that makes movies."""
        here = Path(__file__).parent
        code = b"".join((here / name).read_bytes() for name in _SOURCES)
        text = json.dumps(asdict(self), sort_keys=True).encode()
        return hashlib.sha256(text + code).hexdigest()[:16]
