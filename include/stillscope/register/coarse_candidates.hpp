// SPDX-License-Identifier: GPL-3.0-or-later
/// Where the peak of the full-size correlation can be, from the correlation of pooled frames.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "stillscope/register/frame_ref.hpp"
#include "stillscope/register/pooled_spectra.hpp"
#include "stillscope/register/small_correlation.hpp"

namespace stillscope {

/// Places that could hold the peak of a full-size correlation.
struct Nominees {
  /// A hill of the small correlation.
  struct Hill {
    PixelOffset top;
    double radius;  ///< How far from there [px] the highest value could be, at most.
  };
  /// What does not move along an axis, or both, correlates there, in waves too fine for the grid.
  struct Still {
    PixelOffset at;
    PixelOffset across;  ///< A step along the axis without motion; none: neither has any.
    double slack;      ///< How much higher than there the correlation can get along the other axis.
    bool is_doubtful;  ///< The best place along the other axis could be elsewhere.
  };

  std::vector<Hill> hills;
  std::vector<Still> stills;
};

/// Nominates on one grid: docs/algorithm.md, "Coarse to fine". Keeps the pooled frames' spectra
/// until they are released; one object a thread.
template <Pixel T>
class CoarseCandidates {
 public:
  /// `pooling`: pixels a cell, about. `is_finest`: no finer grid can be asked. `transform_margin`:
  /// as of the full-size registrar.
  CoarseCandidates(Extent extent, std::size_t pooling, bool is_finest, double transform_margin)
      : extent_(extent),
        is_finest_(is_finest),
        transform_margin_(transform_margin),
        rival_share_(rival_share_of_pixel * static_cast<double>(pooling)),
        spectra_(extent, pooling),
        correlation_(extent, spectra_.grid(), spectra_.fft()) {}

  /// The pooled frame, made at the first request.
  [[nodiscard]] const PooledSpectrum& pooled(const FrameRef<T>& frame) { return spectra_(frame); }
  void release(std::size_t key) { spectra_.release(key); }
  void clear() { spectra_.clear(); }
  /// Frames pooled and transformed so far.
  [[nodiscard]] std::size_t spectra() const { return spectra_.made(); }

  /// The places that could hold the peak; none where they are too many, where a hill is too flat,
  /// or where pooling lost too much.
  [[nodiscard]] const Nominees* operator()(const PooledSpectrum& source,
                                           const PooledSpectrum& destination) {
    correlation_(source, destination);
    const double lost = std::sqrt(source.fine_energy * destination.fine_energy);
    const double scene = std::sqrt(source.scene_energy * destination.scene_energy);
    const CorrelationCell highest = correlation_.highest();
    highest_ = correlation_[highest];
    if (is_finest_ ? extent_.area() < small_area && lost > small_share * highest_
                   : lost > trusted_share * highest_) {
      return nullptr;
    }
    const double deviation = deviation_of_noise(source, destination, lost);
    rounding_ = transform_margin_ * std::sqrt(source.energy * destination.energy);
    rival_margin_ = std::max(rival_deviations * deviation, rival_share_ * scene);
    hill_margin_ = std::max(hill_deviations * deviation, hill_share * scene);
    // The sharp borders of warped frames line up where they do, not where the scene does.
    const double lines = std::sqrt(std::max(source.column_lines * destination.column_lines,
                                            source.row_lines * destination.row_lines));
    search_margin_ = std::max(hill_margin_, lines);
    // A hill's top lies up to half a cell from its highest cell, and so much above it.
    const double summit = correlation_.summit_above(highest);
    summit_ = 1.5 * summit;
    // Frames that are alike correlate with nearly all the energy that the grid carries.
    const double carried = std::sqrt(source.energy * destination.energy) - lost;
    const double missing = carried - highest_ - summit - rounding_;
    if (missing > std::max((is_finest_ ? finest_unlike : unlike) * lost, unlike_share * highest_)) {
      return nullptr;
    }
    known_.clear();
    if (!nominate_hills(highest_ - rival_margin_ - rounding_)) return nullptr;
    nominate_stills(highest_ - lost);
    return &nominees_;
  }

  /// Further hills of the last correlation, which could still be higher than `value`, the highest
  /// exact value so far, of frames less their means; none as above, or where that is so much lower
  /// than the small correlation that this was wrong.
  [[nodiscard]] const std::vector<Nominees::Hill>* above(double value) {
    const double margin = rival_margin_ + rounding_;
    return value >= highest_ - margin && nominate_hills(value - margin) ? &nominees_.hills
                                                                        : nullptr;
  }

  /// The pixels round a hill where what the grid does not carry could put a value higher than that
  /// at `best`, which is `value`, as above. Holds until the next call.
  [[nodiscard]] const std::vector<PixelOffset>& doubtful(const Nominees::Hill& hill,
                                                         PixelOffset best, double value) {
    doubtful_.clear();
    const auto reach = static_cast<std::ptrdiff_t>(std::ceil(hill.radius + place_error));
    const std::vector<float>& pixels = correlation_.pixels_round(hill.top, reach);
    const std::ptrdiff_t size = 2 * reach + 1;
    const auto value_at = [&](PixelOffset from_corner) {
      const std::ptrdiff_t index = from_corner.height * size + from_corner.width;
      return static_cast<double>(pixels[static_cast<std::size_t>(index)]);
    };
    // What the grid does not carry may be much at the best place, and no less beside it.
    const PixelOffset corner = hill.top - PixelOffset{reach, reach};
    const PixelOffset at = best - corner;
    const bool is_here = at.height >= 0 && at.height < size && at.width >= 0 && at.width < size;
    const double lowest =
        (is_here ? std::min(value, value_at(at)) : value) - search_margin_ - rounding_;
    for (std::ptrdiff_t y = 0; y < size; ++y) {
      for (std::ptrdiff_t x = 0; x < size; ++x) {
        if (value_at({y, x}) >= lowest) doubtful_.push_back(corner + PixelOffset{y, x});
      }
    }
    return doubtful_;
  }

 private:
  // The part of the correlation that the grid cannot carry is at most the root of the product of
  // the energies lost; and where what was lost is noise, a sum of so many unrelated products that
  // 8 standard deviations bound it. A rival is out of the race where the small correlation has it
  // further below the peak than the larger of 8 deviations and a share of the root, which grows
  // with the length of the waves that were lost. Small frames, whose full-size transform costs
  // little, go there at once where they lost more than a small share of the peak.
  static constexpr double rival_deviations = 8.0;
  static constexpr double rival_share_of_pixel = 0.0125;
  static constexpr std::size_t small_area = 160 * 160;
  static constexpr double small_share = 0.02;
  static constexpr double trusted_share = 1.0;
  // Along an axis that does move, the best place is known to a pixel or two of a cell.
  static constexpr double slope_share = 0.125;
  // Noise can put the highest value anywhere on a hill's top that is lower by so many deviations.
  // Tops wider than this [px] need a finer grid, or the full size. What lines up across the frame
  // can put it as far as is searched.
  static constexpr double hill_deviations = 5.0;
  static constexpr double widest_coarse = 2.0;
  static constexpr double widest_search = 4.5;
  // Parabolas through cells err by so much [px].
  static constexpr double place_error = 0.5;
  static constexpr double hill_share = 0.05;
  // How much of the energy that a grid carries may be missing from the peak, in shares of what it
  // does not carry and of the peak: from there on the frames are not the same scene.
  static constexpr double unlike_share = 0.04;
  static constexpr double unlike = 3.0;
  static constexpr double finest_unlike = 10.0;
  // A curvature to divide by.
  static constexpr double flattest = 1e-30;
  // Hills that are looked at exactly before the full-size registrar is cheaper.
  static constexpr std::size_t most_hills = 6;

  /// Standard deviation of what a correlation has from noise that the grid does not carry: a sum of
  /// as many unrelated products as there are pixels or, of stripes, only columns or rows.
  [[nodiscard]] double deviation_of_noise(const PooledSpectrum& source,
                                          const PooledSpectrum& destination, double lost) const {
    const double columns = source.column_stripes * destination.column_stripes;
    const double rows = source.row_stripes * destination.row_stripes;
    return std::sqrt(lost * lost / static_cast<double>(extent_.area()) +
                     columns / static_cast<double>(extent_.width) +
                     rows / static_cast<double>(extent_.height));
  }

  /// Lists the hills that can reach `threshold` and are not known yet; false where there are too
  /// many, or too flat a one.
  bool nominate_hills(double threshold) {
    nominees_.hills.clear();
    const double widest = is_finest_ ? widest_search : widest_coarse;
    for (std::size_t y = 0; y < correlation_.cells().height; ++y) {
      if (correlation_.highest_in(y) < threshold - summit_) continue;
      for (std::size_t x = 0; x < correlation_.cells().width; ++x) {
        const CorrelationCell at{y, x};
        const double value = correlation_[at];
        if (value < threshold - summit_ || !correlation_.is_hill(at)) continue;
        if (value + correlation_.summit_above(at) < threshold) continue;
        if (std::find(known_.begin(), known_.end(), at) != known_.end()) continue;
        const double curvature = std::max(correlation_.least_curvature(at), flattest);
        const double flat = std::sqrt(2.0 * hill_margin_ / curvature);
        if (known_.size() == most_hills || flat > widest) return false;
        const double radius = std::sqrt(2.0 * search_margin_ / curvature);
        known_.push_back(at);
        nominees_.hills.push_back({correlation_.top(at), std::min(radius, widest_search)});
      }
    }
    return true;
  }

  /// What does not move (fixed-pattern noise, stripes) correlates at no displacement along one axis
  /// or both, in waves too fine for the grid: the best places there, where they could be the peak.
  void nominate_stills(double threshold) {
    nominees_.stills.clear();
    const Extent cells = correlation_.cells();
    const auto add = [&](CorrelationCell at, PixelOffset across, double slack, bool is_doubtful) {
      if (correlation_[at] + correlation_.summit_above(at) < threshold - rounding_) return;
      const PixelOffset top = correlation_.top(at);
      const PixelOffset place{across.width == 1 ? top.height : 0,
                              across.height == 1 ? top.width : 0};
      nominees_.stills.push_back({place, across, rounding_ + slack, is_doubtful});
    };
    add({0, 0}, {}, 0.0, false);
    const auto along_row = [&](std::size_t x) { return correlation_[{0, x}]; };
    const CorrelationCell in_row{0, highest_along(cells.width, along_row)};
    add(in_row, {1, 0}, rival_margin_ + slope_share * correlation_.step_along_rows(in_row),
        has_rival(cells.width, along_row, in_row.x));
    const auto along_column = [&](std::size_t y) { return correlation_[{y, 0}]; };
    const CorrelationCell in_column{highest_along(cells.height, along_column), 0};
    add(in_column, {0, 1}, rival_margin_ + slope_share * correlation_.step_along_columns(in_column),
        has_rival(cells.height, along_column, in_column.y));
  }

  template <class Values>
  static std::size_t highest_along(std::size_t n, Values&& values) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < n; ++i) {
      if (values(i) > values(best)) best = i;
    }
    return best;
  }

  /// True where the values along a circular axis come near the best one, which could then be lower
  /// at full size: in another cell than its neighbours, or in both of these.
  template <class Values>
  [[nodiscard]] bool has_rival(std::size_t n, Values&& values, std::size_t best) const {
    const double low = values(best) - rival_margin_ - rounding_;
    for (std::size_t i = 2; i + 1 < n; ++i) {
      if (values((best + i) % n) > low) return true;
    }
    return values((best + 1) % n) > low && values((best + n - 1) % n) > low;
  }

  Extent extent_;
  bool is_finest_;
  double transform_margin_;
  double rival_share_;
  PooledSpectra<T> spectra_;
  SmallCorrelation correlation_;
  Nominees nominees_;
  std::vector<PixelOffset> doubtful_;
  // Of the last correlation.
  std::vector<CorrelationCell> known_;  // hills nominated so far
  double highest_ = 0.0;
  double rounding_ = 0.0;
  double rival_margin_ = 0.0;
  double hill_margin_ = 0.0;
  double search_margin_ = 0.0;
  double summit_ = 0.0;
};

}  // namespace stillscope
