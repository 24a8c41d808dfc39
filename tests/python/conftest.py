# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that several tests share; the reference is minian 2.0.2 on OpenCV 5."""

import importlib
import importlib.metadata

import pytest
from support import import_quietly


@pytest.fixture(scope="session")
def theirs():
    """minian's own module; the bounds hold for 2.0.2 on OpenCV 5."""
    module = import_quietly("minian.motion_correction")
    import cv2

    if importlib.metadata.version("minian") != "2.0.2" or not cv2.__version__.startswith("5."):
        pytest.skip("the reference is minian 2.0.2 on OpenCV 5")
    return module


@pytest.fixture(scope="session")
def ours():
    """The drop-in."""
    pytest.importorskip("xarray")
    pytest.importorskip("dask.array")
    return importlib.import_module("stillscope.motion_correction")


@pytest.fixture
def synchronous():
    """dask without threads, as a debugger wants it and as the reference is safest."""
    dask = pytest.importorskip("dask")
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture
def pictures(monkeypatch):
    """The pictures of every preview that is written, as they are before they are encoded."""
    from stillscope.report import preview

    shown, even = [], preview._even
    monkeypatch.setattr(preview, "_even", lambda picture: shown.append(picture) or even(picture))
    return shown
