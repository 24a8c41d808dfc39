# SPDX-License-Identifier: GPL-3.0-or-later
# Warnings, sanitizers and what the kernels need, for the project's own targets.
function(stillscope_compiler_options target)
  # `#pragma omp simd` vectorises sums without OpenMP's runtime and without -ffast-math.
  target_compile_options(${target} PRIVATE -fopenmp-simd)
  if(PROJECT_IS_TOP_LEVEL)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
      -Wnon-virtual-dtor -Woverloaded-virtual)
    if(STILLSCOPE_WARNINGS_AS_ERRORS)
      target_compile_options(${target} PRIVATE -Werror)
    endif()
  endif()
  if(STILLSCOPE_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${STILLSCOPE_SANITIZE}
      -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${STILLSCOPE_SANITIZE})
  endif()
endfunction()
