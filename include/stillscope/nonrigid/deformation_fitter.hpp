// SPDX-License-Identifier: GPL-3.0-or-later
/// Gauss-Newton on the control points of a frame's deformation: D. Rueckert et al., IEEE Trans.
/// Medical Imaging 18 (1999), for the model; S. Baker and I. Matthews, Int. J. Computer Vision 56
/// (2004), for gradients that are the template's.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/nonrigid/block_sums.hpp"
#include "stillscope/nonrigid/deformation_fit.hpp"
#include "stillscope/nonrigid/deformation_lattice.hpp"
#include "stillscope/nonrigid/deformation_template.hpp"
#include "stillscope/nonrigid/field_measures.hpp"
#include "stillscope/nonrigid/patch_search.hpp"
#include "stillscope/nonrigid/spline_field.hpp"
#include "stillscope/refine/residual_sums.hpp"
#include "stillscope/simd/row_kernels.hpp"
#include "stillscope/warp/padded_frame.hpp"

namespace stillscope {

/// Fits frames of one size, one after the other; one object a thread.
template <Pixel T>
class DeformationFitter {
 public:
  DeformationFitter(const DeformationLattice& lattice, const DeformationFitSettings& settings)
      : lattice_(lattice),
        settings_(settings),
        field_(lattice.grid(), lattice.rows(), lattice.columns()),
        coefficients_(lattice.unknowns()),
        search_(lattice),
        blocks_(lattice) {
    for (auto& half : halves_) half.resize(lattice.unknowns());
  }

  /// Pools `frame` (contiguous rows, finite) about `level`, and keeps it for what follows.
  void load(const FrameView<const T>& frame, double level) {
    const Extent pooled = lattice_.pooled();
    padded_.resize(pooled);
    for (std::size_t y = 0; y < pooled.height; ++y) {
      if (lattice_.pooling() == 2) {
        pixel_kernels<T>().halve(frame.row(2 * y), frame.row(2 * y + 1), pooled.width, level,
                                 padded_.row(y));
      } else {
        pixel_kernels<T>().centre(frame.row(y), pooled.width, level, padded_.row(y));
      }
    }
    padded_.pad(Border::nearest, 0.0F);
  }

  /// Fits the loaded frame from where `fit` is; deformations of about `ExpectedSize::of(step)` are
  /// expected. `warped`: pooled pixels of the deformed frame, less the level, rows of
  /// `lattice.stride()`; NaN where the frame has none.
  void operator()(const DeformationTemplate& reference, std::size_t step, DeformationFit& fit,
                  float* warped) {
    const DeformationFit start = fit;
    iterate(reference, step, fit, warped);
    fit.has_patches = false;
    if (fit.has_converged && fit.lost_cells == 0) return;
    // From the rigid shift: what has converged elsewhere may be anywhere.
    DeformationFit other = start;
    other.deviation.clear();
    other.sigma = 0.0;
    for (std::size_t k = 0; k < most_searches; ++k) {
      sample(other, warped);
      if (!search_(reference, warped, largest_step, k == 0 ? wide : narrow, other)) break;
    }
    other.has_patches = true;
    iterate(reference, largest_step, other, warped);
    const bool is_better =
        !fit.has_converged || other.lost_cells < fit.lost_cells ||
        (other.lost_cells == fit.lost_cells && other.similarity > fit.similarity);
    if (is_better && other.has_converged) {
      fit = other;
    } else {
      sample(fit, warped);
    }
  }

  /// A field from patches alone.
  void by_patches(const DeformationTemplate& reference, std::size_t step, bool is_first,
                  DeformationFit& fit, float* warped) {
    fit.has_patches = true;
    fit.has_converged = false;
    for (std::size_t k = 0; k < (is_first ? most_searches : 1); ++k) {
      sample(fit, warped);
      const int reach = is_first && k == 0 ? wide : narrow;
      if (!search_(reference, warped, step, reach, fit))
        return finish(reference, step, fit, warped);
    }
    fit.has_converged = true;
    finish(reference, step, fit, warped);
  }

  /// Patches look this far at first, and then, in pooled px times 2.
  static constexpr int wide = 3;
  static constexpr int narrow = 1;

 private:
  static constexpr double longest_step = 2.0;  // [px]
  static constexpr std::size_t most_searches = 2;
  /// What follows on patches is not held back by what is usual.
  static constexpr std::size_t largest_step = ExpectedSize::steps - 2;

  void finish(const DeformationTemplate& reference, std::size_t step, DeformationFit& fit,
              float* warped) {
    evaluate(reference, fit, warped);
    if (update_brightness(sums_, pixels_, settings_.has_brightness, fit))
      describe(reference, step, fit);
  }

  void iterate(const DeformationTemplate& reference, std::size_t step, DeformationFit& fit,
               float* warped) {
    const std::size_t n = lattice_.unknowns();
    fit.has_converged = false;
    // Unless there is more to say: nothing of the template is found.
    fit.lost_cells = lattice_.grid().height.cells * lattice_.grid().width.cells;
    fit.steps = 0;
    if (fit.deviation.empty()) fit.deviation.assign(n, 0.0);
    std::vector<double>& move = move_;
    move.resize(n);
    while (true) {
      const bool is_last = fit.steps + 1 >= settings_.most_steps;
      evaluate(reference, fit, warped);
      if (!update_brightness(sums_, pixels_, settings_.has_brightness, fit)) return;
      for (std::size_t i = 0; i < n; ++i) move[i] = (halves_[0][i] + halves_[1][i]) / fit.gain;
      reference.prior().energy().multiply(-reference.weight(step), fit.deviation, move);
      reference.factor(step).solve(move);
      const FieldLength length = length_of(lattice_, move);
      if (!std::isfinite(length.longest)) return;
      const bool is_enough = length.usual < settings_.tolerance || is_last;
      if ((fit.steps > 0 || settings_.starts_near) && is_enough) {
        describe(reference, step, fit);
        fit.has_converged = length.usual < settings_.tolerance * unfinished;
      }
      const double scale = length.longest > longest_step ? longest_step / length.longest : 1.0;
      for (std::size_t i = 0; i < n; ++i) fit.deviation[i] += scale * move[i];
      ++fit.steps;
      if (fit.has_converged || fit.steps >= settings_.most_steps) return;
    }
  }
  /// A fit that was stopped within so many tolerances has arrived all the same.
  static constexpr double unfinished = 2.0;

  /// The total field of a fit, as coefficients.
  void set_field(const DeformationFit& fit) {
    lattice_.to_coefficients(fit.deviation, fit.shift, coefficients_);
    field_.begin(coefficients_.data());
  }

  void sample_row(std::size_t y, float* out) {
    field_(y);
    const SampledRow row{padded_.view(),   y,    field_.height(),
                         field_.width(),   0.0F, std::numeric_limits<float>::quiet_NaN(),
                         field_.is_calm(), true};
    const std::size_t width = lattice_.pooled().width;
    float_kernels().sample_linear(row, width, out);
    std::fill(out + width, out + lattice_.stride(), std::numeric_limits<float>::quiet_NaN());
  }

  void sample(const DeformationFit& fit, float* warped) {
    set_field(fit);
    for (std::size_t y = 0; y < lattice_.pooled().height; ++y) {
      sample_row(y, warped + y * lattice_.stride());
    }
  }

  /// The deformed frame, its residual, and what that says of the control points.
  void evaluate(const DeformationTemplate& reference, const DeformationFit& fit, float* warped) {
    set_field(fit);
    const std::size_t stride = lattice_.stride();
    const Extent blocks = lattice_.blocks();
    const std::size_t side = lattice_.block();
    // Beyond its area the template is only made up.
    const Area area = reference.area();
    const auto begin = static_cast<std::size_t>(area.left);
    const auto end_column = static_cast<std::size_t>(std::max(area.left, area.right));
    DeformedTotals totals{};
    DeformedRow row{};
    row.gain = static_cast<float>(fit.gain);
    row.offset = static_cast<float>(fit.offset);
    row.limit = settings_.robust > 0.0 && fit.sigma > 0.0
                    ? static_cast<float>(settings_.robust * fit.sigma)
                    : std::numeric_limits<float>::max();
    for (std::size_t i = 0; i < blocks.height; ++i) {
      const DeformedSums columns = blocks_.begin_row();
      const std::size_t end = std::min((i + 1) * side, lattice_.pooled().height);
      for (std::size_t y = i * side; y < end; ++y) {
        float* out = warped + y * stride;
        sample_row(y, out);
        if (static_cast<std::ptrdiff_t>(y) < area.top ||
            static_cast<std::ptrdiff_t>(y) >= area.bottom) {
          continue;
        }
        row.sampled = out;
        row.prediction = reference.prediction(y);
        row.gradient_height = reference.gradient_height(y);
        row.gradient_width = reference.gradient_width(y);
        row.detail = reference.detail(y);
        float_kernels().deformed_residuals(row, begin, end_column, columns, &totals);
      }
      blocks_.end_row(i);
    }
    sums_ = {total(totals.r), total(totals.rr), total(totals.rp), total(totals.p),
             total(totals.pp)};
    pixels_ = total(totals.count);
    blocks_.share_out(reference, fit, halves_);
  }

  /// Steps of the ladder from what is expected to what is not ruled out.
  static constexpr std::size_t looser = 3;

  /// What the two halves of the pixels agree on, and cells that show nothing of the template.
  void describe(const DeformationTemplate& reference, std::size_t step, DeformationFit& fit) {
    const std::size_t loose = std::min(step + looser, ExpectedSize::steps - 1);
    for (std::size_t colour = 0; colour < 2; ++colour) {
      std::vector<double>& half = halves_[colour];
      for (double& value : half) value /= fit.gain;
      std::vector<double>& rest = rests_[colour];
      rest.assign(half.begin(), half.end());
      for (double& value : rest) value *= 2.0;
      reference.factor(loose).solve(rest);
      reference.half(colour).multiply(1.0, fit.deviation, half);
      for (double& value : half) value *= 2.0;
      reference.factor(step).solve(half);
    }
    fit.agreed_square = mean_product(lattice_, halves_[0], halves_[1]);
    fit.held_back_square = highest_product(lattice_, rests_[0], rests_[1]);
    fit.lost_cells = blocks_.lost_cells(reference, fit);
  }

  const DeformationLattice& lattice_;
  DeformationFitSettings settings_;
  FieldRows field_;
  std::vector<double> coefficients_;
  PaddedFrame padded_;
  PatchSearch search_;
  BlockSums blocks_;
  std::array<std::vector<double>, 2> halves_;
  std::array<std::vector<double>, 2> rests_;
  std::vector<double> move_;
  ResidualSums sums_;
  double pixels_ = 0.0;
};

}  // namespace stillscope
