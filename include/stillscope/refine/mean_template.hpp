// SPDX-License-Identifier: GPL-3.0-or-later
/// The mean of registered frames, of any number of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/refine/area.hpp"
#include "stillscope/simd/row_kernels.hpp"
#include "stillscope/warp/translation.hpp"

namespace stillscope {

/// A frame and where it belongs.
template <Pixel T>
struct RegisteredFrame {
  FrameView<const T> view;  ///< Contiguous rows, finite.
  Shift shift;              ///< [px].
};

/// Adds translated frames, bilinearly, each where it has pixels. A few frames are summed in single
/// precision, these sums in double: exact to about 1e-7 of a pixel's value however many frames
/// there are. Frames count in groups in the order in which they come, whoever adds them.
class MeanTemplate {
 public:
  /// Frames a group.
  static constexpr std::size_t group = 8;

  explicit MeanTemplate(Extent extent)
      : extent_(extent),
        sums_(extent.area()),
        corners_((extent.height + 1) * (extent.width + 1)),
        row_counts_(extent.height + 1),
        column_counts_(extent.width + 1) {
    clear();
  }

  void clear() {
    std::fill_n(sums_.data(), extent_.area(), 0.0);
    std::fill(corners_.begin(), corners_.end(), 0);
    std::fill(row_counts_.begin(), row_counts_.end(), 0);
    std::fill(column_counts_.begin(), column_counts_.end(), 0);
    frames_ = 0;
  }

  [[nodiscard]] std::size_t frames() const { return frames_; }

  /// Adds at most `group` frames. The executor may share the rows out.
  template <Pixel T>
  void add(std::span<const RegisteredFrame<T>> frames, const Executor& executor) {
    std::vector<Source<T>> sources;
    for (const RegisteredFrame<T>& frame : frames) {
      const Translation translation(frame.shift, extent_);
      if (translation.is_empty()) continue;
      const Area area = covered(translation);
      if (area.is_empty()) continue;
      sources.push_back({frame.view, translation, area});
      count(area);
    }
    frames_ += sources.size();
    if (sources.empty()) return;
    executor.for_each((extent_.height + rows_per_band - 1) / rows_per_band, [&](std::size_t band) {
      const std::size_t begin = band * rows_per_band;
      auto scratch = scratch_.take([] { return AlignedBuffer<float>(); });
      add_rows<T>(sources, begin, std::min(begin + rows_per_band, extent_.height), scratch);
      scratch_.give(std::move(scratch));
    });
  }

  /// out = the mean (height, width), where there is any frame, else NaN.
  void mean(float* out) const {
    std::vector<std::int64_t> row(extent_.width, 0);
    for (std::size_t y = 0; y < extent_.height; ++y) {
      std::int64_t change = 0;
      for (std::size_t x = 0; x < extent_.width; ++x) {
        change += corners_[y * (extent_.width + 1) + x];
        row[x] += change;
        const std::size_t at = y * extent_.width + x;
        out[at] = row[x] > 0 ? static_cast<float>(sums_.data()[at] / static_cast<double>(row[x]))
                             : std::numeric_limits<float>::quiet_NaN();
      }
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

 private:
  static constexpr std::size_t rows_per_band = 32;

  template <Pixel T>
  struct Source {
    FrameView<const T> view;
    Translation translation;
    Area area;
  };

  /// Where both samples of every pixel lie in the frame.
  [[nodiscard]] Area covered(const Translation& translation) const {
    const auto axis = [](const AxisTaps& taps, std::size_t n) {
      const auto size = static_cast<std::ptrdiff_t>(n);
      const std::ptrdiff_t begin = std::max<std::ptrdiff_t>(0, -taps.offset);
      const std::ptrdiff_t end = std::min(size, size - taps.offset - (taps.weight == 0.0F ? 0 : 1));
      return std::pair{begin, end};
    };
    const auto [top, bottom] = axis(translation.rows(), extent_.height);
    const auto [left, right] = axis(translation.columns(), extent_.width);
    return {top, bottom, left, right};
  }

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

  template <Pixel T>
  void add_rows(const std::vector<Source<T>>& sources, std::size_t begin, std::size_t end,
                AlignedBuffer<float>& scratch) {
    const std::size_t stride = (extent_.width + 15) / 16 * 16;
    // Two blended rows of each source, and their sum.
    scratch.reserve((2 * group + 1) * stride);
    float* total = scratch.data() + 2 * group * stride;
    std::fill_n(scratch.data(), 2 * group * stride, 0.0F);
    std::array<std::ptrdiff_t, 2 * group> held;  // which row of its frame each holds
    held.fill(-1);
    std::array<const float*, 2 * group> rows;
    std::array<float, 2 * group> weights;
    for (std::size_t y = begin; y < end; ++y) {
      std::size_t taps = 0;
      for (std::size_t i = 0; i < sources.size(); ++i) {
        const Source<T>& source = sources[i];
        const auto row = static_cast<std::ptrdiff_t>(y);
        if (row < source.area.top || row >= source.area.bottom) continue;
        const AxisTaps& axis = source.translation.rows();
        const auto add = [&](std::ptrdiff_t from, float weight) {
          const std::size_t slot = 2 * i + static_cast<std::size_t>(from % 2);
          float* blended = scratch.data() + slot * stride;
          if (held[slot] != from) blend(source, static_cast<std::size_t>(from), blended);
          held[slot] = from;
          rows[taps] = blended;
          weights[taps++] = weight;
        };
        add(row + axis.offset, 1.0F - axis.weight);
        if (axis.weight != 0.0F) add(row + axis.offset + 1, axis.weight);
      }
      if (taps == 0) continue;
      float_kernels().weighted_sum({rows.data(), weights.data(), taps, 0.0F, 1.0F}, extent_.width,
                                   total);
      float_kernels().accumulate(total, extent_.width, sums_.data() + y * extent_.width);
    }
  }

  /// out = a row of the frame blended along the columns, where the frame is covered.
  template <Pixel T>
  static void blend(const Source<T>& source, std::size_t y, float* out) {
    const AxisTaps& columns = source.translation.columns();
    const T* from = source.view.row(y) + source.area.left + columns.offset;
    float* to = out + source.area.left;
    if (columns.weight == 0.0F) {
      pixel_kernels<T>().to_float(from, source.area.width(), to);
    } else {
      pixel_kernels<T>().blend_columns(from, source.area.width(), columns.weight, to);
    }
  }

  Extent extent_;
  AlignedBuffer<double> sums_;
  // How the number of frames changes at each corner of an area, row and column.
  std::vector<std::int64_t> corners_;
  std::vector<std::int64_t> row_counts_;
  std::vector<std::int64_t> column_counts_;
  std::size_t frames_ = 0;
  Pool<AlignedBuffer<float>> scratch_;
};

}  // namespace stillscope
