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
  static constexpr std::ptrdiff_t rows_ahead = 2;

  template <Pixel T>
  struct Source {
    FrameView<const T> view;
    Translation translation;
    Area area;

    [[nodiscard]] bool covers(std::ptrdiff_t row) const {
      return row >= area.top && row < area.bottom;
    }
  };

  /// Rows [begin, end) of the sum. Each row of a frame is read once, and shared out to the two rows
  /// that it counts in.
  template <Pixel T>
  void add_rows(const std::vector<Source<T>>& sources, std::size_t begin, std::size_t end,
                AlignedBuffer<float>& scratch) {
    const std::size_t width = extent_.width;
    scratch.reserve(2 * width);
    float* total = scratch.data();
    float* next = total + width;
    std::fill_n(total, 2 * width, 0.0F);
    for (const Source<T>& source : sources) {
      const auto row = static_cast<std::ptrdiff_t>(begin);
      if (source.covers(row)) spread(source, row, 0, total, nullptr);
    }
    for (std::size_t y = begin; y < end; ++y) {
      const auto row = static_cast<std::ptrdiff_t>(y);
      for (const Source<T>& source : sources) {
        const bool is_next = y + 1 < end && source.covers(row + 1);
        if (source.translation.rows().weight != 0.0F && source.covers(row)) {
          spread(source, row, 1, total, is_next ? next : nullptr);
        } else if (is_next) {
          spread(source, row + 1, 0, next, nullptr);
        }
      }
      float_kernels().accumulate(total, width, sums_.data() + y * width);
      std::fill_n(total, width, 0.0F);
      std::swap(total, next);
    }
  }

  /// Adds the tap `tap` of a row to `sum`; and what it is to the row below, to `below`.
  template <Pixel T>
  void spread(const Source<T>& source, std::ptrdiff_t row, int tap, float* sum, float* below) {
    const AxisTaps& down = source.translation.rows();
    const AxisTaps& along = source.translation.columns();
    const auto from = static_cast<std::size_t>(row + down.offset + tap);
    const SpreadRow<T> pixels{source.view.row(from) + source.area.left + along.offset, along.weight,
                              tap == 0 ? 1.0F - down.weight : down.weight, 1.0F - down.weight,
                              rows_ahead * source.view.row_stride()};
    pixel_kernels<T>().spread(pixels, source.area.width(), sum + source.area.left,
                              below == nullptr ? nullptr : below + source.area.left);
  }

  Extent extent_;
  AlignedBuffer<double> sums_;
  Coverage coverage_;
  Pool<AlignedBuffer<float>> scratch_;
};

}  // namespace stillscope
