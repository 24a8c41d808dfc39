// SPDX-License-Identifier: GPL-3.0-or-later
/// The circular cross-correlation itself, at a few displacements, summed in the spatial domain.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "stillscope/core/rows.hpp"
#include "stillscope/core/view.hpp"

namespace stillscope {

/// A frame to be registered: its pixels, their mean, and a key that tells it from the other frames of
/// its group.
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

  /// Both frames have one size. Source of the displacement: as in the whole library, `src` has moved
  /// by the peak relative to `dst`.
  [[nodiscard]] Window operator()(const FrameRef<T>& src, const FrameRef<T>& dst,
                                  PixelOffset centre) {
    const Extent extent = dst.view.extent();
    const std::size_t first_column = wrap_index(centre.width - 1, extent.width);
    for (auto& row : source_rows_) row.resize(extent.width + 2);
    row_.resize(extent.width);
    const auto load = [&](std::size_t y, std::size_t offset, std::vector<Value>& row) {
      const std::ptrdiff_t source_y =
          static_cast<std::ptrdiff_t>(y + offset) + centre.height - 1;
      load_row(src, wrap_index(source_y, extent.height), first_column, row);
    };
    load(0, 0, source_rows_[0]);
    load(0, 1, source_rows_[1]);
    Window window{};
    for (std::size_t y = 0; y < extent.height; ++y) {
      load(y, 2, source_rows_[2]);
      load_row(dst, y, 0, row_);
      for (std::size_t i = 0; i < 3; ++i) add_row(source_rows_[i], window[i]);
      std::swap(source_rows_[0], source_rows_[1]);
      std::swap(source_rows_[1], source_rows_[2]);
    }
    return window;
  }

 private:
  // 8 bits fit the 16-bit multiply-add of every vector unit; 16 bits need 64-bit sums at once.
  static constexpr bool is_byte = sizeof(T) == 1;
  using Value = std::conditional_t<std::is_floating_point_v<T>, float,
                                   std::conditional_t<is_byte, std::int16_t, std::int32_t>>;
  using RowSum =
      std::conditional_t<std::is_floating_point_v<T>, float,
                         std::conditional_t<is_byte, std::int32_t, std::int64_t>>;
  // Longest run whose products of bytes fit 32 bits: 2^31 / 255^2 = 33026.
  static constexpr std::size_t longest_run = 32768;

  /// out[k] = row y of the frame at column (first + k) modulo the width.
  void load_row(const FrameRef<T>& frame, std::size_t y, std::size_t first,
                std::vector<Value>& out) {
    const T* row = contiguous_row(frame.view, y, gathered_);
    const std::size_t width = frame.view.width();
    std::size_t column = first;
    for (std::size_t k = 0; k < out.size();) {
      const std::size_t run = std::min(width - column, out.size() - k);
      convert(row + column, run, frame.mean, out.data() + k);
      k += run;
      column = 0;
    }
  }

  static void convert(const T* in, std::size_t size, double mean, Value* out) {
    if constexpr (std::is_floating_point_v<T>) {
      const T offset = static_cast<T>(mean);
      for (std::size_t k = 0; k < size; ++k) out[k] = static_cast<Value>(in[k] - offset);
    } else {
      for (std::size_t k = 0; k < size; ++k) out[k] = static_cast<Value>(in[k]);
    }
  }

  void add_row(const std::vector<Value>& source, std::array<Sum, 3>& sums) const {
    const Value* d = row_.data();
    const Value* s = source.data();
    for (std::size_t begin = 0; begin < row_.size(); begin += longest_run) {
      const std::size_t end = std::min(row_.size(), begin + longest_run);
      RowSum left{};
      RowSum middle{};
      RowSum right{};
#pragma omp simd reduction(+ : left, middle, right)
      for (std::size_t x = begin; x < end; ++x) {
        const auto value = static_cast<RowSum>(d[x]);
        left += value * static_cast<RowSum>(s[x]);
        middle += value * static_cast<RowSum>(s[x + 1]);
        right += value * static_cast<RowSum>(s[x + 2]);
      }
      sums[0] += static_cast<Sum>(left);
      sums[1] += static_cast<Sum>(middle);
      sums[2] += static_cast<Sum>(right);
    }
  }

  std::array<std::vector<Value>, 3> source_rows_;
  std::vector<Value> row_;
  std::vector<T> gathered_;
};

}  // namespace stillscope
