// SPDX-License-Identifier: GPL-3.0-or-later
/// Mean-pooling of frames onto a small grid whose transforms are fast.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "stillscope/core/view.hpp"
#include "stillscope/register/frame_ref.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// The smallest number of at least `n` among those along which FFTW's transforms are fast without
/// planning, which would take longer than thousands of transforms: measured for rows and columns
/// of 32 to 256, at most 1.1 ns a cell for rows and 1.0 for columns (FFTW 3.3.10); beyond, the
/// smallest multiple of a power of two.
[[nodiscard]] constexpr std::size_t fast_rows(std::size_t n) {
  for (const std::size_t size : {4, 8, 12, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256}) {
    if (size >= n) return size;
  }
  return (n + 63) / 64 * 64;
}
/// The same for the length of a row, which is transformed as real numbers.
[[nodiscard]] constexpr std::size_t fast_columns(std::size_t n) {
  for (const std::size_t size :
       {4, 8, 12, 16, 24, 32, 40, 48, 54, 64, 72, 80, 100, 120, 144, 160, 200, 240}) {
    if (size >= n) return size;
  }
  return (n + 79) / 80 * 80;
}

/// One axis of the grid: `coarse` cells that cover `fine` pixels exactly, so that the cells of a
/// periodic axis are periodic, too. Cells need not begin at a pixel's edge: pixels are shared by
/// area.
class CoarseAxis {
 public:
  CoarseAxis(std::size_t fine, std::size_t coarse)
      : scale_(static_cast<double>(fine) / static_cast<double>(coarse)),
        taps_(std::min(static_cast<std::size_t>(std::ceil(scale_)) + 1, fine)),
        stride_((taps_ + 7) / 8 * 8),
        first_(coarse),
        weights_(stride_ * coarse) {
    for (std::size_t cell = 0; cell < coarse; ++cell) {
      const double begin = scale_ * static_cast<double>(cell);
      const double end = scale_ * static_cast<double>(cell + 1);
      // Taps that would stick out at the end move inwards; their weights say which count.
      const std::size_t first = std::min(static_cast<std::size_t>(begin), fine - taps_);
      first_[cell] = static_cast<std::int32_t>(first);
      for (std::size_t tap = 0; tap < taps_; ++tap) {
        const auto pixel = static_cast<double>(first + tap);
        const double share = std::min(end, pixel + 1.0) - std::max(begin, pixel);
        weights_[cell * stride_ + tap] = static_cast<float>(std::max(0.0, share) / scale_);
      }
    }
  }

  /// Pixels a cell.
  [[nodiscard]] double scale() const { return scale_; }
  [[nodiscard]] std::size_t cells() const { return first_.size(); }
  /// Pixels that a cell may touch.
  [[nodiscard]] std::size_t taps() const { return taps_; }
  [[nodiscard]] std::size_t stride() const { return stride_; }
  /// The first pixel of a cell, and the shares of that and the following ones.
  [[nodiscard]] std::size_t first(std::size_t cell) const {
    return static_cast<std::size_t>(first_[cell]);
  }
  [[nodiscard]] const float* weights(std::size_t cell) const {
    return weights_.data() + cell * stride_;
  }
  /// As the kernels take it; holds while this object lives.
  [[nodiscard]] PoolAxis pool_axis() const {
    return {cells(), first_.data(), stride_, weights_.data()};
  }

 private:
  double scale_;
  std::size_t taps_;
  std::size_t stride_;
  std::vector<std::int32_t> first_;
  std::vector<float> weights_;
};

/// Pools frames of one size by `pooling`, at most 15, or somewhat less on each axis. Holds its
/// scratch: one object a thread.
class CoarseGrid {
 public:
  CoarseGrid(Extent extent, std::size_t pooling)
      : rows_(extent.height, fast_rows(cells(extent.height, pooling))),
        columns_(extent.width, fast_columns(cells(extent.width, pooling))),
        row_(extent.width + columns_.stride()) {}

  [[nodiscard]] Extent extent() const { return {rows_.cells(), columns_.cells()}; }
  /// Pixels a cell on each axis.
  [[nodiscard]] double row_scale() const { return rows_.scale(); }
  [[nodiscard]] double column_scale() const { return columns_.scale(); }

  /// out = the frame less its offset, pooled, in C order. Returns the sum of the squares of the
  /// frame less its offset, not finite where a pixel is not, and where T is a float type the lowest
  /// and the highest of these differences.
  template <Pixel T>
  PoolTally pool(const FrameRef<T>& frame, float* out) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    PoolTally tally{0.0, infinity, -infinity};
    std::array<const T*, most_taps> pixels;
    std::size_t counted = 0;  // rows whose energy is in
    for (std::size_t cell = 0; cell < rows_.cells(); ++cell) {
      const float* weights = rows_.weights(cell);
      // The outermost taps may have no share.
      std::size_t begin = 0;
      std::size_t end = rows_.taps();
      while (weights[begin] == 0.0F) ++begin;
      while (weights[end - 1] == 0.0F) --end;
      const std::size_t first = rows_.first(cell);
      for (std::size_t k = begin; k < end; ++k) pixels[k - begin] = frame.view.row(first + k);
      const std::size_t seen = std::max(counted, first + begin) - (first + begin);
      // Two cells on: far enough to hide the memory's latency, near enough to stay in the cache.
      const std::ptrdiff_t ahead =
          2 * static_cast<std::ptrdiff_t>(rows_.taps()) * frame.view.row_stride();
      pixel_kernels<T>().pool_rows({pixels.data(), weights + begin, end - begin, seen, ahead},
                                   frame.view.width(), frame.offset, row_.data(), &tally);
      counted = first + end;
      float_kernels().pool_columns(row_.data(), columns_.pool_axis(),
                                   out + cell * columns_.cells());
    }
    return tally;
  }

 private:
  static constexpr std::size_t most_taps = 16;

  /// Cells of about `pooling` pixels: up to 3 % more of them where that gives fewer.
  static std::size_t cells(std::size_t pixels, std::size_t pooling) {
    const double wanted = static_cast<double>(pixels) / (1.03 * static_cast<double>(pooling));
    return static_cast<std::size_t>(std::ceil(wanted));
  }

  CoarseAxis rows_;
  CoarseAxis columns_;
  std::vector<float> row_;  // pooled over rows; zeros beyond its end
};

}  // namespace stillscope
