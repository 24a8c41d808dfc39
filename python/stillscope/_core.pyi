# SPDX-License-Identifier: GPL-3.0-or-later
from collections.abc import Callable
from typing import Any, Literal, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

__version__: str
FRAME_FLAGS: tuple[str, ...]

class TreeSettings(TypedDict):
    npart: int
    alt_error: float | None
    aggregation: Literal["mean", "max"]
    circ_thres: float | None
    max_sh: int
    slot_last: Literal["second", "last"]
    registrar: Literal["fft", "coarse_to_fine"]
    warped_values: Literal["by_type", "whole", "binary"]

class FilterSettings(TypedDict):
    smooth: float
    background: float
    fixed_pattern: bool
    region: tuple[int, int, int, int] | None

class Checkpoint(Protocol):
    def is_due(self) -> bool: ...
    def save(self, state: memoryview) -> None: ...
    def load(self) -> bytes | None: ...

class NonrigidSettings(TypedDict):
    method: Literal["spline", "patches"]
    spacing: float
    expected: float | None
    cells: tuple[int, int] | None

class EstimateSettings(TypedDict):
    nonrigid: NonrigidSettings | None
    filter: FilterSettings
    tree: TreeSettings
    chunk: int
    refine: int
    brightness: bool
    robust: float
    highpass: float
    lowpass: float
    max_shift: float | None
    bad_frames: NDArray[np.uint16] | None
    weights: NDArray[np.float32] | None

def est_motion_chunk(
    items: NDArray[Any],
    incoming: list[NDArray[np.float64]] | None,
    settings: TreeSettings,
    n_threads: int | None,
) -> dict[str, Any]: ...
def estimate_motion(
    read: Callable[[int, int], NDArray[Any]],
    dtype: np.dtype[Any],
    frames: int,
    height: int,
    width: int,
    settings: EstimateSettings,
    n_threads: int | None,
    checkpoint: Checkpoint | None,
) -> dict[str, Any]: ...
def filter_movie(
    movie: NDArray[Any],
    settings: FilterSettings,
    pattern: NDArray[np.float32] | None,
    n_threads: int | None,
) -> NDArray[np.float32]: ...
def check_settings(settings: EstimateSettings, frames: int, height: int, width: int) -> None: ...
def residual_motion(
    read: Callable[[int, int], NDArray[Any]],
    dtype: np.dtype[Any],
    frames: int,
    height: int,
    width: int,
    shifts: NDArray[np.float64] | None,
    template: NDArray[np.float32] | None,
    binning: int,
    n_threads: int | None,
) -> NDArray[np.float64]: ...
def thread_count(n_threads: int | None = None) -> int: ...
def apply_motion(
    movie: NDArray[Any],
    shifts: NDArray[np.float64],
    out: NDArray[Any],
    *,
    fill: float,
    grid: Literal["exact", "cv2"],
    rounding: Literal["nearest", "truncate"],
    interpolation: Literal["linear", "cubic"] = "linear",
    border: Literal["constant", "nearest"] = "constant",
    binning: tuple[float, float] = (1.0, 1.0),
    n_threads: int | None,
) -> None: ...
def apply_deformation(
    movie: NDArray[Any],
    coefficients: NDArray[np.float64],
    origin: tuple[float, float],
    spacing: tuple[float, float],
    out: NDArray[Any],
    *,
    fill: float,
    rounding: Literal["nearest", "truncate"],
    interpolation: Literal["linear", "cubic"] = "linear",
    border: Literal["constant", "nearest", "half_pixel"] = "constant",
    binning: tuple[float, float] = (1.0, 1.0),
    n_threads: int | None,
) -> None: ...
def control_grid(
    height: int, width: int, rows: int, columns: int
) -> tuple[tuple[float, float], tuple[float, float]]: ...
def spline_field(
    coefficients: NDArray[np.float64],
    origin: tuple[float, float],
    spacing: tuple[float, float],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
) -> NDArray[np.float64]: ...
def circularity(frame: NDArray[Any], max_sh: int) -> float: ...
def match_template(
    src: NDArray[np.float32],
    dst: NDArray[np.float32],
    *,
    max_sh: int,
    local: bool,
    subpixel: bool,
) -> NDArray[np.float64]: ...
def adaptive_mask(
    frame: NDArray[np.uint8], threshold: float, window: int
) -> NDArray[np.bool_]: ...
def displacement_from_spectra(
    src: NDArray[np.complex128], dst: NDArray[np.complex128], height: int, width: int
) -> NDArray[np.float64]: ...
