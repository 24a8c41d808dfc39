// SPDX-License-Identifier: GPL-3.0-or-later
/// The correlation of pooled frames, as a landscape of hills.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstddef>
#include <numbers>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/types.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/fft/real_fft.hpp"
#include "stillscope/fft/spectrum.hpp"
#include "stillscope/register/coarse_grid.hpp"
#include "stillscope/register/peak.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// What undoes pooling in a product of two pooled frames' spectra, and brings it to the scale of
/// the full-size correlation, coefficient by coefficient: pooling weakens a wave of k periods by
/// sinc(k / cells) on each axis, in both frames.
[[nodiscard]] inline std::vector<float> pooling_gain(const CoarseGrid& grid) {
  const Extent cells = grid.extent();
  const double scale = grid.row_scale() * grid.column_scale() / static_cast<double>(cells.area());
  const auto power_gains = [](std::size_t n, std::size_t count) {
    std::vector<double> gains{1.0};
    for (std::size_t k = 1; k < count; ++k) {
      const double x =
          std::numbers::pi * static_cast<double>(std::min(k, n - k)) / static_cast<double>(n);
      gains.push_back(std::pow(x / std::sin(x), 2));
    }
    return gains;
  };
  const std::vector<double> column_gains = power_gains(cells.width, cells.width / 2 + 1);
  std::vector<float> gain;
  gain.reserve(cells.height * column_gains.size());
  for (const double row_gain : power_gains(cells.height, cells.height)) {
    for (const double column_gain : column_gains) {
      gain.push_back(static_cast<float>(scale * row_gain * column_gain));
    }
  }
  return gain;
}

/// A cell of a small correlation.
struct CorrelationCell {
  std::size_t y;
  std::size_t x;

  friend bool operator==(const CorrelationCell&, const CorrelationCell&) = default;
};

/// Eq. (1) without the waves that a grid cannot carry, sampled at the grid's cells. Keeps its
/// memory from pair to pair; one object a thread.
class SmallCorrelation {
 public:
  /// `extent`: of the frames that `grid` pools.
  SmallCorrelation(Extent extent, const CoarseGrid& grid, const RealFft<float>& fft)
      : row_scale_(grid.row_scale()),
        column_scale_(grid.column_scale()),
        fft_(fft),
        gain_(pooling_gain(grid)),
        plane_(fft.extent().area()),
        product_(fft.spectrum_size()),
        consumed_(fft.spectrum_size()),
        row_highest_(fft.extent().height),
        row_phases_(phases(extent.height)),
        column_phases_(phases(extent.width)),
        rows_(fft.extent().height),
        weights_(2 * fft.extent().height),
        sums_(4 * (fft.extent().width / 2 + 1)) {}

  /// Correlates two frames, from their spectra.
  void operator()(const Spectrum& source, const Spectrum& destination) {
    cross_power(source.values.data(), destination.values.data(), product_.size(), product_.data(),
                gain_.data());
    std::copy_n(product_.data(), product_.size(), consumed_.data());
    fft_.inverse(consumed_.data(), plane_.data());
    for (std::size_t y = 0; y < cells().height; ++y) {
      row_highest_[y] = float_kernels().highest(row(y), cells().width);
    }
  }

  [[nodiscard]] Extent cells() const { return fft_.extent(); }
  [[nodiscard]] const float* row(std::size_t y) const { return plane_.data() + y * cells().width; }
  /// The highest value of a row.
  [[nodiscard]] double highest_in(std::size_t y) const {
    return static_cast<double>(row_highest_[y]);
  }
  [[nodiscard]] double operator[](CorrelationCell at) const {
    return static_cast<double>(row(at.y)[at.x]);
  }

  /// The first highest cell, in C order.
  [[nodiscard]] CorrelationCell highest() const {
    const auto highest = std::max_element(row_highest_.begin(), row_highest_.end());
    const auto y = static_cast<std::size_t>(highest - row_highest_.begin());
    const float* first = std::max_element(row(y), row(y) + cells().width);
    return {y, static_cast<std::size_t>(first - row(y))};
  }

  /// True where no neighbour is higher.
  [[nodiscard]] bool is_hill(CorrelationCell at) const {
    const Window window = window_round(at);
    for (const auto& values : window) {
      for (const float value : values) {
        if (value > window[1][1]) return false;
      }
    }
    return true;
  }

  /// How much a parabola's vertex can lie above its middle sample, on both axes together.
  [[nodiscard]] double summit_above(CorrelationCell at) const {
    const Window v = window_round(at);
    return static_cast<double>(4.0F * v[1][1] - (v[0][1] + v[2][1] + v[1][0] + v[1][2])) / 8.0;
  }

  /// The least bend of a hill over its directions: how fast it falls, per px^2.
  [[nodiscard]] double least_curvature(CorrelationCell at) const {
    const Window window = window_round(at);
    const auto curvature = [&](std::size_t i, std::size_t j, double distance) {
      const float bend = 2.0F * window[1][1] - window[i][j] - window[2 - i][2 - j];
      return static_cast<double>(bend) / (distance * distance);
    };
    const double diagonal = std::hypot(row_scale_, column_scale_);
    return std::min({curvature(0, 1, row_scale_), curvature(1, 0, column_scale_),
                     curvature(0, 0, diagonal), curvature(0, 2, diagonal)});
  }

  /// How much the cell before, on one axis, differs.
  [[nodiscard]] double step_along_rows(CorrelationCell at) const {
    const Window window = window_round(at);
    return std::fabs(static_cast<double>(window[1][1] - window[1][0]));
  }
  [[nodiscard]] double step_along_columns(CorrelationCell at) const {
    const Window window = window_round(at);
    return std::fabs(static_cast<double>(window[1][1] - window[0][1]));
  }

  /// The whole pixel nearest to the top of the parabolas through a hill and its neighbours.
  [[nodiscard]] PixelOffset top(CorrelationCell hill) const {
    const Shift top = displacement_at_peak(window_round(hill), hill.y, hill.x, cells());
    return {std::lround(top.height * row_scale_), std::lround(top.width * column_scale_)};
  }

  /// The values at the pixels up to `reach` from `centre` on both axes, in C order: between cells,
  /// too, since the correlation has no waves that the cells do not tell. Holds until the next call.
  [[nodiscard]] const std::vector<float>& pixels_round(PixelOffset centre, std::ptrdiff_t reach) {
    pixels_.clear();
    for (std::ptrdiff_t dy = -reach; dy <= reach; ++dy) {
      sum_rows(centre.height + dy);
      for (std::ptrdiff_t dx = -reach; dx <= reach; ++dx) {
        pixels_.push_back(sum_columns(centre.width + dx));
      }
    }
    return pixels_;
  }

 private:
  using Window = std::array<std::array<float, 3>, 3>;

  [[nodiscard]] std::size_t columns() const { return cells().width / 2 + 1; }

  /// exp(2 pi i k / n).
  static std::vector<std::complex<float>> phases(std::size_t n) {
    std::vector<std::complex<float>> result;
    for (std::size_t k = 0; k < n; ++k) {
      const double angle = 2.0 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
      result.emplace_back(static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle)));
    }
    return result;
  }

  /// The first half of an inverse transform, at a row of pixels.
  void sum_rows(std::ptrdiff_t y) {
    const std::size_t n = cells().height;
    const std::size_t pixel = wrap_index(y, row_phases_.size());
    for (std::size_t k = 0; k < n; ++k) {
      // Waves beyond half the cells are those of negative frequency.
      const std::complex<float> phase =
          row_phases_[std::min(k, n - k) * pixel % row_phases_.size()];
      weights_[k] = phase.real();
      weights_[n + k] = 2 * k > n ? -phase.imag() : phase.imag();
      rows_[k] = reinterpret_cast<const float*>(product_.data() + k * columns());
    }
    const std::size_t length = 2 * columns();
    float* cosine = sums_.data();
    float* sine = sums_.data() + length;
    float_kernels().weighted_sum({rows_.data(), weights_.data(), n, 0.0F, 1.0F}, length, cosine);
    float_kernels().weighted_sum({rows_.data(), weights_.data() + n, n, 0.0F, 1.0F}, length, sine);
    for (std::size_t k = 0; k < columns(); ++k) {
      cosine[2 * k] -= sine[2 * k + 1];
      cosine[2 * k + 1] += sine[2 * k];
    }
  }

  /// The other half, at a pixel of that row.
  [[nodiscard]] float sum_columns(std::ptrdiff_t x) const {
    const std::size_t pixel = wrap_index(x, column_phases_.size());
    float sum = 0.0F;
    std::size_t turn = 0;
    for (std::size_t k = 0; k < columns(); ++k) {
      const bool is_single = k == 0 || 2 * k == cells().width;
      const std::complex<float> phase = column_phases_[turn];
      sum += (is_single ? 1.0F : 2.0F) *
             (sums_[2 * k] * phase.real() - sums_[2 * k + 1] * phase.imag());
      turn += pixel;
      if (turn >= column_phases_.size()) turn -= column_phases_.size();
    }
    return sum;
  }

  /// A cell and its neighbours; the plane is circular.
  [[nodiscard]] Window window_round(CorrelationCell at) const {
    const auto around = [](std::size_t i, std::size_t n) {
      return std::array{i == 0 ? n - 1 : i - 1, i, i + 1 == n ? 0 : i + 1};
    };
    const auto ys = around(at.y, cells().height);
    const auto xs = around(at.x, cells().width);
    Window window;
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 3; ++j) window[i][j] = row(ys[i])[xs[j]];
    }
    return window;
  }

  double row_scale_;
  double column_scale_;
  RealFft<float> fft_;
  std::vector<float> gain_;
  AlignedBuffer<float> plane_;
  AlignedBuffer<std::complex<float>> product_;
  AlignedBuffer<std::complex<float>> consumed_;  // by the inverse transform
  std::vector<float> row_highest_;
  // Of single pixels.
  std::vector<std::complex<float>> row_phases_;
  std::vector<std::complex<float>> column_phases_;
  std::vector<const float*> rows_;
  std::vector<float> weights_;
  std::vector<float> sums_;
  std::vector<float> pixels_;
};

}  // namespace stillscope
