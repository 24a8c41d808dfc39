# SPDX-License-Identifier: GPL-3.0-or-later
# Finds FFTW 3. Components: float, double. Targets: FFTW3::float, FFTW3::double.
find_path(FFTW3_INCLUDE_DIR fftw3.h)
find_library(FFTW3_float_LIBRARY NAMES fftw3f)
find_library(FFTW3_double_LIBRARY NAMES fftw3)
mark_as_advanced(FFTW3_INCLUDE_DIR FFTW3_float_LIBRARY FFTW3_double_LIBRARY)

foreach(component IN ITEMS float double)
  if(FFTW3_INCLUDE_DIR AND FFTW3_${component}_LIBRARY)
    set(FFTW3_${component}_FOUND TRUE)
    if(NOT TARGET FFTW3::${component})
      add_library(FFTW3::${component} UNKNOWN IMPORTED)
      set_target_properties(FFTW3::${component} PROPERTIES
        IMPORTED_LOCATION "${FFTW3_${component}_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${FFTW3_INCLUDE_DIR}")
    endif()
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(FFTW3 REQUIRED_VARS FFTW3_INCLUDE_DIR HANDLE_COMPONENTS)
