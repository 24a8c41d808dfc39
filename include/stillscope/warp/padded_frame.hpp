// SPDX-License-Identifier: GPL-3.0-or-later
/// A frame in float32 with what lies outside it, for kernels that sample between pixels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/rows.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/simd/row_kernels.hpp"
#include "stillscope/warp/translation.hpp"

namespace stillscope {

/// Memory for one frame after the other; one object a thread.
class PaddedFrame {
 public:
  /// Makes room; `row(y)` may then be written before `pad`.
  void resize(Extent extent) {
    extent_ = extent;
    stride_ = (extent.width + 2 * padding + 15) / 16 * 16;
    pixels_.reserve(stride_ * (extent.height + 2 * padding));
  }
  [[nodiscard]] float* row(std::size_t y) {
    return pixels_.data() + (y + padding) * stride_ + padding;
  }

  /// Copies a frame, and pads it.
  template <Pixel T>
  void load(const FrameView<const T>& frame, Border border, float fill) {
    resize(frame.extent());
    std::vector<T> gathered;
    for (std::size_t y = 0; y < extent_.height; ++y) {
      pixel_kernels<T>().to_float(contiguous_row(frame, y, gathered), extent_.width, row(y));
    }
    pad(border, fill);
  }

  /// Fills what lies outside.
  void pad(Border border, float fill) {
    const std::size_t right = stride_ - padding - extent_.width;
    const bool repeats = border == Border::nearest;
    for (std::size_t y = 0; y < extent_.height; ++y) {
      float* pixels = row(y);
      std::fill_n(pixels - padding, padding, repeats ? pixels[0] : fill);
      const float last = repeats ? pixels[extent_.width - 1] : fill;
      std::fill_n(pixels + extent_.width, right, last);
    }
    const float* first = row(0) - padding;
    const float* last = row(extent_.height - 1) - padding;
    for (std::size_t k = 0; k < padding; ++k) {
      float* above = pixels_.data() + k * stride_;
      float* below = pixels_.data() + (padding + extent_.height + k) * stride_;
      if (repeats) {
        std::copy_n(first, stride_, above);
        std::copy_n(last, stride_, below);
      } else {
        std::fill_n(above, stride_, fill);
        std::fill_n(below, stride_, fill);
      }
    }
  }

  [[nodiscard]] SampledFrame view() const {
    return {pixels_.data() + padding * stride_ + padding, static_cast<std::ptrdiff_t>(stride_),
            extent_.height, extent_.width};
  }

 private:
  static constexpr std::size_t padding = sample_padding;

  Extent extent_;
  std::size_t stride_ = 0;
  AlignedBuffer<float> pixels_;
};

}  // namespace stillscope
