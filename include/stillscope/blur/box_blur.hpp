// SPDX-License-Identifier: GPL-3.0-or-later
/// Blurring by repeated running means, whose cost does not grow with their width.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/core/types.hpp"

namespace stillscope {

/// Nearly Gaussian: three running means on each axis. Edge pixels are repeated beyond the edge.
class BoxBlur {
 public:
  explicit BoxBlur(Extent extent) : extent_(extent), plane_(extent.area()), sums_(extent.width) {}

  /// Blurs a plane (height, width) in C order by `sigma` [px], in place. The executor may share it
  /// out.
  void operator()(float* plane, double sigma, const Executor& executor = SerialExecutor()) {
    // Three boxes of width w have the variance (w^2 - 1) / 4.
    const auto radius =
        static_cast<std::ptrdiff_t>(std::lround((std::sqrt(4.0 * sigma * sigma + 1.0) - 1.0) / 2));
    if (radius < 1) return;
    for (int pass = 0; pass < 3; ++pass) {
      for_each_run(extent_.width, 64, executor, [&](std::size_t begin, std::size_t end) {
        along_columns(plane, plane_.data(), radius, begin, end);
      });
      for_each_run(extent_.height, 32, executor, [&](std::size_t begin, std::size_t end) {
        for (std::size_t y = begin; y < end; ++y) {
          along_row(plane_.data() + y * extent_.width, plane + y * extent_.width, radius);
        }
      });
    }
  }

 private:
  void along_columns(const float* from, float* to, std::ptrdiff_t radius, std::size_t begin,
                     std::size_t end) {
    const auto row = [&](std::ptrdiff_t y) {
      const auto last = static_cast<std::ptrdiff_t>(extent_.height) - 1;
      return from +
             static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(y, 0, last)) * extent_.width;
    };
    const double share = 1.0 / static_cast<double>(2 * radius + 1);
    for (std::size_t x = begin; x < end; ++x) sums_[x] = 0.0;
    for (std::ptrdiff_t y = -radius; y <= radius; ++y) {
      for (std::size_t x = begin; x < end; ++x) sums_[x] += static_cast<double>(row(y)[x]);
    }
    for (std::size_t y = 0; y < extent_.height; ++y) {
      float* out = to + y * extent_.width;
      const float* add = row(static_cast<std::ptrdiff_t>(y) + radius + 1);
      const float* drop = row(static_cast<std::ptrdiff_t>(y) - radius);
      for (std::size_t x = begin; x < end; ++x) {
        out[x] = static_cast<float>(share * sums_[x]);
        sums_[x] += static_cast<double>(add[x]) - static_cast<double>(drop[x]);
      }
    }
  }

  void along_row(const float* from, float* to, std::ptrdiff_t radius) const {
    const auto n = static_cast<std::ptrdiff_t>(extent_.width);
    const auto at = [&](std::ptrdiff_t x) {
      return static_cast<double>(from[std::clamp<std::ptrdiff_t>(x, 0, n - 1)]);
    };
    const double share = 1.0 / static_cast<double>(2 * radius + 1);
    double sum = 0.0;
    for (std::ptrdiff_t x = -radius; x <= radius; ++x) sum += at(x);
    for (std::ptrdiff_t x = 0; x < n; ++x) {
      to[x] = static_cast<float>(share * sum);
      sum += at(x + radius + 1) - at(x - radius);
    }
  }

  Extent extent_;
  AlignedBuffer<float> plane_;
  std::vector<double> sums_;
};

}  // namespace stillscope
