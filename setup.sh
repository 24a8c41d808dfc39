#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What run.sh and test.sh have in common: system packages, the virtual environment, the package.
# Sourced, not run. Everything that is made here lies under build/; all of it is made again only
# where what it depends on has changed.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
venv=$root/build/venv
logs=$root/build/logs
wheelhouse=$root/build/wheelhouse
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONNOUSERSITE=1
unset PYTHONPATH PYTHONHOME

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# step WHAT COMMAND...: one line of output; the command's own goes to a log, shown if it fails.
step() {
  local what=$1 start=$SECONDS status
  shift
  mkdir -p "$logs"
  log=$(printf '%s' "$what" | tr -cs '[:alnum:]' '-')
  log=$logs/${log%-}.log
  printf '%-44s ' "$what"
  # Not `(...) || status=$?`: left of `||` bash ignores `set -e`.
  set +e
  (
    set -e
    "$@"
  ) >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if ((status != 0)); then
    printf 'FAILED after %d s\n' $((SECONDS - start))
    tail -n 60 "$log" >&2
    fail "$what: exit status $status; the whole output is in $log"
  fi
  printf 'done (%d s)\n' $((SECONDS - start))
}

# is_stamped NAME CONTENT, stamp NAME CONTENT: what was last done, kept in the environment, with
# which it goes.
is_stamped() {
  [[ -f $venv/.stamp-$1 && $(<"$venv/.stamp-$1") == "$2" ]]
}

stamp() {
  printf '%s\n' "$2" >"$venv/.stamp-$1"
}

# --- system packages -----------------------------------------------------------------------------

system_packages=(
  g++ cmake ninja-build pkg-config python3 python3-dev python3-venv
  libopencv-dev libfftw3-dev libeigen3-dev libtbb-dev catch2 libbenchmark-dev
)

missing_packages() {
  local package
  for package in "${system_packages[@]}"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      printf '%s\n' "$package"
  done
}

apt_get() {
  local command=(
    env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 "$@"
  )
  if ((EUID == 0)); then
    "${command[@]}"
  else
    sudo "${command[@]}"
  fi
}

apt_install() {
  # On a fresh machine the lists are missing or out of date: fetch them then, and only then.
  apt_get install --no-install-recommends "$@" ||
    { apt_get update && apt_get install --no-install-recommends "$@"; }
}

install_system_packages() {
  local missing
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    printf 'not Debian or Ubuntu: taking for granted what these packages hold there: %s\n' \
      "${system_packages[*]}"
    return
  fi
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "root or sudo is needed to install: ${missing[*]}"
    # Ask here, where the question can be seen; without a terminal nobody could answer it.
    if [[ -t 0 ]]; then sudo -v; else sudo -n true; fi ||
      fail "sudo did not let us install: ${missing[*]}"
  fi
  step "install ${#missing[@]} system packages" apt_install "${missing[@]}"
}

# --- virtual environment -------------------------------------------------------------------------

# Debian's own Python: the one that python3-dev and python3-venv belong to, whatever leads PATH.
system_python() {
  if [[ -x /usr/bin/python3 ]]; then
    printf '/usr/bin/python3\n'
  else
    command -v python3 || fail "no python3 found"
  fi
}

# Whether the environment runs, lies where it was made, and has the system's version of Python.
venv_is_good() {
  local version='import sys; print(*sys.version_info[:2])'
  [[ -x $venv/bin/python ]] && is_stamped home "$venv" && "$venv/bin/python" -c 'import pip' &&
    [[ $("$venv/bin/python" -c "$version") == "$("$1" -c "$version")" ]]
}

make_venv() {
  local python
  python=$(system_python)
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "Python 3.10 or newer is needed, $python is $("$python" -V)"
  venv_is_good "$python" 2>/dev/null && return
  step "make the virtual environment" "$python" -m venv --clear "$venv"
  stamp home "$venv"
}

# --- the package ---------------------------------------------------------------------------------

# Hash of all that the package is built from: its sources, this Python, the libraries it links.
sources_hash() {
  {
    cd "$root"
    find CMakeLists.txt pyproject.toml README.md LICENSE cmake include src python \
      -name __pycache__ -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    "$venv/bin/python" -VV
    if command -v dpkg-query >/dev/null; then
      dpkg-query -W -f='${Package} ${Version}\n' "${system_packages[@]}" || true
    fi
  } | sha256sum
}

build_wheel() {
  rm -rf "$wheelhouse"
  "$venv/bin/python" -m pip wheel --no-deps --wheel-dir "$wheelhouse" "$root"
  "$venv/bin/python" -m pip install --no-deps --force-reinstall "$wheelhouse"/stillscope-*.whl
}

install_extras() {
  local wheel
  wheel=$(printf '%s\n' "$wheelhouse"/stillscope-*.whl)
  "$venv/bin/python" -m pip install "${wheel}[$1]"
}

# install_package EXTRAS: the package, built anew where its sources changed, with these extras.
install_package() {
  local hash wanted
  hash=$(sources_hash)
  if ! is_stamped package "$hash" || ! ls "$wheelhouse"/stillscope-*.whl >/dev/null 2>&1; then
    step "build the package" build_wheel
    stamp package "$hash"
  fi
  wanted=$(sha256sum <"$root/pyproject.toml")
  if ! is_stamped "extras-$1" "$wanted"; then
    step "install what [$1] needs" install_extras "$1"
    stamp "extras-$1" "$wanted"
  fi
}

# What both commands need. The log is shown on failure only, so a second run prints nothing here.
setup() {
  install_system_packages
  make_venv
  install_package "$1"
}
