// SPDX-License-Identifier: GPL-3.0-or-later
/// Gauss-Newton on the residual of a frame to a template: S. Baker and I. Matthews, "Lucas-Kanade
/// 20 years on: a unifying framework", Int. J. Computer Vision 56 (2004), inverse compositional.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/refine/frame_fit.hpp"
#include "stillscope/refine/reference_template.hpp"
#include "stillscope/refine/residual_sums.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// Fits frames of one size, one after the other; one object a thread.
template <Pixel T>
class FrameFitter {
 public:
  FrameFitter(Extent extent, const FitSettings& settings) : settings_(settings) {
    for (auto& row : blended_) row.reserve(extent.width + fit_padding);
  }

  /// The area of `reference` that a frame lies over once it is moved by `by`.
  [[nodiscard]] static Area common_area(const ReferenceTemplate& reference, PixelOffset by) {
    return reference.area() & Area::of(reference.extent()).moved(by);
  }

  /// Fits `frame` (contiguous rows, finite), from where `start` was. Where there is no convergence
  /// the shift stays as it was.
  FrameFit operator()(const FrameView<const T>& frame, const ReferenceTemplate& reference,
                      const FrameFit& start) {
    FrameFit fit = start;
    fit.has_converged = false;
    fit.evaluations = 0;
    // The way there needs a part of the rows only; where it ends, all of them count.
    bool is_whole = start.sigma > 0.0;
    Shift before;  // the last step that all rows made
    while (fit.evaluations < most_evaluations) {
      ++fit.evaluations;
      const Evaluation at = evaluate(frame, reference, fit, is_whole);
      if (!at.normal.is_regular()) break;
      if (!update_brightness(at.brightness, at.pixels(), settings_.has_brightness, fit)) break;
      const Shift plain = at.normal.solve(at.height / fit.gain, at.width / fit.gain);
      if (!plain.is_finite()) break;
      const Shift step = {lengthened(plain.height, before.height),
                          lengthened(plain.width, before.width)};
      fit.shift += step;
      fit.uncertainty = at.normal.error() * fit.sigma / fit.gain;
      const double moved = std::max(std::fabs(step.height), std::fabs(step.width));
      if (is_whole) {
        if (moved < settings_.tolerance) {
          fit.has_converged = true;
          describe_bands(at, reference, step, fit);
          break;
        }
        before = plain;
      } else {
        is_whole = moved < partial_tolerance || fit.evaluations >= most_partial;
      }
    }
    const Shift moved = fit.shift - start.shift;
    if (!fit.has_converged ||
        std::max(std::fabs(moved.height), std::fabs(moved.width)) > settings_.reach) {
      fit.has_converged = false;
      fit.shift = start.shift;
    }
    return fit;
  }

  /// Correlation of a frame with the template at a given shift, as it is; from a part of the rows.
  double similarity(const FrameView<const T>& frame, const ReferenceTemplate& reference,
                    Shift shift) {
    FrameFit fit;
    fit.shift = shift;
    const Evaluation at = evaluate(frame, reference, fit, false);
    return update_brightness(at.brightness, at.pixels(), true, fit) ? fit.similarity : 0.0;
  }

 private:
  static constexpr std::size_t most_evaluations = 16;
  static constexpr std::size_t most_partial = 4;  // of these, with a part of the rows
  static constexpr double longest_step = 1.0;     // [px]
  /// After such a step, the next one is likely to be below the tolerance.
  static constexpr double partial_tolerance = 0.1;  // [px]
  /// A part of the rows: so many neighbours, of so many.
  static constexpr std::ptrdiff_t run_rows = 8;
  static constexpr std::ptrdiff_t run_period = 32;

  /// A step on one axis with those that would follow, where this and the one before shrink as a
  /// geometric series does (A. Aitken, Proc. Royal Soc. Edinburgh 46 (1926)).
  static double lengthened(double step, double before) {
    const double ratio = before != 0.0 ? std::clamp(step / before, 0.0, 0.7) : 0.0;
    return std::clamp(step / (1.0 - ratio), -longest_step, longest_step);
  }

  struct BandSums {
    FittedSums with_brightness{};  // of some rows, all sums
    FittedSums without{};          // of the others
    std::size_t brightness_pixels = 0;

    /// Residuals times gradients.
    [[nodiscard]] double height() const {
      return total(with_brightness.height) + total(without.height);
    }
    [[nodiscard]] double width() const {
      return total(with_brightness.width) + total(without.width);
    }
    [[nodiscard]] double rr() const { return total(with_brightness.rr) + total(without.rr); }
    [[nodiscard]] ResidualSums brightness() const {
      const FittedSums& s = with_brightness;
      return {total(s.r), total(s.rr), total(s.rp), total(s.p), total(s.pp)};
    }
    /// What would have to be added to the gain for these rows alone.
    [[nodiscard]] double gain_step() const {
      const ResidualSums s = brightness();
      const auto pixels = static_cast<double>(brightness_pixels);
      const double spread = s.pp - s.p * s.p / pixels;
      return spread > least_spread * s.pp ? (s.rp - s.r * s.p / pixels) / spread : 0.0;
    }
    /// Of less, the rounding of sums in float32 leaves nothing.
    static constexpr double least_spread = 1e-4;
  };

  struct Evaluation {
    Area area;
    Normal normal;
    std::size_t brightness_pixels = 0;
    std::size_t other_pixels = 0;
    double height = 0.0;
    double width = 0.0;
    ResidualSums brightness;
    std::array<BandSums, FrameFit::bands> bands;

    /// Of those that brightness is told from: every fourth row is enough for two numbers.
    [[nodiscard]] double pixels() const { return static_cast<double>(brightness_pixels); }
  };

  static std::pair<std::ptrdiff_t, double> nearest(double shift) {
    const double whole = std::nearbyint(shift);
    return {static_cast<std::ptrdiff_t>(whole), shift - whole};
  }

  /// First row of each band, and the end of the last.
  static std::ptrdiff_t band_begin(const Area& area, std::size_t band) {
    return area.top + static_cast<std::ptrdiff_t>(area.height() * band / FrameFit::bands);
  }

  /// The residual at the fit's shift, in all rows or a part, and what it says. Frames are never
  /// interpolated: their noise would be smoothed, more or less as the shift has it.
  Evaluation evaluate(const FrameView<const T>& frame, const ReferenceTemplate& reference,
                      const FrameFit& fit, bool is_whole) {
    const auto [row_offset, row_rest] = nearest(fit.shift.height);
    const auto [column_offset, column_rest] = nearest(fit.shift.width);
    Evaluation at;
    at.area = common_area(reference, {row_offset, column_offset});
    if (at.area.is_empty() || at.area.height() < FrameFit::bands) return at;
    at.normal = reference.normal(at.area);
    const auto down = cubic_weights(row_rest < 0.0 ? row_rest + 1.0 : row_rest);
    const auto along = cubic_weights(column_rest < 0.0 ? column_rest + 1.0 : column_rest);
    const std::ptrdiff_t above = row_rest < 0.0 ? -2 : -1;
    const std::ptrdiff_t before = column_rest < 0.0 ? -2 : -1;
    const std::size_t width = at.area.width();
    const bool is_robust = settings_.robust > 0.0 && fit.sigma > 0.0;
    FittedRow<T> row{};
    row.first = static_cast<std::size_t>(at.area.left + before + 1);
    row.down = down.data();
    row.along = along.data();
    row.zero = reference.level();
    row.gain = static_cast<float>(fit.gain);
    row.offset = static_cast<float>(fit.offset);
    row.limit = is_robust ? static_cast<float>(settings_.robust * fit.sigma)
                          : std::numeric_limits<float>::max();
    // Gradients are wanted where the prediction was taken, so that what is even about that place,
    // as a template's blur is, does not look like a shift. Rather than these, residuals are
    // blended: the same sum, in another order.
    row.left_share = static_cast<float>(column_rest - std::floor(column_rest));
    row.upper_share = static_cast<float>(row_rest - std::floor(row_rest));
    // Two rows on: far enough to hide the memory's latency, near enough to stay in the cache.
    row.ahead = 2 * frame.row_stride();
    const auto column = static_cast<std::size_t>(at.area.left - column_offset);
    const bool is_dense = frame.row_stride() == static_cast<std::ptrdiff_t>(frame.width());
    std::size_t current = 0;
    const auto clear = [&](AlignedBuffer<float>& blended) {
      std::fill_n(blended.data(), blended.size(), 0.0F);
    };
    for (auto& blended : blended_) clear(blended);
    for (std::size_t band = 0; band < FrameFit::bands; ++band) {
      const std::ptrdiff_t end = band_begin(at.area, band + 1);
      BandSums& sums = at.bands[band];
      for (std::ptrdiff_t y = band_begin(at.area, band); y < end; ++y) {
        const std::ptrdiff_t place = (y - at.area.top) % run_period;
        if (!is_whole && place >= run_rows) continue;
        std::array<const float*, 4> rows;
        for (std::size_t k = 0; k < 4; ++k) {
          rows[k] = reference.coefficients(y + above + static_cast<std::ptrdiff_t>(k));
        }
        row.coefficients = rows.data();
        const auto frame_row = static_cast<std::size_t>(y - row_offset);
        row.frame = frame.row(frame_row) + column;
        // In a dense frame, the rows round it can be read, too.
        const std::size_t above_row = is_dense ? frame_row * frame.width() : 0;
        const std::size_t below_row =
            is_dense ? (frame.height() - 1 - frame_row) * frame.width() : 0;
        row.lead = above_row + column;
        row.trail = below_row + frame.width() - width - column;
        const std::ptrdiff_t gradient_row = y + above + 1;
        row.gradient_height = reference.gradient_height(gradient_row);
        row.gradient_width = reference.gradient_width(gradient_row);
        row.blended = blended_[current].data();
        current = 1 - current;
        row.upper = blended_[current].data();
        const bool is_for_brightness = place % 4 == 0;
        pixel_kernels<T>().fit_row(row, width, is_for_brightness,
                                   is_for_brightness ? &sums.with_brightness : &sums.without);
        (is_for_brightness ? at.brightness_pixels : at.other_pixels) += width;
        if (is_for_brightness) sums.brightness_pixels += width;
        const bool is_last = y + 1 == at.area.bottom || (!is_whole && place + 1 == run_rows);
        if (is_last && row.upper_share != 0.0F) {
          // What it says of the gradients below it.
          const auto dot = [&](const float* gradient) {
            return static_cast<double>(
                row.upper_share *
                float_kernels().dot(row.blended + row.first, gradient + row.first, width + 1));
          };
          sums.without.height[0] += dot(reference.gradient_height(gradient_row + 1));
          sums.without.width[0] += dot(reference.gradient_width(gradient_row + 1));
          clear(blended_[1 - current]);
        }
      }
    }
    const auto pixels = static_cast<double>(at.brightness_pixels + at.other_pixels);
    // Rows that are left out say what their neighbours do.
    const double share = pixels / static_cast<double>(at.area.size());
    at.normal = {share * at.normal.hh, share * at.normal.hw, share * at.normal.wh,
                 share * at.normal.ww};
    for (const BandSums& band : at.bands) {
      const ResidualSums sums = band.brightness();
      at.height += band.height();
      at.width += band.width();
      at.brightness.r += sums.r;
      at.brightness.rr += sums.rr;
      at.brightness.rp += sums.rp;
      at.brightness.p += sums.p;
      at.brightness.pp += sums.pp;
    }
    return at;
  }

  static void describe_bands(const Evaluation& at, const ReferenceTemplate& reference, Shift step,
                             FrameFit& fit) {
    for (std::size_t i = 0; i < FrameFit::bands; ++i) {
      Area area = at.area;
      area.top = band_begin(at.area, i);
      area.bottom = band_begin(at.area, i + 1);
      const Normal normal = reference.normal(area);
      fit.band_shifts[i] = {};
      if (normal.is_regular()) {
        const Shift shift = normal.solve(at.bands[i].height(), at.bands[i].width());
        fit.band_shifts[i] = {shift.height / fit.gain - step.height,
                              shift.width / fit.gain - step.width};
      }
      fit.band_gains[i] = 1.0 + at.bands[i].gain_step() / fit.gain;
      fit.band_residuals[i] = at.bands[i].rr() / static_cast<double>(area.size());
    }
  }

  FitSettings settings_;
  std::array<AlignedBuffer<float>, 2> blended_;  // residuals of two rows
};

}  // namespace stillscope
