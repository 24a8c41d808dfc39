// SPDX-License-Identifier: GPL-3.0-or-later
/// Sizes, shifts and offsets. Every pair in the library is ordered (height, width).
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace stillscope {

/// Size of a frame [px].
struct Extent {
  std::size_t height = 0;
  std::size_t width = 0;

  [[nodiscard]] constexpr std::size_t area() const { return height * width; }
  friend constexpr bool operator==(const Extent&, const Extent&) = default;
};

/// A translation [px]: the correction, that is, what must be *added to the content's position* to
/// register it (positive = toward larger row / column). NaN on both axes: no shift is known.
struct Shift {
  double height = 0.0;
  double width = 0.0;

  [[nodiscard]] bool is_finite() const { return std::isfinite(height) && std::isfinite(width); }
  constexpr Shift& operator+=(const Shift& other) {
    height += other.height;
    width += other.width;
    return *this;
  }
  friend constexpr Shift operator+(Shift a, const Shift& b) { return a += b; }
  friend constexpr Shift operator-(const Shift& a) { return {-a.height, -a.width}; }
  friend constexpr Shift operator-(const Shift& a, const Shift& b) { return a + -b; }
  friend constexpr bool operator==(const Shift&, const Shift&) = default;
};

/// One shift a frame, in the order of the frames.
using ShiftList = std::vector<Shift>;

/// A whole-pixel displacement of the content [px].
struct PixelOffset {
  std::ptrdiff_t height = 0;
  std::ptrdiff_t width = 0;

  friend constexpr PixelOffset operator+(PixelOffset a, PixelOffset b) {
    return {a.height + b.height, a.width + b.width};
  }
  friend constexpr PixelOffset operator-(PixelOffset a, PixelOffset b) {
    return {a.height - b.height, a.width - b.width};
  }
  friend constexpr bool operator==(const PixelOffset&, const PixelOffset&) = default;
};

/// `value` modulo `n`, in [0, n).
[[nodiscard]] constexpr std::size_t wrap_index(std::ptrdiff_t value, std::size_t n) {
  const auto size = static_cast<std::ptrdiff_t>(n);
  const std::ptrdiff_t remainder = value % size;
  return static_cast<std::size_t>(remainder < 0 ? remainder + size : remainder);
}

}  // namespace stillscope
