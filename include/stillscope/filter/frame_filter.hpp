// SPDX-License-Identifier: GPL-3.0-or-later
/// The filter of one frame.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <type_traits>

#include "stillscope/blur/gaussian.hpp"
#include "stillscope/core/buffer.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/filter/filter_settings.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// Smooths frames of one size and takes away what is smooth in them. One object a thread.
class FrameFilter {
 public:
  FrameFilter(Extent extent, const FilterSettings& settings) : extent_(extent) {
    if (settings.smooth > 0.0) blur_.emplace(extent, settings.smooth);
    if (settings.background > 0.0) background_.emplace(extent, settings.background);
    if (blur_) plane_.reserve(extent.area());
  }

  /// out = `frame` (any strides), filtered, (height, width), C order. `filling` stands for pixels
  /// that are not finite. `pattern` is taken away at last; or null.
  template <Pixel T>
  void operator()(const FrameView<const T>& frame, double filling, const float* pattern,
                  float* out) {
    float* raw = blur_ ? plane_.data() : out;
    const auto hole = static_cast<float>(filling);
    for (std::size_t y = 0; y < extent_.height; ++y) {
      float* row = raw + y * extent_.width;
      if (frame.has_contiguous_rows()) {
        pixel_kernels<T>().to_float(frame.row(y), extent_.width, row);
      } else {
        for (std::size_t x = 0; x < extent_.width; ++x) row[x] = static_cast<float>(frame(y, x));
      }
      if constexpr (std::is_floating_point_v<T>) {
        std::replace_if(
            row, row + extent_.width, [](float value) { return !std::isfinite(value); }, hole);
      }
    }
    if (blur_) (*blur_)(raw, out);
    if (background_) background_->remove_from(out);
    if (pattern == nullptr) return;
    for (std::size_t i = 0; i < extent_.area(); ++i) out[i] -= pattern[i];
  }

 private:
  Extent extent_;
  std::optional<GaussianBlur> blur_;
  std::optional<SmoothBackground> background_;
  AlignedBuffer<float> plane_;
};

}  // namespace stillscope
