# SPDX-License-Identifier: GPL-3.0-or-later
"""``install`` puts the drop-in in minian's place whenever it is called, ``uninstall`` undoes it.

Each case runs in an interpreter of its own: what was imported before is what is tested. The real
minian takes seconds to import, so that most cases meet a stand-in of a few lines.
"""

import importlib.metadata
import os
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("xarray")
pytest.importorskip("dask")

PREAMBLE = """
import sys, warnings
warnings.simplefilter("ignore")
import importlib, importlib.metadata
import stillscope

def is_ours(function):
    return function.__module__ == "stillscope.motion_correction"

def is_theirs(function):
    return function.__module__ == "minian.motion_correction" and not is_ours(function)
"""


def run(code, path=None):
    """The code in a new interpreter, with `path` first: it must come to its end."""
    code = PREAMBLE + textwrap.dedent(code) + "\nprint('all done')\n"
    environment = dict(os.environ)
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "all done"


@pytest.fixture
def real_minian():
    try:
        importlib.metadata.version("minian")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs minian")


def write_stand_in(folder, version):
    """A package that says it is this minian, with a module that takes a name from the other."""
    files = {
        "minian/__init__.py": "",
        "minian/motion_correction.py": """
            def estimate_motion(): pass
            def apply_transform(): pass
            def apply_shifts(): pass
            """,
        "minian/visualization.py": """
            from .motion_correction import apply_shifts
            from .motion_correction import estimate_motion as renamed
            """,
        f"minian-{version}.dist-info/METADATA": f"""
            Metadata-Version: 2.1
            Name: minian
            Version: {version}
            """,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")


@pytest.fixture
def stand_in(tmp_path):
    write_stand_in(tmp_path, "2.0.2")
    return tmp_path


@pytest.mark.usefixtures("real_minian")
def test_before_minian_is_imported():
    run("""
    stillscope.install()
    from minian.motion_correction import apply_transform, estimate_motion
    assert is_ours(estimate_motion) and is_ours(apply_transform)
    import minian
    import minian.motion_correction
    import minian.motion_correction as m
    ours = importlib.import_module("stillscope.motion_correction")
    assert m is ours and minian.motion_correction is ours
    assert importlib.import_module("minian.motion_correction") is ours
    import minian.visualization
    assert is_ours(minian.visualization.apply_shifts)
    import minian.cross_registration as c
    for module in (minian.visualization, c):
        for name in ("apply_shifts", "apply_transform", "estimate_motion"):
            assert not hasattr(module, name) or is_ours(getattr(module, name)), (module, name)

    stillscope.uninstall()
    from minian.motion_correction import estimate_motion
    assert is_theirs(estimate_motion)
    assert is_theirs(minian.motion_correction.estimate_motion)
    assert is_theirs(minian.visualization.apply_shifts)
    """)


@pytest.mark.usefixtures("real_minian")
def test_after_minian_was_imported():
    run("""
    import minian.motion_correction
    import minian.visualization
    theirs = minian.motion_correction
    before = minian.visualization.apply_shifts
    assert is_theirs(before) and before is theirs.apply_shifts

    stillscope.install()
    import minian.motion_correction as m
    from minian.motion_correction import estimate_motion
    assert m is minian.motion_correction is sys.modules["minian.motion_correction"]
    assert is_ours(m.estimate_motion) and is_ours(estimate_motion)
    assert minian.visualization.apply_shifts is m.apply_shifts
    assert is_ours(minian.visualization.apply_shifts)

    stillscope.uninstall()
    assert minian.motion_correction is theirs is sys.modules["minian.motion_correction"]
    assert minian.visualization.apply_shifts is before
    from minian.motion_correction import estimate_motion
    assert estimate_motion is theirs.estimate_motion and is_theirs(estimate_motion)
    """)


def test_after_the_package_but_before_its_module(stand_in):
    run(
        """
    import minian
    assert "minian.motion_correction" not in sys.modules
    stillscope.install()
    import minian.visualization
    assert is_ours(minian.visualization.apply_shifts)
    assert is_ours(minian.motion_correction.estimate_motion)
    stillscope.uninstall()
    assert is_theirs(minian.visualization.apply_shifts)
    """,
        stand_in,
    )


@pytest.mark.parametrize("first", ["", "import minian.visualization"])
def test_installing_twice_is_installing_once(stand_in, first):
    run(
        f"""
    {first}
    stillscope.install()
    stillscope.install()
    stillscope.install(force=True)
    import minian.visualization
    assert is_ours(minian.visualization.apply_shifts)
    stillscope.uninstall()
    assert is_theirs(minian.motion_correction.estimate_motion)
    assert is_theirs(minian.visualization.apply_shifts)
    stillscope.uninstall()
    assert is_theirs(minian.motion_correction.estimate_motion)
    stillscope.install()
    assert is_ours(minian.motion_correction.estimate_motion)
    assert is_ours(minian.visualization.apply_shifts)
    """,
        stand_in,
    )


def test_uninstalling_without_installing_does_nothing(stand_in):
    run(
        """
    stillscope.uninstall()
    assert not any(name.partition(".")[0] == "minian" for name in sys.modules)
    import minian.motion_correction as m
    stillscope.uninstall()
    assert sys.modules["minian.motion_correction"] is m and is_theirs(m.estimate_motion)
    """,
        stand_in,
    )


def test_names_taken_under_another_name_and_by_other_code(stand_in):
    """What minian's modules bound by value is rebound, other code's is its own."""
    run(
        """
    import types
    import minian.motion_correction as theirs
    import minian.visualization
    mine = types.ModuleType("my_analysis")
    mine.estimate_motion = theirs.estimate_motion
    sys.modules["my_analysis"] = mine
    stillscope.install()
    assert is_ours(minian.visualization.renamed)
    assert is_theirs(mine.estimate_motion)
    stillscope.uninstall()
    assert minian.visualization.renamed is theirs.estimate_motion
    """,
        stand_in,
    )


@pytest.mark.parametrize("version", ["1.3.0", "1.3.7", "2.0.0", "2.0.2", "2.0.10"])
def test_known_versions(tmp_path, version):
    write_stand_in(tmp_path, version)
    run(
        f"""
    assert importlib.metadata.version("minian") == {version!r}
    stillscope.install()
    assert is_ours(sys.modules["minian.motion_correction"].estimate_motion)
    """,
        tmp_path,
    )


@pytest.mark.parametrize("version", ["1.2.1", "2.1.0", "20.0", "3.0"])
def test_unknown_versions_are_refused_unless_forced(tmp_path, version):
    write_stand_in(tmp_path, version)
    run(
        f"""
    try:
        stillscope.install()
    except RuntimeError as error:
        assert {version!r} in str(error) and "force=True" in str(error), error
    else:
        raise AssertionError("installed over an unknown version")
    assert "minian.motion_correction" not in sys.modules
    stillscope.install(force=True)
    from minian.motion_correction import estimate_motion
    assert is_ours(estimate_motion)
    """,
        tmp_path,
    )


def test_without_minian():
    run("""
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)
    importlib.metadata.version = version
    for force in (False, True):
        try:
            stillscope.install(force=force)
        except ImportError as error:
            assert "minian" in str(error)
        else:
            raise AssertionError("installed without minian")
    assert "minian" not in sys.modules
    stillscope.uninstall()
    """)


def test_force_is_keyword_only(stand_in):
    run(
        """
    try:
        stillscope.install(True)
    except TypeError:
        pass
    else:
        raise AssertionError("took a positional argument")
    """,
        stand_in,
    )


@pytest.mark.usefixtures("real_minian")
def test_the_module_works_in_its_place():
    run("""
    import numpy as np, xarray as xr, dask.array as da
    stillscope.install()
    from minian.motion_correction import apply_transform, estimate_motion, xrconcat_recursive, cv2
    assert callable(xrconcat_recursive)
    rng = np.random.default_rng(0)
    frames = np.stack([np.roll(rng.random((1, 20, 24)), i, 1)[0] for i in range(4)])
    frames = np.stack([np.roll(frames[0], i, 0) for i in range(4)]).astype("f4")
    data = da.from_array(frames, chunks=(2, -1, -1))
    varr = xr.DataArray(data, dims=["frame", "height", "width"])
    motion = estimate_motion(varr).compute()
    assert np.allclose(np.diff(motion.sel(shift_dim="height")), -1, atol=0.1), motion
    assert apply_transform(varr, motion).compute().shape == frames.shape
    """)
