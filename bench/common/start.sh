#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What bench/*/run.sh share: installs what is missing (apt-get, with root or sudo) and runs the
# package under bench/ that has the script's folder's name. Sourced, not run.

# shellcheck source=../../setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../setup.sh"

# start PACKAGE ARGUMENTS...
start() {
  install_system_packages
  cd "$root"
  export PYTHONPATH=$root/bench PYTHONDONTWRITEBYTECODE=1
  exec "$(system_python)" -m "$@"
}
