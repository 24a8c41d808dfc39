// SPDX-License-Identifier: GPL-3.0-or-later
/// Rectangles of pixels.
#pragma once

#include <algorithm>
#include <cstddef>

#include "stillscope/core/types.hpp"

namespace stillscope {

/// The rows [top, bottom) and columns [left, right) of a frame or a template.
struct Area {
  std::ptrdiff_t top = 0;
  std::ptrdiff_t bottom = 0;
  std::ptrdiff_t left = 0;
  std::ptrdiff_t right = 0;

  /// All of a frame.
  static Area of(Extent extent) {
    return {0, static_cast<std::ptrdiff_t>(extent.height), 0,
            static_cast<std::ptrdiff_t>(extent.width)};
  }
  [[nodiscard]] bool is_empty() const { return bottom <= top || right <= left; }
  [[nodiscard]] std::size_t height() const { return static_cast<std::size_t>(bottom - top); }
  [[nodiscard]] std::size_t width() const { return static_cast<std::size_t>(right - left); }
  [[nodiscard]] std::size_t size() const { return is_empty() ? 0 : height() * width(); }

  [[nodiscard]] Area moved(PixelOffset by) const {
    return {top + by.height, bottom + by.height, left + by.width, right + by.width};
  }
  /// Smaller by `pixels` on every side.
  [[nodiscard]] Area inset(std::ptrdiff_t pixels) const {
    return {top + pixels, bottom - pixels, left + pixels, right - pixels};
  }
  /// What two areas have in common.
  [[nodiscard]] Area operator&(const Area& other) const {
    return {std::max(top, other.top), std::min(bottom, other.bottom), std::max(left, other.left),
            std::min(right, other.right)};
  }
  friend bool operator==(const Area&, const Area&) = default;
};

}  // namespace stillscope
