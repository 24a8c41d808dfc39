// SPDX-License-Identifier: GPL-3.0-or-later
/// Where the peak of the full-size correlation can be, from the correlation of pooled frames.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <numbers>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/rows.hpp"
#include "stillscope/fft/real_fft.hpp"
#include "stillscope/fft/spectrum.hpp"
#include "stillscope/register/coarse_grid.hpp"
#include "stillscope/register/exact_correlation.hpp"
#include "stillscope/register/peak.hpp"

namespace stillscope {

/// Nominates for the coarse-to-fine registrar: docs/algorithm.md, "Coarse to fine". Keeps the
/// pooled frames' spectra until they are released; one object a thread.
template <Pixel T>
class CoarseCandidates {
 public:
  static constexpr std::size_t pooling = 4;

  /// Where a climb begins; from a wide one, the neighbourhood is searched first.
  struct Start {
    PixelOffset at;
    bool is_wide;
  };

  /// What is kept of a frame.
  struct Pooled : Spectrum {
    double fine_energy = 0.0;  ///< Energy that pooling lost.
  };

  /// `transform_margin`: as of the full-size registrar.
  CoarseCandidates(Extent extent, double transform_margin)
      : extent_(extent),
        transform_margin_(transform_margin),
        grid_(extent, pooling),
        fft_(grid_.extent(), FftPlanning::thorough),
        plane_(grid_.extent().area()),
        product_(fft_.spectrum_size()),
        gain_(fft_.spectrum_size()) {
    // Pooling weakens a wave of k periods by sinc(k / cells) on each axis, in both frames.
    const Extent cells = grid_.extent();
    const double scale = area_scale() / static_cast<double>(cells.area());
    const auto power_gain = [](std::size_t k, std::size_t n) {
      const double x =
          std::numbers::pi * static_cast<double>(std::min(k, n - k)) / static_cast<double>(n);
      return x == 0.0 ? 1.0 : std::pow(x / std::sin(x), 2);
    };
    for (std::size_t y = 0; y < cells.height; ++y) {
      for (std::size_t x = 0; x < cells.width / 2 + 1; ++x) {
        gain_[y * (cells.width / 2 + 1) + x] =
            static_cast<float>(scale * power_gain(y, cells.height) * power_gain(x, cells.width));
      }
    }
  }

  [[nodiscard]] const Pooled& pooled(const FrameRef<T>& frame) {
    return cache_.get(frame.key, [&](Pooled& pooled) {
      if (pooled.values.empty()) {
        pooled.values = AlignedBuffer<std::complex<float>>(fft_.spectrum_size());
      }
      pooled.is_flat = is_flat(frame.view);
      pooled.energy = grid_.pool(frame.view, frame.mean, gathered_, plane_.data());
      fft_.forward(plane_.data(), pooled.values.data());
      pooled.fine_energy = std::max(0.0, pooled.energy - coarse_energy(pooled));
      if (!pooled.is_flat) check_energy(pooled.energy, extent_);
      ++spectra_;
    });
  }

  /// The places that could hold the peak; none where they are too many or a hill is too flat.
  [[nodiscard]] const std::vector<Start>* operator()(const Pooled& source,
                                                     const Pooled& destination) {
    correlate(source, destination);
    const Extent cells = grid_.extent();
    const auto highest = static_cast<double>(float_kernels().highest(plane_.data(), plane_.size()));
    const double lost = std::sqrt(source.fine_energy * destination.fine_energy);
    if (extent_.area() < small_area && lost > small_share * highest) return nullptr;
    deviation_ = lost / std::sqrt(static_cast<double>(extent_.area()));
    const double margin = std::max(rival_deviations * deviation_, rival_share * lost);
    const double rounding = transform_margin_ * std::sqrt(source.energy * destination.energy);
    const double threshold = highest - margin - rounding;
    starts_.clear();
    // A hill's top lies up to half a cell from its highest cell, and so much above it.
    const double summit = summit_above_highest(highest);
    for (std::size_t y = 0; y < cells.height; ++y) {
      const float* row = plane_.data() + y * cells.width;
      if (static_cast<double>(float_kernels().highest(row, cells.width)) < threshold - summit) {
        continue;
      }
      for (std::size_t x = 0; x < cells.width; ++x) {
        if (static_cast<double>(row[x]) < threshold - summit || !is_hill(y, x)) continue;
        if (static_cast<double>(row[x]) + summit_above(y, x) < threshold) continue;
        const double radius = doubtful_radius(y, x);
        if (starts_.size() == most_hills || radius > widest_search) return nullptr;
        starts_.push_back({start_at(y, x), radius > widest_climb});
      }
    }
    nominate_fixed_patterns(highest - lost - rounding);
    return &starts_;
  }

  void release(std::size_t key) { cache_.release(key); }
  void clear() { cache_.clear(); }
  /// Frames pooled and transformed so far.
  [[nodiscard]] std::size_t spectra() const { return spectra_; }

 private:
  // The part of the correlation that the grid cannot carry is at most the root of the product of
  // the energies lost; and where what was lost is noise, a sum of so many unrelated products that
  // 8 standard deviations, that root / sqrt(pixels), bound it. A rival is out of the race where the
  // small correlation has it further below the peak than the larger of 8 deviations and this share
  // of the root. Small frames, whose full-size transform costs little, go there at once where they
  // lost more than a small share of the peak.
  static constexpr double rival_deviations = 8.0;
  static constexpr double rival_share = 0.05;
  static constexpr std::size_t small_area = 160 * 160;
  static constexpr double small_share = 0.02;
  // Noise can put the highest value anywhere on a hill's top that is lower by so many deviations.
  // Up to the first radius [px] a climb finds it; up to the second the neighbourhood is searched;
  // beyond, the full-size registrar is asked.
  static constexpr double hill_deviations = 5.0;
  static constexpr double widest_climb = 2.0;
  static constexpr double widest_search = 4.5;
  // Hills that are looked at exactly before the full-size registrar is cheaper.
  static constexpr std::size_t most_hills = 6;

  /// The energy of the waves that the grid can carry (Parseval; a half spectrum counts twice but
  /// for its first column and, where the width is even, its last).
  [[nodiscard]] double coarse_energy(const Pooled& pooled) const {
    const Extent cells = grid_.extent();
    const std::size_t columns = cells.width / 2 + 1;
    double energy = 0.0;
    for (std::size_t y = 0; y < cells.height; ++y) {
      for (std::size_t x = 0; x < columns; ++x) {
        const bool is_single = x == 0 || 2 * x == cells.width;
        energy += (is_single ? 1.0 : 2.0) *
                  static_cast<double>(gain_[y * columns + x] *
                                      std::norm(pooled.values.data()[y * columns + x]));
      }
    }
    return energy;
  }

  /// Pixels a cell: a product of cells stands for so many products of pixels.
  [[nodiscard]] double area_scale() const { return grid_.row_scale() * grid_.column_scale(); }

  /// plane_ = the small correlation, in units of the full-size one.
  void correlate(const Pooled& source, const Pooled& destination) {
    cross_power(source.values.data(), destination.values.data(), product_.size(), product_.data());
    for (std::size_t i = 0; i < product_.size(); ++i) product_.data()[i] *= gain_[i];
    fft_.inverse(product_.data(), plane_.data());
  }

  /// What does not move (fixed-pattern noise, stripes) correlates at no displacement along one axis
  /// or both, in waves too fine for the grid: the best places there, where they could be the peak.
  void nominate_fixed_patterns(double threshold) {
    const Extent cells = grid_.extent();
    std::size_t best_x = 0;
    std::size_t best_y = 0;
    for (std::size_t x = 0; x < cells.width; ++x) {
      if (cell(0, x, 1, 1) > cell(0, best_x, 1, 1)) best_x = x;
    }
    for (std::size_t y = 0; y < cells.height; ++y) {
      if (cell(y, 0, 1, 1) > cell(best_y, 0, 1, 1)) best_y = y;
    }
    const auto add = [&](std::size_t y, std::size_t x, bool keep_y, bool keep_x) {
      if (static_cast<double>(cell(y, x, 1, 1)) + summit_above(y, x) < threshold) return;
      PixelOffset at = start_at(y, x);
      if (keep_y) at.height = 0;
      if (keep_x) at.width = 0;
      const auto is_near = [&](const Start& start) {
        return std::abs(start.at.height - at.height) <= 1 &&
               std::abs(start.at.width - at.width) <= 1;
      };
      if (std::none_of(starts_.begin(), starts_.end(), is_near)) starts_.push_back({at, false});
    };
    add(0, 0, true, true);
    add(0, best_x, true, false);
    add(best_y, 0, false, true);
  }

  /// How far from a hill's top [px] noise could put the highest value: where the hill has fallen by
  /// less than `hill_deviations`.
  [[nodiscard]] double doubtful_radius(std::size_t y, std::size_t x) const {
    const double row = grid_.row_scale();
    const double column = grid_.column_scale();
    const auto curvature = [&](std::size_t i, std::size_t j, double distance) {
      const float bend = 2.0F * cell(y, x, 1, 1) - cell(y, x, i, j) - cell(y, x, 2 - i, 2 - j);
      return static_cast<double>(bend) / (distance * distance);
    };
    const double least = std::min({curvature(0, 1, row), curvature(1, 0, column),
                                   curvature(0, 0, std::hypot(row, column)),
                                   curvature(0, 2, std::hypot(row, column))});
    return std::sqrt(2.0 * hill_deviations * deviation_ / std::max(least, 1e-30));
  }

  /// How much a parabola's vertex can lie above its middle sample, on both axes together.
  [[nodiscard]] double summit_above(std::size_t y, std::size_t x) const {
    const auto drop = [&](std::size_t i, std::size_t j) {
      return static_cast<double>(cell(y, x, 1, 1) - cell(y, x, i, j));
    };
    return (drop(0, 1) + drop(2, 1) + drop(1, 0) + drop(1, 2)) / 8.0;
  }

  [[nodiscard]] double summit_above_highest(double highest) const {
    const auto values = plane_.span();
    const auto index = static_cast<std::size_t>(
        std::find(values.begin(), values.end(), static_cast<float>(highest)) - values.begin());
    return 1.5 * summit_above(index / grid_.extent().width, index % grid_.extent().width);
  }

  [[nodiscard]] float cell(std::size_t y, std::size_t x, std::size_t i, std::size_t j) const {
    const Extent cells = grid_.extent();
    return plane_.data()[((y + cells.height + i - 1) % cells.height) * cells.width +
                         (x + cells.width + j - 1) % cells.width];
  }

  [[nodiscard]] bool is_hill(std::size_t y, std::size_t x) const {
    const float centre = cell(y, x, 1, 1);
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 3; ++j) {
        if (cell(y, x, i, j) > centre) return false;
      }
    }
    return true;
  }

  /// The whole pixel nearest to a hill's top.
  [[nodiscard]] PixelOffset start_at(std::size_t y, std::size_t x) const {
    float window[3][3];
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 3; ++j) window[i][j] = cell(y, x, i, j);
    }
    const Shift top = displacement_at_peak(window, y, x, grid_.extent());
    return {std::lround(top.height * grid_.row_scale()),
            std::lround(top.width * grid_.column_scale())};
  }

  Extent extent_;
  double transform_margin_;
  CoarseGrid grid_;
  RealFft<float> fft_;
  SpectrumCache<Pooled> cache_;
  AlignedBuffer<float> plane_;                  // a pooled frame, then a small correlation
  AlignedBuffer<std::complex<float>> product_;  // consumed by the inverse transform
  std::vector<float> gain_;                     // undoes pooling, and scales to the full size
  std::vector<Start> starts_;
  double deviation_ = 0.0;  // of the part of the correlation that the grid cannot carry
  std::size_t spectra_ = 0;
  std::vector<T> gathered_;
};

}  // namespace stillscope
