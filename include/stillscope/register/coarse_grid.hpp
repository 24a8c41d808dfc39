// SPDX-License-Identifier: GPL-3.0-or-later
/// Mean-pooling of frames onto a small grid whose transforms are fast.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "stillscope/core/rows.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// The smallest number of at least `n` without prime factors above 5.
[[nodiscard]] constexpr std::size_t fast_size(std::size_t n) {
  for (n = std::max<std::size_t>(n, 1);; ++n) {
    std::size_t rest = n;
    for (const std::size_t prime : {2U, 3U, 5U}) {
      while (rest % prime == 0) rest /= prime;
    }
    if (rest == 1) return n;
  }
}

/// One axis of the grid: `coarse` cells that cover `fine` pixels exactly, so that the cells of a
/// periodic axis are periodic, too. Cells need not begin at a pixel's edge: pixels are shared by
/// area.
class CoarseAxis {
 public:
  CoarseAxis(std::size_t fine, std::size_t coarse)
      : scale_(static_cast<double>(fine) / static_cast<double>(coarse)),
        taps_(static_cast<std::size_t>(std::ceil(scale_)) + 1),
        first_(coarse),
        weights_(taps_ * coarse) {
    for (std::size_t cell = 0; cell < coarse; ++cell) {
      const double begin = scale_ * static_cast<double>(cell);
      const double end = scale_ * static_cast<double>(cell + 1);
      // Taps that would stick out at the end move inwards; their weights say which count.
      const std::size_t first =
          std::min(static_cast<std::size_t>(begin), fine - std::min(taps_, fine));
      first_[cell] = static_cast<std::int32_t>(first);
      for (std::size_t tap = 0; tap < std::min(taps_, fine); ++tap) {
        const auto pixel = static_cast<double>(first + tap);
        const double share = std::min(end, pixel + 1.0) - std::max(begin, pixel);
        weights_[tap * coarse + cell] = static_cast<float>(std::max(0.0, share) / scale_);
      }
    }
  }

  /// Pixels a cell.
  [[nodiscard]] double scale() const { return scale_; }
  [[nodiscard]] std::size_t cells() const { return first_.size(); }
  /// Pixels that a cell may touch.
  [[nodiscard]] std::size_t taps() const { return taps_; }
  /// First pixel of each cell.
  [[nodiscard]] std::span<const std::int32_t> first() const { return first_; }
  /// weights()[tap * cells() + cell]: share of pixel first()[cell] + tap; a cell's add up to 1.
  [[nodiscard]] std::span<const float> weights() const { return weights_; }

 private:
  double scale_;
  std::size_t taps_;
  std::vector<std::int32_t> first_;
  std::vector<float> weights_;
};

/// Pools frames of one size by about `pooling` on each axis.
class CoarseGrid {
 public:
  CoarseGrid(Extent extent, std::size_t pooling)
      : rows_(extent.height, fast_size((extent.height + pooling - 1) / pooling)),
        columns_(extent.width, fast_size((extent.width + pooling - 1) / pooling)),
        sums_(extent.width + columns_.taps()) {}

  [[nodiscard]] Extent extent() const { return {rows_.cells(), columns_.cells()}; }
  /// Pixels a cell on each axis.
  [[nodiscard]] double row_scale() const { return rows_.scale(); }
  [[nodiscard]] double column_scale() const { return columns_.scale(); }

  /// out = the frame less `mean`, pooled, in C order. Returns the sum of the squares of the frame
  /// less `mean`.
  template <Pixel T>
  double pool(const FrameView<const T>& frame, double mean, std::vector<T>& scratch, float* out) {
    const PixelKernels<T>& kernels = pixel_kernels<T>();
    const std::size_t width = frame.width();
    double energy = 0.0;
    std::size_t counted = 0;  // rows whose energy is in
    for (std::size_t cell = 0; cell < rows_.cells(); ++cell, out += columns_.cells()) {
      std::fill(sums_.begin(), sums_.end(), 0.0F);
      for (std::size_t tap = 0; tap < rows_.taps(); ++tap) {
        const float weight = rows_.weights()[tap * rows_.cells() + cell];
        if (weight == 0.0F) continue;
        const auto y = static_cast<std::size_t>(rows_.first()[cell]) + tap;
        const float row_energy =
            kernels.pool_row(contiguous_row(frame, y, scratch), width, mean, weight, sums_.data());
        if (y == counted) {
          energy += static_cast<double>(row_energy);
          ++counted;
        }
      }
      float_kernels().gather(sums_.data(), columns_.first().data(), columns_.weights().data(),
                             columns_.taps(), columns_.cells(), out);
    }
    return energy;
  }

 private:
  CoarseAxis rows_;
  CoarseAxis columns_;
  std::vector<float> sums_;
};

}  // namespace stillscope
