# SPDX-License-Identifier: GPL-3.0-or-later
"""The package as installed: one version, a light import, stubs that tell the truth, threads."""

import ast
import importlib.metadata
import importlib.resources
import inspect
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from support import ROOT, moving_movie

import stillscope
from stillscope import _core

# What a light import leaves alone; `stillscope` needs NumPy only.
HEAVY = {
    "xarray", "dask", "distributed", "cv2", "SimpleITK", "skimage", "scipy", "matplotlib", "av",
    "minian", "pandas",
}  # fmt: skip


def python(code, **environment):
    """The last line that the code prints in a new interpreter, from JSON."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_one_version():
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    (version,) = re.findall(r"project\(\s*stillscope\s+VERSION\s+([0-9.]+)", cmake)
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r"^dynamic = \[.*\"version\".*\]", pyproject, re.MULTILINE)
    assert not re.search(r"^version\s*=", pyproject, re.MULTILINE)
    assert stillscope.__version__ == version
    assert _core.__version__ == version
    assert importlib.metadata.version("stillscope") == version


def test_the_import_is_light():
    seen = python(
        "import json, os, sys, threading\n"
        "import stillscope\n"
        "threads = len(os.listdir('/proc/self/task')) if os.path.isdir('/proc/self/task') else 1\n"
        "print(json.dumps([sorted(m for m in sys.modules), threads, threading.active_count()]))",
        OPENBLAS_NUM_THREADS="1",  # NumPy's own
    )
    modules, native_threads, python_threads = seen
    assert "stillscope._core" in modules
    assert not HEAVY & {name.partition(".")[0] for name in modules}
    assert "stillscope.motion_correction" not in modules
    assert native_threads == python_threads == 1


def test_the_drop_in_imports_its_optional_packages_when_asked():
    pytest.importorskip("xarray")
    seen = python(
        "import json, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "import stillscope.motion_correction\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    roots = {name.partition(".")[0] for name in seen}
    assert {"xarray", "dask"} <= roots
    assert not roots & {"cv2", "SimpleITK", "skimage", "matplotlib", "minian", "distributed"}


def test_everything_that_is_offered_is_there():
    assert sorted(stillscope.__all__) == stillscope.__all__
    for name in stillscope.__all__:
        assert hasattr(stillscope, name)


def test_stubs_name_exactly_the_functions_of_the_extension():
    stub = importlib.resources.files(stillscope) / "_core.pyi"
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    stubbed = {node.name: node.args for node in tree.body if isinstance(node, ast.FunctionDef)}
    functions = {
        name for name, value in vars(_core).items() if callable(value) and not name.startswith("__")
    }
    assert set(stubbed) == functions
    for name, arguments in stubbed.items():
        documented = getattr(_core, name).__doc__.splitlines()[0]
        names = re.findall(r"(\w+):", documented[documented.index("(") :].partition(" -> ")[0])
        assert [a.arg for a in arguments.args + arguments.kwonlyargs] == names, name


def test_types_are_advertised():
    assert (importlib.resources.files(stillscope) / "py.typed").is_file()
    assert (importlib.resources.files(stillscope) / "_core.pyi").is_file()


@pytest.mark.parametrize(
    "name", ["estimate_motion", "apply_motion", "residual_motion", "install", "uninstall"]
)
def test_public_functions_are_documented(name):
    function = getattr(stillscope, name)
    assert inspect.getdoc(function)
    for parameter in inspect.signature(function).parameters:
        assert re.search(rf"\b{parameter}\b.* :", inspect.getdoc(function)), parameter


# --- threads --------------------------------------------------------------------------------------


@pytest.fixture
def no_variables(monkeypatch):
    for name in ("STILLSCOPE_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_where_the_number_of_threads_comes_from(no_variables):
    default = _core.thread_count()
    assert 1 <= default <= len(os.sched_getaffinity(0))
    no_variables.setenv("OMP_NUM_THREADS", "3,2")
    assert _core.thread_count() == 3
    no_variables.setenv("STILLSCOPE_NUM_THREADS", "5")
    assert _core.thread_count() == 5
    assert _core.thread_count(7) == 7
    no_variables.setenv("STILLSCOPE_NUM_THREADS", "")
    assert _core.thread_count() == 3
    no_variables.setenv("OMP_NUM_THREADS", "many")  # not ours to judge
    assert _core.thread_count() == default


@pytest.mark.parametrize("value", ["0", "-1", "many", "2x", "1.5", " "])
def test_a_bad_environment_variable_is_named(no_variables, value):
    no_variables.setenv("STILLSCOPE_NUM_THREADS", value)
    movie = moving_movie(2, 16, 20)[0]
    for call in (
        lambda: stillscope.estimate_motion(movie),
        lambda: stillscope.apply_motion(movie, np.zeros((2, 2))),
    ):
        with pytest.raises(ValueError, match="STILLSCOPE_NUM_THREADS"):
            call()


@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError),
                         (True, TypeError)]
)  # fmt: skip
def test_a_bad_number_of_threads_is_named(value, error):
    movie = moving_movie(2, 16, 20)[0]
    with pytest.raises(error, match="n_threads"):
        stillscope.estimate_motion(movie, n_threads=value)
    with pytest.raises(error, match="n_threads"):
        stillscope.apply_motion(movie, np.zeros((2, 2)), n_threads=value)


def test_one_thread_starts_none():
    """A serial call leaves the process as it found it."""
    seen = python(
        "import json, os, numpy as np, stillscope\n"
        "movie = np.random.default_rng(0).random((30, 64, 64))\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "motion = stillscope.estimate_motion(movie, n_threads=1)\n"
        "stillscope.apply_motion(movie, motion.shifts, n_threads=1)\n"
        "print(json.dumps(len(os.listdir('/proc/self/task')) - before))"
    )
    assert seen == 0


@pytest.mark.parametrize("missing", ["xarray", "dask"])
def test_the_drop_in_says_what_it_needs(missing):
    seen = python(
        "import json, sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "import stillscope\n"
        "try:\n"
        "    import stillscope.motion_correction\n"
        "except ImportError as error:\n"
        "    print(json.dumps(str(error)))"
    )
    assert "stillscope[xarray]" in seen
