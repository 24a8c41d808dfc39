# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the drop-in module in the place of ``minian.motion_correction``, and takes it out again."""

from __future__ import annotations

import importlib
import sys
import types

_NAME = "minian.motion_correction"
_KNOWN_VERSIONS = ("1.3", "2.0")
_replaced: types.ModuleType | None = None  # minian's own module, while ours is in its place


def install(*, force: bool = False) -> None:
    """Make ``minian.motion_correction`` mean ``stillscope.motion_correction``.

    Code that says ``from minian.motion_correction import ...`` then gets ours, whether minian was
    imported before or not; names that minian's own modules have already taken from it are replaced
    too. Calling it again changes nothing. `uninstall` undoes it.

    Parameters
    ----------
    force : bool
        Install over a version of minian that is not known to fit (known: 1.3 and 2.0).

    Raises
    ------
    ImportError
        Where minian is not installed.
    RuntimeError
        Where its version is not known and ``force`` is not set.
    """
    import importlib.metadata  # here: it takes longer than all else that stillscope imports

    try:
        version = importlib.metadata.version("minian")
    except importlib.metadata.PackageNotFoundError as error:
        raise ImportError("stillscope.install() needs minian, which is not installed") from error
    if not force and ".".join(version.split(".")[:2]) not in _KNOWN_VERSIONS:
        known = " and ".join(_KNOWN_VERSIONS)
        raise RuntimeError(
            f"minian {version}: expected a version that stillscope knows ({known}); "
            "stillscope.install(force=True) installs over it all the same"
        )
    global _replaced
    ours = importlib.import_module("stillscope.motion_correction")
    package = importlib.import_module("minian")
    theirs = sys.modules.get(_NAME)
    if theirs is ours:
        return
    sys.modules[_NAME] = ours
    package.motion_correction = ours
    _replaced = theirs
    if theirs is not None:
        _rebind(theirs, ours)


def uninstall() -> None:
    """Undo `install`: minian's own module is back in its place, in minian's other modules too.

    Without an `install` before it, nothing happens.
    """
    global _replaced
    ours = sys.modules.get("stillscope.motion_correction")
    if ours is None or sys.modules.get(_NAME) is not ours:
        return
    if _replaced is None:
        del sys.modules[_NAME]
    else:
        sys.modules[_NAME] = _replaced
    theirs = importlib.import_module(_NAME)
    importlib.import_module("minian").motion_correction = theirs
    _replaced = None
    _rebind(ours, theirs)


def _rebind(old: types.ModuleType, new: types.ModuleType) -> None:
    """Replaces what minian's modules took by value from ``old`` by ``new``'s."""
    owned = {
        id(value): name
        for name, value in vars(old).items()
        if isinstance(value, types.FunctionType) and value.__module__ == old.__name__
    }
    for module_name, module in list(sys.modules.items()):
        if module in (old, new) or not isinstance(module, types.ModuleType):
            continue
        if module_name != "minian" and not module_name.startswith("minian."):
            continue
        for attribute, value in list(vars(module).items()):
            name = owned.get(id(value))
            if name is not None and hasattr(new, name):
                setattr(module, attribute, getattr(new, name))
