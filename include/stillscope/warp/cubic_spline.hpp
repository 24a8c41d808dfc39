// SPDX-License-Identifier: GPL-3.0-or-later
/// Interpolation by cubic B-splines: M. Unser, "Splines: a perfect fit for signal and image
/// processing", IEEE Signal Processing Magazine 16 (1999).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "stillscope/core/executor.hpp"
#include "stillscope/core/types.hpp"

namespace stillscope {

/// The shares of coefficients -1, 0, 1 and 2 at `fraction` in [0, 1) beyond coefficient 0. Their
/// sum is 1.
[[nodiscard]] inline std::array<float, 4> cubic_weights(double fraction) {
  const double t = fraction;
  const double s = 1.0 - t;
  const double before = s * s * s / 6.0;
  const double after = t * t * t / 6.0;
  const double here = 2.0 / 3.0 - 0.5 * t * t * (2.0 - t);
  return {static_cast<float>(before), static_cast<float>(here),
          static_cast<float>(1.0 - before - here - after), static_cast<float>(after)};
}

/// Turns samples (height, width) in C order into the coefficients of the spline through them,
/// whole-sample symmetric at the edges, in place. Axes of a single sample are left as they are. The
/// executor may share the plane out.
inline void to_spline_coefficients(float* samples, Extent extent,
                                   const Executor& executor = SerialExecutor()) {
  constexpr double pole = -0.26794919243112270;  // sqrt(3) - 2
  constexpr std::size_t reach = 24;              // pole^24 is below float's precision
  constexpr auto z = static_cast<float>(pole);
  const auto gain = static_cast<float>((1.0 - pole) * (1.0 - 1.0 / pole));
  const auto edge = static_cast<float>(pole / (pole * pole - 1.0));
  // `lane(i)`: sample i of each of `lanes` series that lie side by side.
  const auto filter = [&](std::size_t n, std::size_t lanes, auto&& lane) {
    if (n < 2) return;
    std::vector<float> start(lanes, 0.0F);
    double power = 1.0;
    for (std::size_t i = 0; i < reach; ++i, power *= pole) {
      // Mirrored as often as it takes.
      const std::size_t turn = i % (2 * n - 2);
      const float* from = lane(std::min(turn, 2 * n - 2 - turn));
      for (std::size_t k = 0; k < lanes; ++k) start[k] += static_cast<float>(power) * from[k];
    }
    float* previous = lane(0);
    for (std::size_t k = 0; k < lanes; ++k) previous[k] = gain * start[k];
    for (std::size_t i = 1; i < n; ++i) {
      float* here = lane(i);
      for (std::size_t k = 0; k < lanes; ++k) here[k] = gain * here[k] + z * previous[k];
      previous = here;
    }
    const float* before = lane(n - 2);
    float* next = lane(n - 1);
    for (std::size_t k = 0; k < lanes; ++k) next[k] = edge * (next[k] + z * before[k]);
    for (std::size_t i = n - 1; i-- > 0;) {
      float* here = lane(i);
      for (std::size_t k = 0; k < lanes; ++k) here[k] = z * (next[k] - here[k]);
      next = here;
    }
  };
  for_each_run(extent.width, 64, executor, [&](std::size_t begin, std::size_t end) {
    filter(extent.height, end - begin,
           [&](std::size_t y) { return samples + y * extent.width + begin; });
  });
  for_each_run(extent.height, 32, executor, [&](std::size_t begin, std::size_t end) {
    for (std::size_t y = begin; y < end; ++y) {
      filter(extent.width, 1, [&](std::size_t x) { return samples + y * extent.width + x; });
    }
  });
}

}  // namespace stillscope
