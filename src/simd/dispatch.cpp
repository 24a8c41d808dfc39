// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdlib>
#include <string_view>
#include <vector>

#include "levels.hpp"
#include "stillscope/core/error.hpp"

namespace stillscope {
namespace {

struct Level {
  const char* name;
  const KernelSet* kernels;
  bool is_supported;
};

Level choose_level() {
  // From the oldest to the newest.
  const std::vector<Level> levels = {
    {"baseline", &kernels_baseline, true},
#if defined(STILLSCOPE_X86_LEVELS)
    {"v3", &kernels_v3, __builtin_cpu_supports("x86-64-v3") != 0},
    {"v4", &kernels_v4, __builtin_cpu_supports("x86-64-v4") != 0},
#endif
  };
  if (const char* asked = std::getenv("STILLSCOPE_ISA"); asked != nullptr && *asked != '\0') {
    for (const Level& level : levels) {
      if (std::string_view(asked) == level.name && level.is_supported) return level;
    }
    throw_invalid("STILLSCOPE_ISA", "an instruction set of this processor (baseline, v3 or v4)",
                  asked);
  }
  Level best = levels.front();
  for (const Level& level : levels) {
    if (level.is_supported) best = level;
  }
  return best;
}

const Level& level() {
  static const Level chosen = choose_level();
  return chosen;
}

}  // namespace

template <>
const PixelKernels<std::uint8_t>& pixel_kernels() {
  return level().kernels->u8;
}
template <>
const PixelKernels<std::uint16_t>& pixel_kernels() {
  return level().kernels->u16;
}
template <>
const PixelKernels<std::int16_t>& pixel_kernels() {
  return level().kernels->i16;
}
template <>
const PixelKernels<float>& pixel_kernels() {
  return level().kernels->f32;
}
template <>
const PixelKernels<double>& pixel_kernels() {
  return level().kernels->f64;
}
const FloatKernels& float_kernels() { return level().kernels->floats; }
const char* instruction_set() { return level().name; }

}  // namespace stillscope
