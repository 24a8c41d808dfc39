# SPDX-License-Identifier: GPL-3.0-or-later
# Installs the library of `build` into an empty prefix, then builds and runs `source` against it.
file(REMOVE_RECURSE "${work}")

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

run("${CMAKE_COMMAND}" --install "${build}" --config "${config}" --prefix "${work}/prefix")
run("${CMAKE_COMMAND}" -S "${source}" -B "${work}/build" -G "${generator}"
  "-DCMAKE_BUILD_TYPE=${config}" "-DCMAKE_CXX_COMPILER=${compiler}"
  "-DCMAKE_PREFIX_PATH=${work}/prefix")
run("${CMAKE_COMMAND}" --build "${work}/build" --config "${config}")
find_program(program consumer REQUIRED NO_DEFAULT_PATH
  PATHS "${work}/build" "${work}/build/${config}")
run("${program}")
