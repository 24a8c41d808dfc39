# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compared: each program with its environment and settings, no code of theirs.

:mod:`common.peers` has the functions that are named here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

UPSAMPLE = 10  # scikit-image: a tenth of a pixel, unless a peer's options say otherwise
JNORMCORRE_ITERATIONS = 4  # to find its own template
SEARCH_PX = 20  # largest displacement that is looked for where a peer wants to know

GIVEN = "given"
_OWN = "its own, made before the clock"
_NONE = "none needed"
OPENCV = ("opencv-python-headless", "opencv-python")


@dataclass(frozen=True)
class Peer:
    """A way to estimate motion.

    Attributes
    ----------
    label : str
        Its name on the page, with ``{}`` where its version goes.
    environment : str
        Where it is installed.
    function : str
        The function of :mod:`common.peers` that calls it.
    settings : str
        What it is asked for, in its own words.
    template : str
        Which template the frames are registered to.
    packages : tuple of str
        Packages whose versions matter, its own first.
    options : dict
        Keyword arguments of `function`.
    against : str
        The name of the way of ours that its time is divided by.
    is_slow : bool
        Whether it is given fewer frames.
    is_tuned_too : bool
        Whether it is run with the tuned allocator as well.
    """

    label: str
    environment: str
    function: str
    settings: str
    template: str
    packages: tuple[str, ...]
    options: dict = field(default_factory=dict)
    against: str = "native"
    is_slow: bool = False
    is_tuned_too: bool = False


def _native(options: dict, settings: str, is_tuned_too: bool = False) -> Peer:
    return Peer(
        "`stillscope.estimate_motion`", "stillscope", "native", settings, _NONE,
        ("stillscope", "numpy"), options, is_tuned_too=is_tuned_too,
    )  # fmt: skip


def _drop_in(registrar: str | None, settings: str) -> Peer:
    options = {"registrar": registrar} if registrar else {}
    return Peer(
        "`stillscope.motion_correction.estimate_motion`", "stillscope", "drop_in", settings, _NONE,
        ("stillscope", "numpy", "dask", "xarray"), options, "dask",
        is_tuned_too=registrar is None,
    )  # fmt: skip


def _minian(version: str, is_slow: bool) -> Peer:
    return Peer(
        "minian {}", version, "minian", "its defaults", _NONE,
        ("minian", *OPENCV, "numpy", "dask", "xarray"), against="dask", is_slow=is_slow,
        is_tuned_too=True,
    )  # fmt: skip


def _scikit_image(normalization: str | None) -> Peer:
    return Peer(
        "scikit-image {} `phase_cross_correlation`", "scikit-image", "scikit_image",
        f"`upsample_factor={UPSAMPLE}, normalization={normalization!r}`", GIVEN,
        ("scikit-image", "scipy", "numpy"), {"normalization": normalization},
    )  # fmt: skip


PEERS: dict[str, Peer] = {
    "native": _native({"refine": 0}, "the tree alone, `refine=0`", is_tuned_too=True),
    "native-refined": _native({}, "its defaults, `refine=3`"),
    "native-fft": _native({"refine": 0, "registrar": "fft"}, '`refine=0, registrar="fft"`'),
    "dask": _drop_in(None, "its defaults"),
    "dask-fft": _drop_in("fft", '`registrar="fft"`'),
    "minian-2": _minian("minian-2", is_slow=False),
    "minian-1": _minian("minian-1", is_slow=True),
    "opencv-phase": Peer(
        "OpenCV {} `phaseCorrelate`", "opencv", "opencv_phase", "Hann window", GIVEN, OPENCV
    ),
    "opencv-match": Peer(
        "OpenCV {} `matchTemplate`", "opencv", "opencv_match",
        f"`TM_CCOEFF_NORMED`, {SEARCH_PX} px around, parabola", GIVEN, OPENCV,
    ),
    "scikit-image": _scikit_image("phase"),
    "scikit-image-plain": _scikit_image(None),
    "jnormcorre": Peer(
        "jnormcorre {}", "jnormcorre", "jnormcorre", f"rigid, up to {SEARCH_PX} px", GIVEN,
        ("jnormcorre", "jax"),
    ),
    "suite2p": Peer(
        "suite2p {}", "suite2p", "suite2p", "rigid, which is whole pixels", _OWN,
        ("suite2p", "torch"),
    ),
    "pystackreg": Peer(
        "pystackreg {}", "pystackreg", "pystackreg", "`TRANSLATION`", GIVEN, ("pystackreg",),
        is_slow=True,
    ),
}  # fmt: skip
