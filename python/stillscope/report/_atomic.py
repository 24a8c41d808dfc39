# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PERMISSIONS = 0o666  # less the umask, as of any new file


def checked_path(path: Any, suffix: str) -> Path:
    """``path`` as a Path with this suffix, in a folder that exists."""
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise ValueError(f"path: expected the suffix {suffix}, got {path}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder")
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``, which takes its place when all went well.

    The file is on the disk before it is renamed: after a crash there is the old one or the new one.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp's are for their owner alone; the umask can't be read without being set.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, _PERMISSIONS & ~umask)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)
