#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Measure errors against known motion, ours and those of other programs, and write docs/accuracy.md,
# its pictures and raw results:
#
#   bench/accuracy/run.sh                 everything; --help says what can be left out
#   bench/accuracy/run.sh --only ours     ours anew, the others' results as they are
#   bench/accuracy/run.sh --quick         a small run that leaves docs/ alone
#
# Installs what is missing (apt-get, with root or sudo), makes a virtual environment for each
# program, and keeps all of it under build/.

# shellcheck source=../common/start.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common/start.sh"
start accuracy "$@"
