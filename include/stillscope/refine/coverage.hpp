// SPDX-License-Identifier: GPL-3.0-or-later
/// Where registered frames lie on their template.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "stillscope/core/types.hpp"
#include "stillscope/refine/area.hpp"
#include "stillscope/warp/translation.hpp"

namespace stillscope {

/// What a translated frame covers: where both samples of every pixel lie in it.
[[nodiscard]] inline Area covered_by(const Translation& translation) {
  if (translation.is_empty()) return {};
  const auto axis = [](const AxisTaps& taps, std::size_t n) {
    const auto size = static_cast<std::ptrdiff_t>(n);
    const std::ptrdiff_t begin = std::max<std::ptrdiff_t>(0, -taps.offset);
    const std::ptrdiff_t end = std::min(size, size - taps.offset - (taps.weight == 0.0F ? 0 : 1));
    return std::pair{begin, end};
  };
  const auto [top, bottom] = axis(translation.rows(), translation.extent().height);
  const auto [left, right] = axis(translation.columns(), translation.extent().width);
  return {top, bottom, left, right};
}

/// Counts the frames that lie on each pixel, from the corners of what each covers.
class Coverage {
 public:
  explicit Coverage(Extent extent)
      : extent_(extent),
        corners_((extent.height + 1) * (extent.width + 1)),
        row_counts_(extent.height + 1),
        column_counts_(extent.width + 1) {}

  void clear() {
    std::fill(corners_.begin(), corners_.end(), 0);
    std::fill(row_counts_.begin(), row_counts_.end(), 0);
    std::fill(column_counts_.begin(), column_counts_.end(), 0);
    frames_ = 0;
  }

  [[nodiscard]] std::size_t frames() const { return frames_; }

  /// Counts a frame; returns what it covers.
  Area add(const Translation& translation) {
    const Area area = covered_by(translation);
    if (area.is_empty()) return {};
    count(area);
    ++frames_;
    return area;
  }

  /// counts[x] = the frames on each pixel of row `y`, for rows from the first on, one after the
  /// other.
  void next_row(std::size_t y, std::vector<std::int64_t>& counts) const {
    std::int64_t change = 0;
    for (std::size_t x = 0; x < extent_.width; ++x) {
      change += corners_[y * (extent_.width + 1) + x];
      counts[x] += change;
    }
  }

  /// The rows and columns on which at least this share of the frames lies, a run without gaps.
  [[nodiscard]] Area common(double share) const {
    const auto run = [&](const std::vector<std::int64_t>& changes) {
      const double least = std::max(1.0, share * static_cast<double>(frames_));
      std::ptrdiff_t begin = 0;
      std::ptrdiff_t end = 0;
      std::int64_t count = 0;
      std::ptrdiff_t start = -1;
      for (std::size_t i = 0; i < changes.size(); ++i) {
        count += changes[i];
        const auto here = static_cast<std::ptrdiff_t>(i);
        const bool is_in = i + 1 < changes.size() && static_cast<double>(count) >= least;
        if (is_in && start < 0) start = here;
        if (!is_in && start >= 0) {
          if (here - start > end - begin) {
            begin = start;
            end = here;
          }
          start = -1;
        }
      }
      return std::pair{begin, end};
    };
    const auto [top, bottom] = run(row_counts_);
    const auto [left, right] = run(column_counts_);
    return {top, bottom, left, right};
  }

  template <class Archive>
  void archive(Archive& io) {
    io(corners_, row_counts_, column_counts_, frames_);
  }

 private:
  void count(const Area& area) {
    const std::size_t stride = extent_.width + 1;
    const auto top = static_cast<std::size_t>(area.top);
    const auto bottom = static_cast<std::size_t>(area.bottom);
    const auto left = static_cast<std::size_t>(area.left);
    const auto right = static_cast<std::size_t>(area.right);
    ++corners_[top * stride + left];
    --corners_[top * stride + right];
    --corners_[bottom * stride + left];
    ++corners_[bottom * stride + right];
    ++row_counts_[top];
    --row_counts_[bottom];
    ++column_counts_[left];
    --column_counts_[right];
  }

  Extent extent_;
  // How the number of frames changes at each corner of an area, row and column.
  std::vector<std::int64_t> corners_;
  std::vector<std::int64_t> row_counts_;
  std::vector<std::int64_t> column_counts_;
  std::size_t frames_ = 0;
};

}  // namespace stillscope
