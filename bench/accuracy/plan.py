# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: the movies of every section, the programs, the full run and a quick one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from common.catalogue import JNORMCORRE_ITERATIONS, SEARCH_PX
from common.environments import ROOT

from .recipe import Recipe

COMMAND = "bench/accuracy/run.sh"  # that does all of this
BUILD = ROOT / "build" / "accuracy"
MOVIES = BUILD / "movies"
SIMULATOR = "minisim"  # the environment of the other simulator

SECTIONS = ("peers", "noise", "amplitude", "rate", "brightness", "limits", "fields", "minisim")
PASSES = 3  # of a program without a template of its own, the first against the plain mean

_MINISCOPE = (480, 752)  # frames of the table and of the limits (height, width) [px]
_TWO_PHOTON = (512, 512, "uint16")
_SQUARE = (608, 608, "float32")  # of what deforms
FEW = "few"  # the panel of programs that take seconds a frame
_SMALL = (240, 376)  # of the sweeps, so that they take minutes

REFINED, TREE = "native-refined", "dask"  # ours: the defaults; the drop-in, whose tree is minian's
CLEANED = "minian-2-cleaned"
PEERS = (
    REFINED, "native", TREE, "minian-2", CLEANED, "minian-1", "opencv-phase",
    "opencv-match", "scikit-image", "scikit-image-plain", "jnormcorre", "suite2p", "pystackreg",
)  # fmt: skip
SWEEP_PEERS = (REFINED, TREE, "opencv-match", "pystackreg")
LIMIT_PEERS = (REFINED, TREE)
SIMULATOR_PEERS = (REFINED, TREE, "minian-2", "opencv-match", "pystackreg")

# Programs that are asked for something else than in the catalogue, since exactness is what counts
# here and not time: who, options, and the same in words.
VARIANTS: dict[str, tuple[str, dict, str]] = {
    CLEANED: (
        "minian-2", {"is_cleaned": True},
        "after glow removal, median and top-hat, as in its notebook",
    ),
    "scikit-image": (
        "scikit-image", {"upsample": 100}, "`upsample_factor=100, normalization='phase'`",
    ),
    "scikit-image-plain": (
        "scikit-image-plain", {"upsample": 100}, "`upsample_factor=100, normalization=None`",
    ),
    "jnormcorre": (
        "jnormcorre", {},
        f"rigid, up to {SEARCH_PX} px, its template in {JNORMCORRE_ITERATIONS} iterations",
    ),
}  # fmt: skip
EIGHT_BITS = (CLEANED,)  # whose filter takes no more


@dataclass(frozen=True)
class Case:
    """A movie of a section.

    Attributes
    ----------
    panel : str
        Which of the section's curves or tables it belongs to.
    x : float
        What is varied there; of fields, how many frames are taken.
    recipe : Recipe or dict
        The movie; of the other simulator, its arguments.
    """

    panel: str
    x: float
    recipe: Recipe | dict


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes
    ----------
    name : str
        How the page calls this plan.
    frames, sweep_frames, limit_frames, simulator_frames : int
        Of the movies of the table, of the sweeps, of the limits, and of the other simulator.
    every : int
        Of a sweep's steps, one in so many is measured.
    field_frames, few_frames : int
        Of the movie that deforms, and how many of them slow programs are given.
    field_repeats : int
        Timed runs of each program on that movie.
    field_budget_s : float
        No further run is started after this many seconds of timed runs.
    """

    name: str
    frames: int
    sweep_frames: int
    limit_frames: int
    simulator_frames: int
    every: int
    field_frames: int
    few_frames: int
    field_repeats: int
    field_budget_s: float

    def cases(self, section: str) -> list[Case]:
        """The movies of a section."""
        if section == "peers":
            return [
                Case("miniscope", 0, Recipe("miniscope", self.frames, *_MINISCOPE)),
                Case("two-photon", 0, Recipe("two-photon", self.frames, *_TWO_PHOTON, reach=8)),
            ]
        if section == "minisim":
            found = [(model, seed) for model in ("walk", "physical") for seed in (0, 1)]
            return [
                Case(m, seed, {"model": m, "seed": seed, "frames": self.simulator_frames})
                for m, seed in found[:: self.every]
            ]
        if section == "limits":
            return self._limits()
        if section == "fields":
            deformed = Recipe(
                "miniscope", self.field_frames, *_SQUARE, reach=10, field_px=4, when="always"
            )
            return [
                Case("all", self.field_frames, deformed), Case(FEW, self.few_frames, deformed)
            ]  # fmt: skip
        base = Recipe("miniscope", self.sweep_frames, *_SMALL)
        return [
            Case(panel, value, replace(base, **fixed, **{name: value}))
            for panel, name, values, fixed in _SWEEPS[section]
            for value in values[:: self.every]
        ]

    def _limits(self) -> list[Case]:
        miniscope = Recipe("miniscope", self.limit_frames, *_MINISCOPE)
        scanned = Recipe("two-photon", self.limit_frames, *_TWO_PHOTON, reach=8)
        cases = [Case("none", 0, miniscope)]
        for name, values in (
            ("rotation_deg", (0.1, 0.2, 0.5, 1, 2)),
            ("blur_px", (1, 2, 4)),
            ("field_px", (2, 4, 8)),
        ):
            for when in ("drift", "sudden"):
                cases += [
                    Case(f"{name} {when}", x, replace(miniscope, when=when, **{name: x}))
                    for x in values[:: self.every]
                ]
        cases.append(Case("none two-photon", 0, scanned))
        values = (0.5, 1, 2, 4)[:: self.every]
        return cases + [Case("row_px", x, replace(scanned, row_px=x)) for x in values]


# Of each section: panel, the recipe's number that is varied, its values, and what else is set.
_SMALL_TWO_PHOTON = {
    "kind": "two-photon", "height": 256, "width": 256, "dtype": "uint16", "reach": 8.0,
}  # fmt: skip
_SWEEPS = {
    "noise": (
        ("noise", "read_noise", (1, 2, 4, 8, 16, 32), {"dtype": "float32"}),
    ),
    "amplitude": (("amplitude", "reach", (2, 4, 8, 16, 32), {}),),
    "rate": (("rate", "fps", (60, 30, 15, 7.5), {"reach": 3.0}),),
    "brightness": (
        ("light", "light", (2, 1, 1 / 4, 1 / 16, 1 / 32), {}),
        ("photons", "light", (16, 4, 1, 1 / 2, 1 / 4), _SMALL_TWO_PHOTON),
        ("bleached", "bleached", (0, 0.5, 0.75, 0.9), {}),
        ("flicker", "flicker", (0, 0.05, 0.2), {}),
    ),
}  # fmt: skip

FULL = Plan(
    "full", frames=250, sweep_frames=120, limit_frames=100, simulator_frames=200, every=1,
    field_frames=200, few_frames=6, field_repeats=3, field_budget_s=40,
)  # fmt: skip
QUICK = Plan(
    "quick", frames=24, sweep_frames=24, limit_frames=20, simulator_frames=20, every=4,
    field_frames=24, few_frames=4, field_repeats=1, field_budget_s=1,
)  # fmt: skip
