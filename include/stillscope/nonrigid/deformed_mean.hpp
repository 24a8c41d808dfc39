// SPDX-License-Identifier: GPL-3.0-or-later
/// The mean of deformed frames, of any number of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/refine/area.hpp"
#include "stillscope/refine/mean_template.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// Sums and counts what is a number in each plane. A few frames are summed in single precision,
/// these sums in double, in the order in which they come, whoever adds them.
class DeformedMean {
 public:
  /// Frames a group.
  static constexpr std::size_t group = MeanTemplate::group;

  /// Of planes of this extent, rows of `stride` pixels.
  DeformedMean(Extent extent, std::size_t stride)
      : extent_(extent), stride_(stride), sums_(stride * extent.height), counts_(sums_.size()) {
    std::fill_n(sums_.data(), sums_.size(), 0.0);
    std::fill_n(counts_.data(), counts_.size(), 0.0F);
  }

  [[nodiscard]] std::size_t frames() const { return frames_; }

  /// Adds at most `group` planes. The executor may share the rows out.
  void add(std::span<const float* const> planes, const Executor& executor) {
    if (planes.empty()) return;
    frames_ += planes.size();
    constexpr std::size_t rows_per_band = 32;
    for_each_run(sums_.size(), rows_per_band * stride_, executor,
                 [&](std::size_t begin, std::size_t end) {
                   std::vector<const float*> rows;
                   for (const float* plane : planes) rows.push_back(plane + begin);
                   float_kernels().accumulate_numbers(rows.data(), rows.size(), end - begin,
                                                      sums_.data() + begin, counts_.data() + begin);
                 });
  }

  /// out = the mean, NaN where there is nothing; rows of `stride` pixels.
  void mean(float* out) const {
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const float count = counts_.data()[i];
      out[i] = count > 0.0F ? static_cast<float>(sums_.data()[i] / static_cast<double>(count))
                            : std::numeric_limits<float>::quiet_NaN();
    }
  }

  /// The rectangle at whose every edge, in the middle, at least this share of the frames lies.
  [[nodiscard]] Area common(float share) const {
    const float least = std::max(1.0F, share * static_cast<float>(frames_));
    const auto run = [&](std::size_t n, auto&& count_at) {
      std::ptrdiff_t begin = 0;
      auto end = static_cast<std::ptrdiff_t>(n);
      while (begin < end && count_at(static_cast<std::size_t>(begin)) < least) ++begin;
      while (end > begin && count_at(static_cast<std::size_t>(end - 1)) < least) --end;
      return std::pair{begin, end};
    };
    const auto usual = [](std::vector<float>& counts) {
      const auto middle = counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 4);
      std::nth_element(counts.begin(), middle, counts.end());
      return *middle;
    };
    const auto [top, bottom] = run(extent_.height, [&](std::size_t y) {
      std::vector<float> counts(counts_.data() + y * stride_,
                                counts_.data() + y * stride_ + extent_.width);
      return usual(counts);
    });
    const auto [left, right] = run(extent_.width, [&](std::size_t x) {
      std::vector<float> counts;
      for (std::size_t y = 0; y < extent_.height; ++y)
        counts.push_back(counts_.data()[y * stride_ + x]);
      return usual(counts);
    });
    return {top, bottom, left, right};
  }

 private:
  Extent extent_;
  std::size_t stride_;
  AlignedBuffer<double> sums_;
  AlignedBuffer<float> counts_;
  std::size_t frames_ = 0;
};

}  // namespace stillscope
