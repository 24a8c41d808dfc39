#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Instructions per frame of the fixed case of instructions.cpp, as valgrind's callgrind counts them:
# the same on a noisy machine as on a quiet one. Prints the total and the functions with the most;
# with --record also writes docs/performance/instructions.json.
# callgrind knows no AVX-512: it sees the v3 kernels. Needs valgrind, and the preset `bench` built.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=build/bench/bench/instructions
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export STILLSCOPE_NUM_THREADS=1 STILLSCOPE_ISA=v3

command -v valgrind >/dev/null || { echo "error: valgrind is not installed" >&2; exit 1; }
[[ -x $program ]] || { echo "error: build it: cmake --preset bench && cmake --build --preset bench" >&2; exit 1; }

record=""
for type in float uint8; do
  frames=$("$program" "$type" "$scratch/$type.bin")
  valgrind --tool=callgrind --toggle-collect='*counted_estimate*' \
    --callgrind-out-file="$scratch/$type.out" "$program" "$type" "$scratch/$type.bin" \
    >/dev/null 2>"$scratch/$type.log"
  total=$(sed -n 's/.*Collected : *//p' "$scratch/$type.log")
  printf '%s: %d instructions a frame\n' "$type" $((total / frames))
  callgrind_annotate "$scratch/$type.out" 2>/dev/null |
    grep -E '^ *[0-9,]+ \(' | grep -v TOTALS | sed -n 1,12p | cut -c 1-110
  record+="${record:+, }\"$type\": $((total / frames))"
done
if [[ ${1:-} == --record ]]; then
  mkdir -p docs/performance
  printf '{"case": "27 frames of 480x752, defaults, one thread, v3 kernels", "instructions_per_frame": {%s}}\n' \
    "$record" >docs/performance/instructions.json
fi
