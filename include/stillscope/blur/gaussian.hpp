// SPDX-License-Identifier: GPL-3.0-or-later
/// Gaussian blur of planes, narrow and wide.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/core/types.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// Blur by the sampled Gaussian, to four standard deviations. Edge pixels are repeated beyond the
/// edge.
class GaussianBlur {
 public:
  /// `sigma` [px], more than 0.
  GaussianBlur(Extent extent, double sigma)
      : extent_(extent), radius_(static_cast<std::size_t>(std::ceil(4.0 * sigma))) {
    const auto at = [&](std::size_t i) {
      const double x = static_cast<double>(i) - static_cast<double>(radius_);
      return std::exp(-0.5 * x * x / (sigma * sigma));
    };
    weights_.resize(2 * radius_ + 1);
    double sum = 0.0;
    for (std::size_t i = 0; i < weights_.size(); ++i) sum += at(i);
    for (std::size_t i = 0; i < weights_.size(); ++i) weights_[i] = static_cast<float>(at(i) / sum);
  }

  /// out = the blur of `plane` (height, width), C order; they do not overlap. The executor may
  /// share the rows out.
  void operator()(const float* plane, float* out,
                  const Executor& executor = SerialExecutor()) const {
    for_each_run(extent_.height, rows_at_once, executor, [&](std::size_t begin, std::size_t end) {
      std::vector<const float*> rows(weights_.size());
      AlignedBuffer<float> padded(extent_.width + 2 * radius_);
      for (std::size_t y = begin; y < end; ++y) blur_row(plane, y, rows, padded.data(), out);
    });
  }

 private:
  static constexpr std::size_t rows_at_once = 32;

  void blur_row(const float* plane, std::size_t y, std::vector<const float*>& rows, float* padded,
                float* out) const {
    const std::size_t width = extent_.width;
    const auto last = static_cast<std::ptrdiff_t>(extent_.height) - 1;
    const std::ptrdiff_t first =
        static_cast<std::ptrdiff_t>(y) - static_cast<std::ptrdiff_t>(radius_);
    for (std::size_t k = 0; k < rows.size(); ++k) {
      const auto from = std::clamp<std::ptrdiff_t>(first + static_cast<std::ptrdiff_t>(k), 0, last);
      rows[k] = plane + static_cast<std::size_t>(from) * width;
    }
    float* row = padded + radius_;
    sum(rows, width, row);
    std::fill_n(padded, radius_, row[0]);
    std::fill_n(row + width, radius_, row[width - 1]);
    for (std::size_t k = 0; k < rows.size(); ++k) rows[k] = padded + k;
    sum(rows, width, out + y * width);
  }

  void sum(const std::vector<const float*>& rows, std::size_t n, float* out) const {
    float_kernels().weighted_sum({rows.data(), weights_.data(), rows.size(), 0.0F, 1.0F}, n, out);
  }

  Extent extent_;
  std::size_t radius_;
  std::vector<float> weights_;
};

/// What is smooth in planes: a wide Gaussian blur from means over cells of pixels, which are
/// interpolated linearly between their centres. One object a thread.
class SmoothBackground {
 public:
  /// `sigma` [px], more than 0.
  SmoothBackground(Extent extent, double sigma)
      : extent_(extent),
        // Two cells a standard deviation: the Gaussian leaves nothing of what they alias.
        cell_(std::max<std::size_t>(1, static_cast<std::size_t>(sigma / 2.0))),
        rows_(cells_of(extent.height, cell_)),
        columns_(cells_of(extent.width, cell_)),
        blur_({rows_.cells, columns_.cells}, sigma / static_cast<double>(cell_)),
        pooled_(rows_.cells * columns_.cells),
        blurred_(rows_.cells * columns_.cells),
        sums_(extent.width),
        row_(columns_.cells + 1) {}

  /// Takes it away from `plane` (height, width), C order.
  void remove_from(float* plane) {
    pool(plane);
    blur_(pooled_.data(), blurred_.data());
    const std::size_t cells = columns_.cells;
    for (std::size_t y = 0; y < extent_.height; ++y) {
      const auto [cell, weight] = rows_.between[y];
      const float* upper = blurred_.data() + cell * cells;
      const float* lower = blurred_.data() + std::min(cell + 1, rows_.cells - 1) * cells;
      for (std::size_t i = 0; i < cells; ++i) row_[i] = upper[i] + weight * (lower[i] - upper[i]);
      row_[cells] = row_[cells - 1];
      float* out = plane + y * extent_.width;
      for (std::size_t x = 0; x < extent_.width; ++x) {
        const auto [left, share] = columns_.between[x];
        out[x] -= row_[left] + share * (row_[left + 1] - row_[left]);
      }
    }
  }

 private:
  struct Between {
    std::size_t cell;  // the one whose centre lies before a pixel
    float weight;      // of the next one
  };
  struct Axis {
    std::size_t cells;
    std::vector<Between> between;
  };

  static Axis cells_of(std::size_t n, std::size_t cell) {
    Axis axis{(n + cell - 1) / cell, {}};
    const auto centre = [&](std::size_t i) {
      const std::size_t end = std::min((i + 1) * cell, n);
      return 0.5 * static_cast<double>(i * cell + end - 1);
    };
    for (std::size_t x = 0; x < n; ++x) {
      std::size_t i = x / cell;
      const auto at = static_cast<double>(x);
      if (i > 0 && at < centre(i)) --i;
      const double gap = i + 1 < axis.cells ? centre(i + 1) - centre(i) : 1.0;
      axis.between.push_back({i, static_cast<float>(std::clamp((at - centre(i)) / gap, 0.0, 1.0))});
    }
    return axis;
  }

  void pool(const float* plane) {
    const std::size_t width = extent_.width;
    for (std::size_t i = 0; i < rows_.cells; ++i) {
      const std::size_t begin = i * cell_;
      const std::size_t end = std::min(begin + cell_, extent_.height);
      std::copy_n(plane + begin * width, width, sums_.begin());
      for (std::size_t y = begin + 1; y < end; ++y) {
        for (std::size_t x = 0; x < width; ++x) sums_[x] += plane[y * width + x];
      }
      for (std::size_t j = 0; j < columns_.cells; ++j) {
        const std::size_t left = j * cell_;
        const std::size_t right = std::min(left + cell_, width);
        float sum = 0.0F;
        for (std::size_t x = left; x < right; ++x) sum += sums_[x];
        pooled_.data()[i * columns_.cells + j] =
            sum / static_cast<float>((end - begin) * (right - left));
      }
    }
  }

  Extent extent_;
  std::size_t cell_;
  Axis rows_;
  Axis columns_;
  GaussianBlur blur_;
  AlignedBuffer<float> pooled_;
  AlignedBuffer<float> blurred_;
  std::vector<float> sums_;
  std::vector<float> row_;
};

}  // namespace stillscope
