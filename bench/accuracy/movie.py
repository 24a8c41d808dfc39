# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the movies as ``.npy`` files, so that every program reads the same pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from common.template import best_template
from common.worker import error_px, versions

from .field_error import lattice

_NOISE_SEED = 7
_FPS = 20.0  # of the other simulator: its own default


def write(job: dict) -> dict:
    """Make a recipe's movie, where it is not there yet; what it is like."""
    path = Path(job["folder"])
    facts = path / "facts.json"
    if not facts.exists():
        path.mkdir(parents=True, exist_ok=True)
        facts.write_text(json.dumps(_make(path, job["recipe"])))
    return json.loads(facts.read_text())


def _make(path: Path, recipe: dict) -> dict:
    from .bound import shift_bound
    from .recipe import Recipe
    from .scene import Scene

    scene = Scene(Recipe(**recipe))
    rng = np.random.default_rng(_NOISE_SEED)
    frames, variance, mean = [], 0.0, 0.0
    for t in range(scene.recipe.frames):
        clean = scene.clean(t)
        frames.append(scene.record(rng, clean))
        variance += scene.variance(clean).mean() / scene.recipe.frames
        mean += clean.mean() / scene.recipe.frames
    movie = np.stack(frames)
    np.save(path / "movie.npy", movie)
    np.save(path / "displacement.npy", scene.displacement)
    np.save(path / "affected.npy", scene.affected)
    np.save(path / "template.npy", best_template(movie, scene.displacement))
    if scene.recipe.field_px:
        np.save(path / "fields.npy", scene.fields(*lattice(movie.shape[1:])).astype(np.float32))
    return {
        **_motion(scene.displacement),
        "noise": float(np.sqrt(variance)),
        "mean": mean,
        "bound_px": shift_bound(scene) if scene.recipe.is_rigid else None,
    }


def write_simulated(job: dict) -> dict:
    """Make a recording with minisim, where it is not there yet; what it is like."""
    path = Path(job["folder"])
    facts = path / "facts.json"
    if not facts.exists():
        from minisim import BrainMotion, presets, simulate

        path.mkdir(parents=True, exist_ok=True)
        model, seed, frames = (job["recipe"][key] for key in ("model", "seed", "frames"))
        spec = presets.build_spec(
            presets.miniscope_v4(), presets.ca1(), duration_s=frames / _FPS, fps=_FPS, seed=seed,
            extra_steps=[BrainMotion(model=model)],
        )  # fmt: skip
        recording = simulate(spec)
        displacement = np.asarray(recording.ground_truth.shifts, float)
        movie = np.asarray(recording.observed)
        np.save(path / "movie.npy", movie)
        np.save(path / "displacement.npy", displacement)
        np.save(path / "affected.npy", np.zeros(len(movie), bool))
        found = _motion(displacement) | {
            "shape": list(movie.shape), "dtype": movie.dtype.name, "mean": float(movie.mean()),
            "versions": versions(["minisim"]),
        }  # fmt: skip
        facts.write_text(json.dumps(found))
    return json.loads(facts.read_text())


def _motion(displacement: np.ndarray) -> dict:
    """Size of a motion [px]: as far as an estimate that finds none is off; the largest; jumps."""
    still = error_px(np.zeros_like(displacement), displacement)
    step = np.diff(displacement, axis=0)
    return {
        "motion_px": still["rms"],
        "largest_px": float(np.abs(displacement).max()),
        "step_px": float(np.sqrt(np.mean(step**2))),
    }
