# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimates as files: zarr and netCDF that xarray opens, and CSV for spreadsheets.

Variables, by dims:

    motion                  (frame, shift_dim)   the shifts [px], as minian's `motion`
    quality_<figure>        (frame)              as in `FrameQuality`
    quality_flags           (frame, flag)
    quality_interpolated    (frame)
    nonrigid_coefficients   (frame, axis, grid_row, grid_column)     as in `Deformation`
    nonrigid_<figure>       (frame)
    nonrigid_uncertainty    (mesh_row, mesh_column)
    template, template_before, template_fixed_pattern     (height, width)

What is not an array is in the attributes. The file's bytes depend on the estimate and `attributes`
alone: there is no date in it.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import _check
from .._core import __version__
from ..nonrigid import Deformation
from ..result import FrameQuality, MotionEstimate
from .durable import checked_path, naming, read_json, replacing, write_pieces
from .extras import import_extra, is_installed, require_extra
from .zarr_group import ZarrGroup

FORMAT = "stillscope motion"
FORMAT_VERSION = 1
_FIGURES = (
    "similarity_before", "similarity", "peak", "ratio", "residual", "uncertainty", "gain",
)  # fmt: skip
_PLANES = {
    "template": "template",
    "template_before": "mean_before",
    "template_fixed_pattern": "fixed_pattern",
}
_UNITS = {"quality_uncertainty": "px"}
_SUFFIXES = (".zarr", ".nc")
_CSV_LINES = 4096

FIELDS = {
    "coefficients": ("frame", "axis", "grid_row", "grid_column"),
    "frame_size": ("frame",),
    "similarity": ("frame",),
    "from_patches": ("frame",),
    "interpolated": ("frame",),
    "uncertainty": ("mesh_row", "mesh_column"),
}
_FIELD_ATTRIBUTES = ("frame_shape", "origin", "spacing", "size", "is_rigid")

Variables = dict[str, tuple[tuple[str, ...], np.ndarray]]


def variables_of(motion: MotionEstimate) -> Variables:
    """Dims and values of all that is an array."""
    variables: Variables = {
        "motion": (("frame", "shift_dim"), np.asarray(motion.shifts, np.float64)),
        "frame": (("frame",), np.arange(len(motion.shifts))),
        "shift_dim": (("shift_dim",), np.array(["height", "width"])),
    }
    for name, attribute in _PLANES.items():
        plane = getattr(motion, attribute)
        if plane is not None:
            variables[name] = (("height", "width"), np.asarray(plane, np.float32))
    region = motion.filtering["region"] if motion.filtering else None
    first = (region or (0, 0, 0, 0))[::2]
    for dim, begin, size in zip(("height", "width"), first, motion.template.shape):
        variables[dim] = ((dim,), begin + np.arange(size))
    quality = motion.quality
    if quality is not None:
        for name in _FIGURES:
            variables[f"quality_{name}"] = (("frame",), getattr(quality, name))
        flags = np.stack(list(quality.flags.values()), axis=1)
        variables["flag"] = (("flag",), np.array(list(quality.flags)))
        variables["quality_flags"] = (("frame", "flag"), flags)
        variables["quality_interpolated"] = (("frame",), quality.interpolated)
    if motion.deformation is not None:
        variables["axis"] = (("axis",), np.array(["x", "y"]))
        for name, dims in FIELDS.items():
            variables[f"nonrigid_{name}"] = (dims, getattr(motion.deformation, name))
    return variables


def attributes_of(motion: MotionEstimate) -> dict[str, Any]:
    """What is not an array; nested values as JSON, since netCDF has none."""
    counts = {
        key: {name: int(n) for name, n in motion.stats[key].items() if name != "runs"}
        for key in ("counts", "planned")
        if key in motion.stats
    }
    local = motion.deformation
    if local is not None:
        local = {name: getattr(local, name) for name in _FIELD_ATTRIBUTES}
    rest = {k: v for k, v in motion.stats.items() if k not in counts}
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "stillscope_version": __version__,
        "convention": "shifts are (height, width) in px, to be added to the content's position",
        "valid": json.dumps([[part.start, part.stop] for part in motion.valid]),
        "filtering": json.dumps(motion.filtering, sort_keys=True),
        "nonrigid": json.dumps(local, sort_keys=True),
        "stats": json.dumps({**rest, **counts}, sort_keys=True, default=float),
    }


def save_motion(
    path: str | os.PathLike, motion: MotionEstimate, attributes: Mapping[str, Any] | None = None
) -> None:
    """Write an estimate.

    Parameters
    ----------
    path : path
        ``.zarr`` or ``.nc`` (netCDF). What is there is replaced, at the end.
    motion : MotionEstimate
    attributes : mapping or None
        More to be kept, by names that the file does not have itself: strings, numbers, and what
        JSON can hold.

    Raises
    ------
    ImportError
        Where zarr, or xarray and a netCDF library, is missing.
    FileNotFoundError
        Where the folder does not exist.
    TypeError, ValueError
        Where the suffix is another, or an argument is not as stated above.
    OSError
        Where it can't be written: with the path and the bytes.
    """
    path = checked_path(path, *_SUFFIXES)
    _check.of_type(motion, "motion", MotionEstimate)
    variables = variables_of(motion)
    about = attributes_of(motion)
    about |= _more_attributes(attributes, about)
    size = sum(values.nbytes for _, values in variables.values())
    with naming(path, size), replacing(path) as new:
        (_save_zarr if path.suffix.lower() == ".zarr" else _save_netcdf)(new, variables, about)


def _more_attributes(given: Any, reserved: Mapping[str, Any]) -> dict[str, Any]:
    """Checked, and nested values as JSON."""
    if given is None:
        return {}
    _check.of_type(given, "attributes", Mapping)
    more = {}
    for name, value in given.items():
        if not isinstance(name, str) or not name or name in reserved:
            raise ValueError(
                f"attributes: expected other names than {', '.join(reserved)}, got {name!r}"
            )
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, (str, float, int)) and not isinstance(value, bool):
            more[name] = value
            continue
        try:
            more[name] = json.dumps(value, sort_keys=True)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"attributes: expected what JSON can hold, got {name!r} of "
                f"{type(value).__name__} ({error})"
            ) from None
    return more


def _save_zarr(path: Path, variables: Variables, attributes: dict[str, Any]) -> None:
    group = ZarrGroup.create(path, attributes)
    for name, (dims, values) in variables.items():
        unit = "px" if name == "motion" else _UNITS.get(name)
        group.write(name, values, dims, {"units": unit} if unit else None)
    group.finish()


def _save_netcdf(path: Path, variables: Variables, attributes: dict[str, Any]) -> None:
    xarray, engine = _netcdf()
    dataset = xarray.Dataset(variables, attrs=attributes)
    dataset["motion"].attrs["units"] = "px"
    dataset.to_netcdf(path, engine=engine)


def _netcdf() -> tuple[Any, str]:
    """xarray, and the name that it has for a library that is there."""
    doing = "a netCDF file of shifts"
    xarray = import_extra("xarray", doing)
    if is_installed("h5netcdf") and not is_installed("netCDF4"):
        return xarray, "h5netcdf"
    require_extra("netCDF4", doing)
    return xarray, "netcdf4"


def load_motion(path: str | os.PathLike) -> MotionEstimate:
    """Read an estimate that was written by `save_motion` or by `stillscope.correct`.

    Parameters
    ----------
    path : path
        ``.zarr`` or ``.nc``.

    Returns
    -------
    MotionEstimate

    Raises
    ------
    FileNotFoundError
        Where there is none.
    ImportError
        Where zarr, or xarray and a netCDF library, is missing.
    ValueError
        Where it holds something else, or is of a newer version.
    """
    return open_motion(path)[0]


def open_motion(path: str | os.PathLike) -> tuple[MotionEstimate, dict[str, Any]]:
    """The estimate, and the file's attributes."""
    variables, attributes = read_motion(path)
    try:
        return _motion_of(variables, attributes), attributes
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: expected all that a file of shifts has, got one that is damaged ({error!r})"
        ) from error


def _motion_of(variables: dict[str, np.ndarray], attributes: dict[str, Any]) -> MotionEstimate:
    motion = variables["motion"]
    planes = {
        attribute: variables.get(name) for name, attribute in _PLANES.items()
    }
    valid = tuple(slice(*bounds) for bounds in json.loads(attributes["valid"]))
    filtering = json.loads(attributes["filtering"])
    if filtering and filtering["region"]:
        filtering["region"] = tuple(filtering["region"])
    quality = None
    if "quality_flags" in variables:
        names = [str(name) for name in variables["flag"]]
        quality = FrameQuality(
            flags=dict(zip(names, np.ascontiguousarray(variables["quality_flags"].T, bool))),
            interpolated=variables["quality_interpolated"].astype(bool),
            **{name: variables[f"quality_{name}"] for name in _FIGURES},
        )
    return MotionEstimate(
        shifts=motion, quality=quality, valid=valid, filtering=filtering,
        stats=json.loads(attributes["stats"]), deformation=deformation_in(variables, attributes),
        **planes,
    )  # fmt: skip


def deformation_in(
    variables: dict[str, np.ndarray], attributes: dict[str, Any]
) -> Deformation | None:
    """The fields among such variables, where there are any."""
    about = json.loads(attributes.get("nonrigid", "null"))
    if about is None:
        return None
    pairs = {name: tuple(about[name]) for name in ("frame_shape", "origin", "spacing")}
    arrays = {name: variables[f"nonrigid_{name}"] for name in FIELDS}
    for name in ("from_patches", "interpolated"):
        arrays[name] = arrays[name].astype(bool)
    return Deformation(size=about["size"], is_rigid=about["is_rigid"], **pairs, **arrays)


def is_motion(path: Path) -> bool:
    """Whether this is a file of shifts: by its name, or by what a folder of zarr says of itself."""
    if path.suffix.lower() == ".nc" or path.name.endswith(".shifts.zarr"):
        return True
    try:
        attributes = read_json(path / ".zattrs")
    except (OSError, ValueError):
        return False
    return isinstance(attributes, dict) and attributes.get("format") == FORMAT


def read_motion(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of such a file, and its attributes, checked to be of this format."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path: expected a path, got {path!r}")
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"path: expected the suffix {' or '.join(_SUFFIXES)}, got {path}")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    try:
        if path.suffix.lower() == ".zarr":
            attributes, arrays = ZarrGroup.read(path)
            variables = {name: values for name, (_, values) in arrays.items()}
        else:
            xarray, engine = _netcdf()
            with xarray.open_dataset(path, engine=engine) as dataset:
                variables = {str(name): dataset[name].values for name in dataset.variables}
                attributes = dict(dataset.attrs)
    except ImportError:
        raise
    except Exception as error:  # of many kinds, by library and version
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: expected a file of shifts, can't read it ({reason})") from error
    if attributes.get("format") != FORMAT or "motion" not in variables:
        raise ValueError(f"{path}: expected a file of shifts by stillscope, got another")
    version = attributes.get("format_version")
    if not isinstance(version, (int, np.integer)):
        raise ValueError(f"{path}: expected a format version, got {version!r}")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path}: expected format version {FORMAT_VERSION} or older, got "
            f"{version}: a newer stillscope wrote it"
        )
    return variables, attributes


def write_csv(path: Path, motion: MotionEstimate) -> None:
    """A line a frame: the shift with the shortest digits that read back as the same float64, how
    alike the frame is, its flags."""
    write_pieces(path, _csv_pieces(motion))


def _csv_pieces(motion: MotionEstimate) -> Iterator[bytes]:
    """Some thousand lines at a time: as Python's numbers they take ten times their room."""
    quality = motion.quality
    head = ["frame", "height", "width"]
    if quality is not None:
        head += ["similarity_before", "similarity", "uncertainty", "interpolated", "flags"]
    yield _csv_lines([head])
    for begin in range(0, len(motion.shifts), _CSV_LINES):
        part = slice(begin, begin + _CSV_LINES)
        rows = [[begin + k, *shift] for k, shift in enumerate(motion.shifts[part].tolist())]
        if quality is not None:
            figures = zip(*(values[part].tolist() for values in (
                quality.similarity_before, quality.similarity, quality.uncertainty,
                quality.interpolated.astype(int),
            )))  # fmt: skip
            raised = zip(*(flag[part].tolist() for flag in quality.flags.values()))
            for row, known, flags in zip(rows, figures, raised):
                names = (name for name, is_set in zip(quality.flags, flags) if is_set)
                row += [*known, " ".join(names)]
        yield _csv_lines(rows)


def _csv_lines(rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
