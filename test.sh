#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Build everything and run every test, on a fresh Debian or Ubuntu machine too: ./test.sh
#
# Installs what is missing (apt-get, with root or sudo) and keeps all it makes under build/.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=setup.sh
source "$here/setup.sh"

build_preset() {
  # CMake refuses a build folder that was made elsewhere.
  grep -qsxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "build/$1/CMakeCache.txt" || rm -rf "build/$1"
  cmake --preset "$1"
  cmake --build --preset "$1"
}

test_preset() {
  local command=(ctest --preset "$1")
  # ThreadSanitizer of older compilers can't live with as much address randomisation as newer
  # kernels do; where the machine lets us, run without.
  if [[ $1 == tsan ]] && setarch "$(uname -m)" -R true 2>/dev/null; then
    command=(setarch "$(uname -m)" -R "${command[@]}")
  fi
  "${command[@]}"
}

# The README's other command, in a folder of its own: does it leave what it promises?
main_job() {
  local out name
  out=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now, not of then
  trap "rm -rf '$out'" EXIT
  "$root/run.sh" --output "$out/out"
  for name in corrected.zarr corrected.shifts.zarr corrected.shifts.csv corrected.report.html; do
    [[ -s $out/out/$name ]] || fail "run.sh left no $name"
  done
}

# The wheel, built from the source distribution rather than from this tree, can be imported.
wheel_from_sdist() {
  local dist=$root/build/dist
  rm -rf "$dist"
  "$venv/bin/python" -m build --outdir "$dist" "$root"
  "$venv/bin/python" -m pip install --no-deps --target "$dist/unpacked" "$dist"/*.whl
  # First on the path: the environment's own copy may not answer.
  PYTHONPATH=$dist/unpacked "$venv/bin/python" - "$dist/unpacked" <<'EOF'
import sys
import stillscope
assert stillscope.__file__.startswith(sys.argv[1]), stillscope.__file__
EOF
}

# zarr 3, and the newest of what works on it, in an environment of its own: minian holds zarr below 3.
zarr3_tests() {
  local env=$root/build/venv-zarr3 wheel
  wheel=$(printf '%s\n' "$wheelhouse"/stillscope-*.whl)
  [[ -x $env/bin/python ]] || "$(system_python)" -m venv "$env"
  "$env/bin/python" -m pip install "${wheel}[video,tiff,zarr,hdf5,netcdf]" "zarr>=3" "pytest>=8"
  "$env/bin/python" -m pip install --no-deps --force-reinstall "$wheel"
  "$env/bin/python" -m pytest -p no:cacheprovider tests/python/test_files_out.py
  "$env/bin/python" -m pytest -p no:cacheprovider -k zarr tests/python/test_readers.py
}

# closing PATTERN: the last line of the last step's log that matches, so that one sees what ran.
closing() {
  local line
  line=$(grep -E "$1" "$log" | tail -n 1) || fail "no tests ran: see $log"
  printf '    %s\n' "$line"
}

cd "$root"
setup all
install_package test

for preset in dev asan tsan; do
  step "build the C++ tests ($preset)" build_preset "$preset"
  step "run the C++ tests ($preset)" test_preset "$preset"
  closing 'tests passed'
done
# Two processes: many tests wait for processes of their own.
step "run the Python tests" "$venv/bin/python" -m pytest -p no:cacheprovider -n 2 --dist loadfile \
  tests/python
closing ' passed'
step "run the tests of files with zarr 3" zarr3_tests
closing ' passed'
step "run the main job (run.sh)" main_job
hash=$(sources_hash)
if ! is_stamped sdist "$hash"; then
  step "build the wheel from the sdist" wheel_from_sdist
  stamp sdist "$hash"
fi
printf 'all tests passed\n'
