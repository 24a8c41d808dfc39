# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..io.durable import naming, sync_file


def checked_path(path: Any, *suffixes: str) -> Path:
    """``path`` as a Path with one of these suffixes, in a folder that exists."""
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"path: expected the suffix {' or '.join(suffixes)}, got {path}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder")
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``, which takes its place when all went well.

    The file is on the disk before it is renamed: after a crash there is the old one or the new one.
    """
    name = f".{path.stem[:100]}-{secrets.token_hex(4)}{path.suffix}"
    temporary = path.with_name(name)
    # As any new file's, less the umask; those of the module tempfile are for their owner alone.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        sync_file(temporary)
        os.replace(temporary, path)
        sync_file(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    with naming(path, len(content)), replacing(path) as temporary:
        temporary.write_bytes(content)
