// SPDX-License-Identifier: GPL-3.0-or-later
/// Copies of the few frames that can't be used as they are.
#pragma once

#include <cmath>
#include <cstddef>
#include <deque>
#include <type_traits>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/view.hpp"

namespace stillscope {

/// Copies of frames of one size, kept until `clear`. The memory serves the next copies.
template <Pixel T>
class FrameCopies {
 public:
  void clear() { used_ = 0; }

  /// The frame in C order.
  [[nodiscard]] FrameView<const T> contiguous(const FrameView<const T>& frame) {
    return copy(frame, [](T value) { return value; });
  }
  /// The frame in C order, `value` in place of what is not finite.
  [[nodiscard]] FrameView<const T> finite(const FrameView<const T>& frame, T value) {
    return copy(frame, [&](T pixel) { return std::isfinite(pixel) ? pixel : value; });
  }

  /// The frame itself where its rows are contiguous and it has no holes; else the frame in C order,
  /// `value` in its holes, which are what is not finite.
  [[nodiscard]] FrameView<const T> usable(const FrameView<const T>& frame, bool has_holes,
                                          double value) {
    if constexpr (std::is_floating_point_v<T>) {
      if (has_holes) return finite(frame, static_cast<T>(value));
    }
    return frame.has_contiguous_rows() ? frame : contiguous(frame);
  }

 private:
  template <class Convert>
  FrameView<const T> copy(const FrameView<const T>& frame, Convert&& convert) {
    if (used_ == buffers_.size()) buffers_.emplace_back(frame.extent().area());
    const FrameView<T> target(buffers_[used_++].data(), frame.extent());
    for (std::size_t y = 0; y < frame.height(); ++y) {
      for (std::size_t x = 0; x < frame.width(); ++x) target(y, x) = convert(frame(y, x));
    }
    return target;
  }

  std::deque<AlignedBuffer<T>> buffers_;
  std::size_t used_ = 0;
};

}  // namespace stillscope
