// SPDX-License-Identifier: GPL-3.0-or-later
/// What stored pixels stand for, and between which values they lie.
#pragma once

#include <algorithm>
#include <cmath>

namespace stillscope {

/// The values of pixels: `lowest` to `highest`.
struct PixelRange {
  double lowest = 0.0;
  double highest = 0.0;

  void include(double value) {
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
  }
  void include(const PixelRange& other) {
    include(other.lowest);
    include(other.highest);
  }
};

/// A stored pixel `p` stands for the value offset + step p.
struct PixelScale {
  double offset = 0.0;
  double step = 1.0;

  /// Whole numbers of at most `bits` bits for `range`. The step is a power of two and the offset
  /// a multiple of it, so that whole values stay whole where the bits suffice for them.
  static PixelScale of(const PixelRange& range, int bits) {
    const double codes = std::ldexp(1.0, bits) - 2.0;  // for rounding at either end
    const double wanted = (range.highest - range.lowest) / codes;
    PixelScale scale;
    scale.step = wanted > 0.0 ? std::exp2(std::ceil(std::log2(wanted))) : 1.0;
    scale.offset = scale.step * std::nearbyint((range.lowest + range.highest) / 2.0 / scale.step);
    return scale;
  }
};

}  // namespace stillscope
