#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Measure stillscope beside its peers, and write docs/performance.md, its pictures and raw results:
#
#   bench/performance/run.sh              everything; --help says what can be left out
#   bench/performance/run.sh --quick      a small run that leaves docs/ alone
#
# Installs what is missing (apt-get, with root or sudo), makes a virtual environment for each peer,
# and keeps all of it under build/.

# shellcheck source=../common/start.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common/start.sh"
start performance "$@"
