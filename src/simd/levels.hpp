// SPDX-License-Identifier: GPL-3.0-or-later
/// What each build of row_kernels.cpp exports.
#pragma once

#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

struct KernelSet {
  PixelKernels<std::uint8_t> u8;
  PixelKernels<std::uint16_t> u16;
  PixelKernels<std::int16_t> i16;
  PixelKernels<float> f32;
  PixelKernels<double> f64;
  FloatKernels floats;
};

extern const KernelSet kernels_baseline;
#if defined(STILLSCOPE_X86_LEVELS)
extern const KernelSet kernels_v3;
extern const KernelSet kernels_v4;
#endif

}  // namespace stillscope
