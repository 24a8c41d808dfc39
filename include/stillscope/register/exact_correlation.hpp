// SPDX-License-Identifier: GPL-3.0-or-later
/// The circular cross-correlation itself, at a few displacements, summed in the spatial domain.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include "stillscope/core/rows.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// A frame to be registered: its pixels, their mean, and a key that tells it from the other frames
/// of its group.
template <Pixel T>
struct FrameRef {
  FrameView<const T> view;
  double mean = 0.0;
  std::size_t key = 0;
};

/// Eq. (1), R(d) = sum over x of src(x + d) dst(x) with circular indices, at the 3x3 displacements
/// round a centre. Integer frames in integer arithmetic, exact. Float frames less their means, in
/// float32 along a row and double across rows. Holds its scratch rows: one object a thread.
template <Pixel T>
class ExactCorrelation {
 public:
  using Sum = ProductSum<T>;
  /// values[1 + dy][1 + dx] = R(centre + (dy, dx)), up to a constant for float frames.
  using Window = std::array<std::array<Sum, 3>, 3>;

  /// Both frames have one size. Source of the displacement: as in the whole library, `src` has
  /// moved by the peak relative to `dst`.
  [[nodiscard]] Window operator()(const FrameRef<T>& src, const FrameRef<T>& dst,
                                  PixelOffset centre) {
    const Extent extent = dst.view.extent();
    const std::size_t first_column = wrap_index(centre.width - 1, extent.width);
    for (auto& row : source_rows_) row.resize(extent.width + 2);
    row_.resize(extent.width);
    const auto load = [&](std::size_t y, std::size_t offset, std::vector<Value>& row) {
      const std::ptrdiff_t source_y = static_cast<std::ptrdiff_t>(y + offset) + centre.height - 1;
      load_row(src, wrap_index(source_y, extent.height), first_column, row);
    };
    load(0, 0, source_rows_[0]);
    load(0, 1, source_rows_[1]);
    Sum sums[9] = {};
    for (std::size_t y = 0; y < extent.height; ++y) {
      load(y, 2, source_rows_[2]);
      load_row(dst, y, 0, row_);
      const Value* const rows[3] = {source_rows_[0].data(), source_rows_[1].data(),
                                    source_rows_[2].data()};
      pixel_kernels<T>().correlate(row_.data(), rows, extent.width, sums);
      std::swap(source_rows_[0], source_rows_[1]);
      std::swap(source_rows_[1], source_rows_[2]);
    }
    Window window;
    for (std::size_t k = 0; k < 9; ++k) window[k / 3][k % 3] = sums[k];
    return window;
  }

 private:
  using Value = CorrelationValue<T>;

  /// out[k] = row y of the frame at column (first + k) modulo the width.
  void load_row(const FrameRef<T>& frame, std::size_t y, std::size_t first,
                std::vector<Value>& out) {
    const T* row = contiguous_row(frame.view, y, gathered_);
    const std::size_t width = frame.view.width();
    std::size_t column = first;
    for (std::size_t k = 0; k < out.size();) {
      const std::size_t run = std::min(width - column, out.size() - k);
      pixel_kernels<T>().to_correlation_values(row + column, run, frame.mean, out.data() + k);
      k += run;
      column = 0;
    }
  }

  std::array<std::vector<Value>, 3> source_rows_;
  std::vector<Value> row_;
  std::vector<T> gathered_;
};

}  // namespace stillscope
