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
#include "stillscope/register/frame_ref.hpp"
#include "stillscope/register/peak.hpp"

namespace stillscope {

/// Places that could hold the peak of a full-size correlation.
struct Nominees {
  /// A hill of the small correlation.
  struct Hill {
    PixelOffset top;  ///< The whole pixel nearest to its top.
    double radius;    ///< How far from there [px] noise could put the highest value.
  };
  /// What does not move along an axis, or both, correlates there, in waves too fine for the grid.
  struct Still {
    PixelOffset at;
    PixelOffset across;  ///< A step along the axis without motion; none: neither has any.
    double slack;  ///< How much higher than there the correlation can get along the other axis.
  };

  std::vector<Hill> hills;
  std::vector<Still> stills;
};

/// Nominates on one grid: docs/algorithm.md, "Coarse to fine". Keeps the pooled frames' spectra
/// until they are released; one object a thread.
template <Pixel T>
class CoarseCandidates {
 public:
  /// What is kept of a frame.
  struct Pooled : Spectrum {
    double mean = 0.0;         ///< Of the pixels, less the frame's offset.
    double fine_energy = 0.0;  ///< Energy that pooling lost.
    /// Of that, what may belong to the scene: no more than the finest waves on the grid have.
    double scene_energy = 0.0;
    PixelRange range;          ///< Of the pixels; float types only.
  };

  /// `pooling`: pixels a cell, about. `is_finest`: no finer grid can be asked. `transform_margin`:
  /// as of the full-size registrar.
  CoarseCandidates(Extent extent, std::size_t pooling, bool is_finest, double transform_margin)
      : extent_(extent),
        is_finest_(is_finest),
        transform_margin_(transform_margin),
        rival_share_(rival_share_of_pixel * static_cast<double>(pooling)),
        grid_(extent, pooling),
        fft_(grid_.extent()),
        plane_(grid_.extent().area()),
        product_(fft_.spectrum_size()),
        gain_(fft_.spectrum_size()),
        power_weights_(fft_.spectrum_size()),
        outer_weights_(fft_.spectrum_size()),
        row_highest_(grid_.extent().height) {
    // Pooling weakens a wave of k periods by sinc(k / cells) on each axis, in both frames.
    const Extent cells = grid_.extent();
    const double scale = area_scale() / static_cast<double>(cells.area());
    const auto power_gain = [](std::size_t k, std::size_t n) {
      const double x =
          std::numbers::pi * static_cast<double>(std::min(k, n - k)) / static_cast<double>(n);
      return x == 0.0 ? 1.0 : std::pow(x / std::sin(x), 2);
    };
    std::vector<double> column_gains;
    for (std::size_t x = 0; x < columns(); ++x) column_gains.push_back(power_gain(x, cells.width));
    for (std::size_t y = 0; y < cells.height; ++y) {
      const double row_gain = scale * power_gain(y, cells.height);
      for (std::size_t x = 0; x < columns(); ++x) {
        // Parseval: a half spectrum counts twice but for its first column and, where the width is
        // even, its last. The constant term is not a wave.
        const bool is_single = x == 0 || 2 * x == cells.width;
        const std::size_t i = y * columns() + x;
        gain_[i] = static_cast<float>(row_gain * column_gains[x]);
        power_weights_[i] = (is_single ? 1.0F : 2.0F) * gain_[i];
        const bool is_outer = 4 * std::min(y, cells.height - y) >= cells.height || 4 * x >= cells.width;
        outer_weights_[i] = is_outer ? power_weights_[i] : 0.0F;
      }
    }
    power_weights_[0] = 0.0F;
  }

  /// The pooled frame, made at the first request.
  [[nodiscard]] const Pooled& pooled(const FrameRef<T>& frame) {
    return cache_.get(frame.key, [&](Pooled& pooled) {
      if (pooled.values.empty()) {
        pooled.values = AlignedBuffer<std::complex<float>>(fft_.spectrum_size());
      }
      pooled.is_flat = is_flat(frame.view);
      const PoolTally tally = grid_.pool(frame, plane_.data());
      pooled.range = {frame.offset + static_cast<double>(tally.lowest),
                      frame.offset + static_cast<double>(tally.highest)};
      fft_.forward(plane_.data(), pooled.values.data());
      const double sum = area_scale() * static_cast<double>(pooled.values.data()[0].real());
      pooled.energy = std::isfinite(tally.energy) ? energy_about_mean(tally.energy, sum, extent_)
                                                  : tally.energy;
      pooled.mean = sum / static_cast<double>(extent_.area());
      const double outer = power(pooled, outer_weights_);
      const double fine = std::max(0.0, pooled.energy - power(pooled, power_weights_));
      // Sharp edges lend the grid's finest waves what belongs to finer ones.
      pooled.fine_energy = std::max(fine, alias_share * outer);
      pooled.scene_energy = std::min(pooled.fine_energy, outer);
      ++spectra_;
    });
  }

  /// The places that could hold the peak; none where they are too many, where a hill is too flat,
  /// or where pooling lost too much.
  [[nodiscard]] const Nominees* operator()(const Pooled& source, const Pooled& destination) {
    cross_power(source.values.data(), destination.values.data(), product_.size(), product_.data(),
                gain_.data());
    fft_.inverse(product_.data(), plane_.data());
    const double lost = std::sqrt(source.fine_energy * destination.fine_energy);
    const double scene = std::sqrt(source.scene_energy * destination.scene_energy);
    const Peak peak = highest_cell();
    const double highest = static_cast<double>(peak.value);
    if (is_finest_ ? extent_.area() < small_area && lost > small_share * highest
                   : lost > trusted_share * highest) {
      return nullptr;
    }
    const double deviation = lost / std::sqrt(static_cast<double>(extent_.area()));
    rounding_ = transform_margin_ * std::sqrt(source.energy * destination.energy);
    rival_margin_ = std::max(rival_deviations * deviation, rival_share_ * scene);
    hill_margin_ = std::max(hill_deviations * deviation, hill_share * scene);
    highest_ = highest;
    nominees_.stills.clear();
    // A hill's top lies up to half a cell from its highest cell, and so much above it.
    summit_ = 1.5 * summit_above(peak.y, peak.x);
    // Frames that are alike correlate with nearly all the energy that the grid carries.
    const double carried = std::sqrt(source.energy * destination.energy) - lost;
    const double missing = carried - highest - summit_ / 1.5 - rounding_;
    if (missing > std::max((is_finest_ ? finest_unlike : unlike) * lost, unlike_share * highest)) {
      return nullptr;
    }
    if (!nominate_hills(highest - rival_margin_ - rounding_)) return nullptr;
    nominate_stills(highest - lost);
    return &nominees_;
  }

  /// The hills of the last correlation that could still be higher than `value`, the highest exact
  /// value so far, of frames less their means; none as above, or where that is so much lower than
  /// the small correlation that this was wrong.
  [[nodiscard]] const Nominees* above(double value) {
    const double margin = rival_margin_ + rounding_;
    nominees_.stills.clear();
    return value >= highest_ - margin && nominate_hills(value - margin) ? &nominees_ : nullptr;
  }

  void release(std::size_t key) { cache_.release(key); }
  void clear() { cache_.clear(); }
  /// Frames pooled and transformed so far.
  [[nodiscard]] std::size_t spectra() const { return spectra_; }

 private:
  // The part of the correlation that the grid cannot carry is at most the root of the product of
  // the energies lost; and where what was lost is noise, a sum of so many unrelated products that
  // 8 standard deviations, that root / sqrt(pixels), bound it. A rival is out of the race where the
  // small correlation has it further below the peak than the larger of 8 deviations and a share of
  // the root, which grows with the length of the waves that were lost. Small frames, whose
  // full-size transform costs little, go there at once where they lost more than a small share of
  // the peak.
  static constexpr double rival_deviations = 8.0;
  static constexpr double rival_share_of_pixel = 0.0125;
  static constexpr std::size_t small_area = 160 * 160;
  static constexpr double small_share = 0.02;
  static constexpr double trusted_share = 1.0;
  // Along an axis that does move, the best place is known to a pixel or two of a cell.
  static constexpr double slope_share = 0.125;
  // Noise can put the highest value anywhere on a hill's top that is lower by so many deviations.
  // Up to the first radius [px] a climb finds it; up to the second the neighbourhood is searched;
  // beyond, the full-size registrar is asked.
  static constexpr double hill_deviations = 5.0;
  static constexpr double hill_share = 0.05;
  static constexpr double alias_share = 0.25;
  // How much of the energy that a grid carries may be missing from the peak, in shares of what it
  // does not carry and of the peak: from there on the frames are not the same scene.
  static constexpr double unlike_share = 0.04;
  static constexpr double unlike = 3.0;
  static constexpr double finest_unlike = 10.0;

 public:
  static constexpr double widest_climb = 2.0;
  static constexpr double widest_search = 4.5;

 private:
  // Hills that are looked at exactly before the full-size registrar is cheaper.
  static constexpr std::size_t most_hills = 6;

  struct Peak {
    float value;
    std::size_t y;
    std::size_t x;
  };

  [[nodiscard]] std::size_t columns() const { return grid_.extent().width / 2 + 1; }

  /// The energy of the waves that the grid can carry, or of some of them.
  [[nodiscard]] static double power(const Pooled& pooled, const std::vector<float>& weights) {
    return static_cast<double>(float_kernels().weighted_power(
        reinterpret_cast<const float*>(pooled.values.data()), weights.data(), weights.size()));
  }

  /// Pixels a cell: a product of cells stands for so many products of pixels.
  [[nodiscard]] double area_scale() const { return grid_.row_scale() * grid_.column_scale(); }

  [[nodiscard]] const float* plane_row(std::size_t y) const {
    return plane_.data() + y * grid_.extent().width;
  }

  /// The first highest cell; fills `row_highest_`.
  Peak highest_cell() {
    const Extent cells = grid_.extent();
    for (std::size_t y = 0; y < cells.height; ++y) {
      row_highest_[y] = float_kernels().highest(plane_row(y), cells.width);
    }
    const auto row = std::max_element(row_highest_.begin(), row_highest_.end());
    const auto y = static_cast<std::size_t>(row - row_highest_.begin());
    const float* first = std::max_element(plane_row(y), plane_row(y) + cells.width);
    return {*row, y, static_cast<std::size_t>(first - plane_row(y))};
  }

  /// False where there are too many hills, or too flat a one.
  bool nominate_hills(double threshold) {
    nominees_.hills.clear();
    const Extent cells = grid_.extent();
    const double widest = is_finest_ ? widest_search : widest_climb;
    for (std::size_t y = 0; y < cells.height; ++y) {
      if (static_cast<double>(row_highest_[y]) < threshold - summit_) continue;
      const float* row = plane_row(y);
      for (std::size_t x = 0; x < cells.width; ++x) {
        if (static_cast<double>(row[x]) < threshold - summit_ || !is_hill(y, x)) continue;
        if (static_cast<double>(row[x]) + summit_above(y, x) < threshold) continue;
        const double radius = doubtful_radius(y, x);
        if (nominees_.hills.size() == most_hills || radius > widest) return false;
        nominees_.hills.push_back({top_of(y, x), radius});
      }
    }
    return true;
  }

  /// What does not move (fixed-pattern noise, stripes) correlates at no displacement along one axis
  /// or both, in waves too fine for the grid: the best places there, where they could be the peak.
  void nominate_stills(double threshold) {
    const Extent cells = grid_.extent();
    const auto best_x =
        static_cast<std::size_t>(std::max_element(plane_row(0), plane_row(1)) - plane_row(0));
    std::size_t best_y = 0;
    for (std::size_t y = 0; y < cells.height; ++y) {
      if (*plane_row(y) > *plane_row(best_y)) best_y = y;
    }
    const auto add = [&](std::size_t y, std::size_t x, PixelOffset across) {
      if (static_cast<double>(plane_row(y)[x]) + summit_above(y, x) < threshold - rounding_) return;
      PixelOffset at = top_of(y, x);
      double slack = rounding_;
      if (across != PixelOffset{}) slack += rival_margin_;
      if (across.height == 1) {
        at.height = 0;
        slack += slope_share * drop(y, x, 1, 0);
      } else if (across.width == 1) {
        at.width = 0;
        slack += slope_share * drop(y, x, 0, 1);
      } else {
        at = {};
      }
      nominees_.stills.push_back({at, across, slack});
    };
    add(0, 0, {});
    add(0, best_x, {1, 0});
    add(best_y, 0, {0, 1});
  }

  /// How far from a hill's top [px] what the grid does not carry could put the highest value: where
  /// the hill has fallen by less than that.
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
    return std::sqrt(2.0 * hill_margin_ / std::max(least, 1e-30));
  }

  /// How much lower the neighbour (i - 1, j - 1) of a cell is.
  [[nodiscard]] double drop(std::size_t y, std::size_t x, std::size_t i, std::size_t j) const {
    return std::fabs(static_cast<double>(cell(y, x, 1, 1) - cell(y, x, i, j)));
  }

  /// How much a parabola's vertex can lie above its middle sample, on both axes together.
  [[nodiscard]] double summit_above(std::size_t y, std::size_t x) const {
    const float centre = cell(y, x, 1, 1);
    const float around = cell(y, x, 0, 1) + cell(y, x, 2, 1) + cell(y, x, 1, 0) + cell(y, x, 1, 2);
    return static_cast<double>(4.0F * centre - around) / 8.0;
  }

  /// The neighbour (i - 1, j - 1) of a cell; the plane is circular.
  [[nodiscard]] float cell(std::size_t y, std::size_t x, std::size_t i, std::size_t j) const {
    const Extent cells = grid_.extent();
    const auto step = [](std::size_t at, std::size_t by, std::size_t n) {
      const std::size_t next = at + by;  // one too many
      return next == 0 ? n - 1 : next > n ? 0 : next - 1;
    };
    return plane_row(step(y, i, cells.height))[step(x, j, cells.width)];
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
  [[nodiscard]] PixelOffset top_of(std::size_t y, std::size_t x) const {
    float window[3][3];
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 3; ++j) window[i][j] = cell(y, x, i, j);
    }
    const Shift top = displacement_at_peak(window, y, x, grid_.extent());
    return {std::lround(top.height * grid_.row_scale()),
            std::lround(top.width * grid_.column_scale())};
  }

  Extent extent_;
  bool is_finest_;
  double transform_margin_;
  double rival_share_;
  CoarseGrid grid_;
  RealFft<float> fft_;
  SpectrumCache<Pooled> cache_;
  AlignedBuffer<float> plane_;                  // a pooled frame, then a small correlation
  AlignedBuffer<std::complex<float>> product_;  // consumed by the inverse transform
  std::vector<float> gain_;                     // undoes pooling, and scales to the full size
  std::vector<float> power_weights_;            // Parseval's
  std::vector<float> outer_weights_;            // of the finest waves alone
  std::vector<float> row_highest_;
  Nominees nominees_;
  // Of the last correlation.
  double highest_ = 0.0;
  double rounding_ = 0.0;
  double rival_margin_ = 0.0;
  double hill_margin_ = 0.0;
  double summit_ = 0.0;
  std::size_t spectra_ = 0;
};

}  // namespace stillscope
