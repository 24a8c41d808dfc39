// SPDX-License-Identifier: GPL-3.0-or-later
/// Where on a template a frame belongs, wherever that is, and how surely.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <optional>
#include <vector>

#include "stillscope/core/view.hpp"
#include "stillscope/register/frame_ref.hpp"
#include "stillscope/register/pooled_spectra.hpp"
#include "stillscope/register/small_correlation.hpp"

namespace stillscope {

/// A frame's correlation with a template's detail, over all displacements.
struct Location {
  PixelOffset shift;   ///< Of the highest place [px], within a pixel or two.
  double peak = 0.0;   ///< How high that is, less the frame's own share in the template.
  double rival = 0.0;  ///< The top of the highest other hill; minus infinity where there is none.
  /// The level's root mean square over all displacements.
  double noise = 0.0;

  /// How much higher than the best rival; infinite where there is none.
  [[nodiscard]] double ratio() const {
    if (!(peak > 0.0)) return 0.0;
    return rival > 0.0 ? peak / rival : std::numeric_limits<double>::infinity();
  }
};

/// Spectrum of a template's detail, on the grid on which frames are looked for.
class LocatorTarget {
 public:
  /// Frames smaller than this on an axis are not looked for.
  static constexpr std::size_t least_side = 24;
  static bool can_locate(Extent extent) {
    return std::min(extent.height, extent.width) >= least_side;
  }
  static std::size_t pooling(Extent extent) {
    return std::clamp<std::size_t>(std::min(extent.height, extent.width) / 32, 1, 8);
  }

  /// `detail`: contiguous rows, finite. `frames`: how many made the template.
  LocatorTarget(const FrameView<const float>& detail, std::size_t frames, double highpass)
      : spectra_(detail.extent(), pooling(detail.extent())),
        spectrum_(&spectra_(make_frame_ref(detail, 0))),
        highpass_(highpass),
        frames_(frames) {}

  [[nodiscard]] const PooledSpectrum& spectrum() const { return *spectrum_; }
  [[nodiscard]] double highpass() const { return highpass_; }
  [[nodiscard]] std::size_t frames() const { return frames_; }

 private:
  PooledSpectra<float> spectra_;
  const PooledSpectrum* spectrum_;
  double highpass_;
  std::size_t frames_;
};

/// Looks for frames of one size; one object a thread.
template <Pixel T>
class Locator {
 public:
  /// `max_shift` [px] on each axis; none: anywhere.
  Locator(Extent extent, std::optional<double> max_shift)
      : max_shift_(max_shift),
        spectra_(extent, LocatorTarget::pooling(extent)),
        correlation_(extent, spectra_.grid(), spectra_.fft()) {}

  /// What the ratio of noise stays below, but for one frame in a hundred: the two highest of n
  /// independent normal values differ by an exponential with the mean sigma / sqrt(2 ln n), and the
  /// highest is sigma sqrt(2 ln n). Half of the cells are taken for independent.
  [[nodiscard]] double noise_ratio() const {
    const double places = static_cast<double>(correlation_.cells().area()) / 2.0;
    return 1.0 + std::log(100.0) / (2.0 * std::log(std::max(places, 2.0)));
  }

  /// `frame`: contiguous rows, finite.
  Location operator()(const FrameView<const T>& frame, const LocatorTarget& target) {
    spectra_.clear();
    const PooledSpectrum& spectrum = spectra_(make_frame_ref(frame, 0));
    correlation_(target.spectrum(), spectrum);
    Location found;
    std::optional<CorrelationCell> best;
    double squares = 0.0;
    const std::size_t places = for_each_allowed([&](CorrelationCell cell) {
      const double value = correlation_[cell];
      squares += value * value;
      if (!best || value > correlation_[*best]) best = cell;
    });
    found.shift = correlation_.top(*best);
    found.noise = std::sqrt(squares / static_cast<double>(places));
    found.peak = correlation_[*best] - own_share(spectrum, target);
    found.rival = -std::numeric_limits<double>::infinity();
    // The slopes of the peak's own hill, however wide it is, are no rivals: other hills are.
    for_each_allowed([&](CorrelationCell cell) {
      if (cell != *best && correlation_[cell] > found.rival && correlation_.is_hill(cell)) {
        found.rival = correlation_[cell];
      }
    });
    return found;
  }

 private:
  /// How many there are: the origin is always one.
  template <class Visit>
  std::size_t for_each_allowed(Visit&& visit) {
    const Extent cells = correlation_.cells();
    const auto allowed = [&](std::size_t i, std::size_t n, double scale) {
      if (!max_shift_) return true;
      return static_cast<double>(std::min(i, n - i)) * scale <= *max_shift_ + scale;
    };
    std::size_t count = 0;
    for (std::size_t y = 0; y < cells.height; ++y) {
      if (!allowed(y, cells.height, spectra_.grid().row_scale())) continue;
      for (std::size_t x = 0; x < cells.width; ++x) {
        if (!allowed(x, cells.width, spectra_.grid().column_scale())) continue;
        visit(CorrelationCell{y, x});
        ++count;
      }
    }
    return count;
  }

  /// What the peak owes to the frame's being part of the template.
  double own_share(const PooledSpectrum& spectrum, const LocatorTarget& target) {
    if (target.frames() == 0) return 0.0;
    if (weights_.empty() || weighted_for_ != target.highpass()) make_weights(target.highpass());
    const double energy = static_cast<double>(float_kernels().weighted_power(
        reinterpret_cast<const float*>(spectrum.values.data()), weights_.data(), weights_.size()));
    return energy / static_cast<double>(target.frames());
  }

  /// Parseval's, times what is left of each wave in the detail.
  void make_weights(double highpass) {
    weights_ = pooling_gain(spectra_.grid());
    weighted_for_ = highpass;
    const Extent cells = correlation_.cells();
    const std::size_t columns = cells.width / 2 + 1;
    for (std::size_t y = 0; y < cells.height; ++y) {
      for (std::size_t x = 0; x < columns; ++x) {
        const double fy = static_cast<double>(std::min(y, cells.height - y)) /
                          (static_cast<double>(cells.height) * spectra_.grid().row_scale());
        const double fx = static_cast<double>(x) /
                          (static_cast<double>(cells.width) * spectra_.grid().column_scale());
        const double left = highpass > 0.0
                                ? 1.0 - std::exp(-2.0 * std::pow(std::numbers::pi * highpass, 2) *
                                                 (fy * fy + fx * fx))
                                : 1.0;
        const double twice = x != 0 && 2 * x != cells.width ? 2.0 : 1.0;
        weights_[y * columns + x] *= static_cast<float>(left * twice);
      }
    }
    weights_[0] = 0.0F;
  }

  std::optional<double> max_shift_;
  PooledSpectra<T> spectra_;
  SmallCorrelation correlation_;
  std::vector<float> weights_;
  double weighted_for_ = -1.0;
};

}  // namespace stillscope
