# SPDX-License-Identifier: GPL-3.0-or-later
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/stillscope")

install(TARGETS stillscope EXPORT stillscope-targets)
install(DIRECTORY include/stillscope TYPE INCLUDE FILES_MATCHING PATTERN "*.hpp")
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/include/stillscope/version.hpp"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/stillscope")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(EXPORT stillscope-targets NAMESPACE stillscope:: DESTINATION "${package_dir}")

configure_package_config_file(cmake/stillscope-config.cmake.in stillscope-config.cmake
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(stillscope-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  "${CMAKE_CURRENT_BINARY_DIR}/stillscope-config.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/stillscope-config-version.cmake"
  cmake/FindFFTW3.cmake
  DESTINATION "${package_dir}")
