// SPDX-License-Identifier: GPL-3.0-or-later
/// A frame as registrars take it.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
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
  /// Integers: between which the pixels lie.
  PixelRange range{};

  /// The same of a frame that is the source: signed 16-bit integers are taken as they are.
  [[nodiscard]] double source_offset() const { return is_signed ? 0.0 : offset; }
  [[nodiscard]] double source_reach() const {
    return is_signed ? std::max(-range.lowest, range.highest) : reach;
  }

 private:
  static constexpr bool is_signed = std::is_same_v<T, std::int16_t>;
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

/// Between which the pixels of a frame of integers lie: bytes by their type.
template <std::integral T>
[[nodiscard]] PixelRange pixel_range(const FrameView<const T>& frame) {
  if constexpr (sizeof(T) == 1) return {0.0, 255.0};
  T lowest = *frame.row(0);
  T highest = lowest;
  for (std::size_t y = 0; y < frame.height(); ++y) {
    pixel_kernels<T>().range(frame.row(y), frame.width(), &lowest, &highest);
  }
  return {static_cast<double>(lowest), static_cast<double>(highest)};
}

/// `view` with its offset and reach. Its rows are contiguous. `range`: between which integer pixels
/// are known to lie.
template <Pixel T>
[[nodiscard]] FrameRef<T> make_frame_ref(const FrameView<const T>& view, std::size_t key,
                                         const std::optional<PixelRange>& range = std::nullopt) {
  FrameRef<T> frame{view, key, sampled_mean(view), 0.0, {}};
  if constexpr (std::is_integral_v<T>) {
    frame.offset = std::nearbyint(frame.offset);
    frame.range = range ? *range : pixel_range(view);
    // So that what is left fits 16 bits: there is such an offset, whatever the pixels.
    frame.offset = std::max(frame.offset, frame.range.highest - 32767.0);
    frame.offset = std::min(frame.offset, frame.range.lowest + 32768.0);
    frame.reach = std::max(frame.range.highest - frame.offset, frame.offset - frame.range.lowest);
  }
  return frame;
}

}  // namespace stillscope
