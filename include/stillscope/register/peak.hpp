// SPDX-License-Identifier: GPL-3.0-or-later
/// From the values round a correlation's peak to a sub-pixel shift.
#pragma once

#include <algorithm>
#include <cstddef>

#include "stillscope/core/types.hpp"

namespace stillscope {

/// Vertex of the parabola through (-1, before), (0, 0), (1, after), the neighbours' values less the
/// peak's; 0 where the three are in line. Eq. (2) of docs/algorithm.md.
[[nodiscard]] constexpr double parabola_vertex(double before, double after) {
  const double curvature = before + after;
  return curvature == 0.0 ? 0.0 : 0.5 * (before - after) / curvature;
}

/// A refined peak position on a circular axis of `n` samples: beyond n / 2 (rounded down) it is a
/// negative displacement. Eq. (3).
[[nodiscard]] constexpr double wrap_position(double position, std::size_t n) {
  return position > static_cast<double>(n / 2) ? position - static_cast<double>(n) : position;
}

/// Displacement of the source's content relative to the destination [px], from the correlation's
/// window `values[1 + dy][1 + dx]` round the whole-pixel peak at (`y`, `x`).
template <class Window>
[[nodiscard]] Shift displacement_at_peak(const Window& values, std::size_t y, std::size_t x,
                                         Extent extent) {
  const auto relative = [&](std::size_t i, std::size_t j) {
    return static_cast<double>(values[i][j] - values[1][1]);
  };
  const double dy = parabola_vertex(relative(0, 1), relative(2, 1));
  const double dx = parabola_vertex(relative(1, 0), relative(1, 2));
  return {wrap_position(static_cast<double>(y) + dy, extent.height),
          wrap_position(static_cast<double>(x) + dx, extent.width)};
}

/// The same from a whole correlation in C order: its first maximum, refined.
template <class Real>
[[nodiscard]] Shift displacement_of_correlation(const Real* correlation, Extent extent) {
  const Real* peak = std::max_element(correlation, correlation + extent.area());
  const auto index = static_cast<std::size_t>(peak - correlation);
  const std::size_t y = index / extent.width;
  const std::size_t x = index % extent.width;
  Real window[3][3];
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      const std::size_t row = (y + extent.height + i - 1) % extent.height;
      const std::size_t column = (x + extent.width + j - 1) % extent.width;
      window[i][j] = correlation[row * extent.width + column];
    }
  }
  return displacement_at_peak(window, y, x, extent);
}

}  // namespace stillscope
