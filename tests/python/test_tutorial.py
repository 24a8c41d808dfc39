# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/tutorial.ipynb runs, and what is saved in it is what it gives.

To run it anew: ``python tests/python/test_tutorial.py`` writes its outputs into it.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "tutorial.ipynb"
MOST_BYTES = 2_000_000
SECONDS = 900  # 65 on two busy cores
# Paths of a machine, as tracebacks and warnings have them.
ABSOLUTE = re.compile(r"(?<![\w.>/])/(?:tmp|home|root|usr|var|opt|work|Users|private)/")

RUN = """
import sys
import nbclient
import nbformat

notebook = nbformat.read(sys.argv[1], as_version=4)
client = nbclient.NotebookClient(
    notebook, timeout=float(sys.argv[3]), kernel_name="python3", record_timing=False,
    coalesce_streams=True, resources={"metadata": {"path": sys.argv[4]}},
)
client.execute()
notebook.metadata["language_info"] = {"name": "python"}  # without the version that ran it
nbformat.write(notebook, sys.argv[2])
"""


def run(source, target, folder):
    """Execute a notebook in a process of its own, in this folder."""
    settings = {name: str(folder) for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "MPLCONFIGDIR")}
    environment = {**os.environ, **settings, "JUPYTER_PLATFORM_DIRS": "1"}
    return subprocess.run(
        [sys.executable, "-c", RUN, str(source), str(target), str(SECONDS), str(folder)],
        capture_output=True,
        text=True,
        timeout=SECONDS + 60,
        env=environment,
    )


def code_cells(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def texts(cell):
    """What a cell printed and returned, but for objects that show themselves as pictures."""
    for output in cell["outputs"]:
        text = "".join(output.get("text", output.get("data", {}).get("text/plain", "")))
        if not text.startswith("<"):
            yield text


def test_what_is_saved_can_be_shown():
    assert NOTEBOOK.stat().st_size < MOST_BYTES
    cells = code_cells(NOTEBOOK)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell["outputs"]:
            assert output["output_type"] != "error" and output.get("name") != "stderr"
            data = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}
            assert not ABSOLUTE.search(json.dumps([data, output.get("text", "")]))


def test_it_runs_and_gives_what_is_saved(tmp_path):
    for module in ("nbclient", "ipykernel", "minian", "matplotlib", "tifffile", "av"):
        pytest.importorskip(module)
    done = tmp_path / "done.ipynb"
    result = run(NOTEBOOK, done, tmp_path)
    assert result.returncode == 0, result.stderr
    for fresh, saved in zip(code_cells(done), code_cells(NOTEBOOK), strict=True):
        assert list(texts(fresh)) == list(texts(saved)), "".join(saved["source"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        outcome = run(NOTEBOOK, NOTEBOOK, Path(scratch))
    sys.exit(outcome.stderr if outcome.returncode else 0)
