// SPDX-License-Identifier: GPL-3.0-or-later
/// A frame as registrars take it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>

#include "stillscope/core/pixel_scale.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// A frame to be registered. Its rows are contiguous; integer or finite pixels.
template <Pixel T>
struct FrameRef {
  FrameView<const T> view;
  /// Tells the frame from the others of its group.
  std::size_t key = 0;
  /// A value near the frame's mean, which is taken from its pixels before they are multiplied: a
  /// constant moves no peak, and large ones cost precision. Whole for integers.
  double offset = 0.0;
  /// 16-bit integers: no pixel is further from `offset` than this, at most 32768.
  double reach = 0.0;
  /// Integers: of the pixels, or of their type.
  PixelRange range{};
};

/// Mean of a sample of the pixels: up to 8 runs of up to 16, spread over the frame. Not finite
/// where one of them is not.
template <Pixel T>
[[nodiscard]] double sampled_mean(const FrameView<const T>& frame) {
  const std::size_t runs = std::min<std::size_t>(8, frame.height());
  const std::size_t size = std::min<std::size_t>(16, frame.width());
  double sum = 0.0;
  for (std::size_t i = 0; i < runs; ++i) {
    const std::size_t y = (2 * i + 1) * frame.height() / (2 * runs);
    // Neighbouring runs lie far apart, so that a gradient along the rows is met evenly.
    const std::size_t x = (3 * i % runs) * (frame.width() - size) / runs;
    for (std::size_t k = 0; k < size; ++k) sum += static_cast<double>(frame.row(y)[x + k]);
  }
  return sum / static_cast<double>(runs * size);
}

/// `view` with its offset and reach. Its rows are contiguous.
template <Pixel T>
[[nodiscard]] FrameRef<T> make_frame_ref(const FrameView<const T>& view, std::size_t key) {
  FrameRef<T> frame{view, key, sampled_mean(view), 0.0, {}};
  if constexpr (std::is_integral_v<T>) {
    frame.offset = std::nearbyint(frame.offset);
    frame.range = {static_cast<double>(std::numeric_limits<T>::lowest()),
                   static_cast<double>(std::numeric_limits<T>::max())};
  }
  if constexpr (std::is_integral_v<T> && sizeof(T) == 2) {
    T lowest = *view.row(0);
    T highest = lowest;
    for (std::size_t y = 0; y < view.height(); ++y) {
      pixel_kernels<T>().range(view.row(y), view.width(), &lowest, &highest);
    }
    frame.range = {static_cast<double>(lowest), static_cast<double>(highest)};
    // So that what is left fits 16 bits: there is such an offset, whatever the pixels.
    frame.offset = std::max(frame.offset, frame.range.highest - 32767.0);
    frame.offset = std::min(frame.offset, frame.range.lowest + 32768.0);
    frame.reach =
        std::max(frame.range.highest - frame.offset, frame.offset - frame.range.lowest);
  }
  return frame;
}

}  // namespace stillscope
