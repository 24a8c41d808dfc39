#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Correct the motion of a recording, on a fresh Debian or Ubuntu machine too:
#
#   ./run.sh                                  a simulated recording with known motion
#   ./run.sh mouse1/ -o mouse1/corrected      your own; ./run.sh --help says more
#
# Installs what is missing (apt-get, with root or sudo), builds the package into build/venv and
# runs `stillscope correct`. The system's Python is left alone.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=setup.sh
source "$here/setup.sh"

setup all
exec "$venv/bin/stillscope" correct "$@"
