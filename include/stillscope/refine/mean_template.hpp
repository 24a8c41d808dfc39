// SPDX-License-Identifier: GPL-3.0-or-later
/// The mean of registered frames, of any number of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/core/rows.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/refine/area.hpp"
#include "stillscope/refine/coverage.hpp"
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
  /// Frames that are worked on before they are added: whole groups, enough for all threads, and few
  /// enough to be in the caches still.
  static std::size_t batch(const Executor& executor) {
    return group * std::max<std::size_t>(1, executor.concurrency() / 2);
  }

  explicit MeanTemplate(Extent extent) : extent_(extent), sums_(extent.area()), coverage_(extent) {
    clear();
  }

  void clear() {
    std::fill_n(sums_.data(), extent_.area(), 0.0);
    coverage_.clear();
  }

  [[nodiscard]] std::size_t frames() const { return coverage_.frames(); }

  /// Adds at most `group` frames. The executor may share the rows out.
  template <Pixel T>
  void add(std::span<const RegisteredFrame<T>> frames, const Executor& executor) {
    std::vector<Source<T>> sources;
    for (const RegisteredFrame<T>& frame : frames) {
      const Translation translation(frame.shift, extent_);
      const Area area = coverage_.add(translation);
      if (!area.is_empty()) sources.push_back({frame.view, translation, area});
    }
    if (sources.empty()) return;
    for_each_run(extent_.height, rows_per_band, executor, [&](std::size_t begin, std::size_t end) {
      auto scratch = scratch_.take([] { return AlignedBuffer<float>(); });
      add_rows<T>(sources, begin, end, scratch);
      scratch_.give(std::move(scratch));
    });
  }

  /// out = the mean (height, width), where there is any frame, else NaN.
  void mean(float* out) const {
    std::vector<std::int64_t> row(extent_.width, 0);
    for (std::size_t y = 0; y < extent_.height; ++y) {
      coverage_.next_row(y, row);
      for (std::size_t x = 0; x < extent_.width; ++x) {
        const std::size_t at = y * extent_.width + x;
        out[at] = row[x] > 0 ? static_cast<float>(sums_.data()[at] / static_cast<double>(row[x]))
                             : std::numeric_limits<float>::quiet_NaN();
      }
    }
  }

  /// The rows and columns on which at least this share of the frames lies, a run without gaps.
  [[nodiscard]] Area common(double share) const { return coverage_.common(share); }

  template <class Archive>
  void archive(Archive& io) {
    io(sums_, coverage_);
  }

 private:
  static constexpr std::size_t rows_per_band = 32;
  static constexpr std::size_t rows_ahead = 3;

  template <Pixel T>
  struct Source {
    FrameView<const T> view;
    Translation translation;
    Area area;

    /// True where columns stay where they are.
    [[nodiscard]] bool is_unmoved() const {
      const AxisTaps& columns = translation.columns();
      return columns.offset == 0 && columns.weight == 0.0F;
    }
  };

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
          weights[taps] = weight;
          if constexpr (std::is_same_v<T, float>) {
            if (source.is_unmoved()) {
              rows[taps++] = source.view.row(static_cast<std::size_t>(from));
              expect_row(source.view, static_cast<std::size_t>(from) + rows_ahead);
              return;
            }
          }
          const std::size_t slot = 2 * i + static_cast<std::size_t>(from % 2);
          float* blended = scratch.data() + slot * stride;
          if (held[slot] != from) blend(source, static_cast<std::size_t>(from), blended);
          held[slot] = from;
          rows[taps++] = blended;
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
    expect_row(source.view, y + rows_ahead);
    if (columns.weight == 0.0F) {
      pixel_kernels<T>().to_float(from, source.area.width(), to);
    } else {
      pixel_kernels<T>().blend_columns(from, source.area.width(), columns.weight, to);
    }
  }

  Extent extent_;
  AlignedBuffer<double> sums_;
  Coverage coverage_;
  Pool<AlignedBuffer<float>> scratch_;
};

}  // namespace stillscope
