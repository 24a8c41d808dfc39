# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole estimates with the kernels of every instruction set that this processor has."""

import base64
import functools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from support import in_new_process

# Sums in float32 are grouped differently, and products fused with them or not. Measured 1.7e-6.
SHIFT_TOLERANCE = 1e-4  # px
# Grey levels of 250. Measured 2.9e-3.
TEMPLATE_TOLERANCE = 1e-2
# A whole pixel is another one where its value lies between two. Measured 1.5e-5, and 0.
APPLIED_TOLERANCE = {"f4": 1e-4, "u1": 1.0}

CODE = '''
import base64
import json
import sys

import numpy as np

sys.path.insert(0, sys.argv[1])
from support import as_dtype, moving_movie

import stillscope

size, dtype = json.loads(sys.argv[2]), sys.argv[3]
movie = as_dtype(moving_movie(24, *size, seed=41)[0], dtype)
results = []
for repeat in range(2):
    for chunk in (None, 7):
        motion = stillscope.estimate_motion(movie, chunk=chunk, n_threads=1 + repeat)
        results += [motion.shifts, motion.template]
    results.append(stillscope.apply_motion(movie, np.linspace(-3, 3, 48).reshape(24, 2)))
print(json.dumps([base64.b64encode(array.tobytes()).decode() for array in results]))
'''

LEVELS = ["baseline", "v3", "v4"]


@functools.cache
def results(level, size, dtype):
    """What a process with the kernels of this level finds; skips where the processor lacks it."""
    try:
        texts = in_new_process(
            CODE, Path(__file__).parent, json.dumps(size), dtype, STILLSCOPE_ISA=level
        )
    except AssertionError as error:
        if re.search("STILLSCOPE_ISA: expected", str(error)):
            return None
        raise
    return [base64.b64decode(text) for text in texts]


@pytest.mark.parametrize("size", [(64, 70), (256, 300)], ids=["one grid", "two grids"])
@pytest.mark.parametrize("dtype", ["f4", "u1"])
@pytest.mark.parametrize("level", LEVELS)
def test_levels_agree_and_each_repeats_its_bits(level, dtype, size):
    found, baseline = results(level, size, dtype), results("baseline", size, dtype)
    if found is None:
        pytest.skip(f"this processor has no {level}")
    # The second time on two threads.
    half = len(found) // 2
    assert found[:half] == found[half:]
    for i, tolerance in ((0, SHIFT_TOLERANCE), (2, SHIFT_TOLERANCE)):
        difference = np.frombuffer(found[i]) - np.frombuffer(baseline[i])
        assert np.abs(difference).max() <= tolerance
    for i in (1, 3):
        difference = np.frombuffer(found[i], "f4") - np.frombuffer(baseline[i], "f4")
        assert np.abs(difference).max() <= TEMPLATE_TOLERANCE
    moved, reference = (np.frombuffer(r[4], dtype).astype(float) for r in (found, baseline))
    assert np.abs(moved - reference).max() <= APPLIED_TOLERANCE[dtype]


def test_every_run_of_a_process_gives_the_same_bits():
    """Another process, with the kernels that are chosen where nothing is said."""
    size, dtype = (64, 70), "f4"
    chosen = results("", size, dtype)
    assert chosen == results.__wrapped__("", size, dtype)
    assert chosen in [results(level, size, dtype) for level in LEVELS]
