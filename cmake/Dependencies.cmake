# SPDX-License-Identifier: GPL-3.0-or-later
# Everything the library links; the installed package config finds the same in stillscope-config.cmake.in.
find_package(OpenCV REQUIRED COMPONENTS core imgproc video)
find_package(FFTW3 REQUIRED COMPONENTS float double)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(TBB REQUIRED)
