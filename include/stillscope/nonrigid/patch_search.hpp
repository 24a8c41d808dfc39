// SPDX-License-Identifier: GPL-3.0-or-later
/// Where patches of a frame lie on a template, and the field that they make: piecewise-rigid, in
/// the manner of E. Pnevmatikakis and A. Giovannucci, "NoRMCorre", J. Neurosci. Methods 291 (2017).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/nonrigid/deformation_fit.hpp"
#include "stillscope/nonrigid/deformation_lattice.hpp"
#include "stillscope/nonrigid/deformation_template.hpp"
#include "stillscope/register/peak.hpp"
#include "stillscope/simd/row_kernels.hpp"
#include "stillscope/warp/padded_frame.hpp"

namespace stillscope {

/// Looks for the patches of frames of one size; one object a thread.
class PatchSearch {
 public:
  explicit PatchSearch(const DeformationLattice& lattice) : lattice_(lattice) {
    const auto side = static_cast<double>(lattice.pooling());
    const ControlGrid& grid = lattice.grid();
    const auto window = [&](const GridAxis& axis, std::size_t cell, std::size_t size) {
      const double middle = (axis.origin + axis.spacing * (static_cast<double>(cell) + 1.5)) / side;
      const double half = 0.5 * overlap * axis.spacing / side;
      // Whole pairs of pooled pixels, of which coarse ones are made.
      const double end = 2.0 * std::floor(static_cast<double>(size) / 2.0);
      const double first = 2.0 * std::round(std::clamp(middle - half, 0.0, end) / 2.0);
      const double last = 2.0 * std::round(std::clamp(middle + half, 0.0, end) / 2.0);
      return std::pair{static_cast<std::size_t>(first), static_cast<std::size_t>(last)};
    };
    for (std::size_t i = 0; i < grid.height.cells; ++i) {
      for (std::size_t j = 0; j < grid.width.cells; ++j) {
        const auto [top, bottom] = window(grid.height, i, lattice.pooled().height);
        const auto [left, right] = window(grid.width, j, lattice.pooled().width);
        if (bottom < top + 4 || right < left + 4) continue;
        patches_.push_back({i, j, top, bottom, left, right});
      }
    }
  }

  /// Adds to `fit` what patches of the frame say that is missing; `warped` is the frame deformed by
  /// the fit's field. Patches are looked for up to 2 `reach` pooled px away on each axis. False
  /// where no patch was found, and nothing is changed.
  bool operator()(const DeformationTemplate& reference, const float* warped, std::size_t step,
                  int reach, DeformationFit& fit) {
    prepare(reference, warped, fit);
    found_.clear();
    for (const Patch& patch : patches_) look_for(patch, reference, reach, fit);
    drop_outliers();
    return add_field(reference, step, fit);
  }

 private:
  /// Side of a patch over that of a cell of the mesh.
  static constexpr double overlap = 1.5;
  /// A patch that shows less of the template is not believed.
  static constexpr double least_shown = 0.35;
  /// Nor is one whose peak is not so much higher than what is beyond its neighbours.
  static constexpr double least_ratio = 1.1;
  /// One that shows so much is believed whatever its neighbours say.
  static constexpr double surely_shown = 0.7;
  static constexpr double far = 3.0;  ///< From its neighbours [px].

  struct Patch {
    std::size_t row;  // of the mesh's cell
    std::size_t column;
    std::size_t top;
    std::size_t bottom;
    std::size_t left;
    std::size_t right;
  };
  struct Found {
    Patch patch;
    double height;  // [px]
    double width;
    double shown;
    double energy;
  };

  /// Planes of the frame and of the template's detail, pooled once more.
  void prepare(const DeformationTemplate& reference, const float* warped,
               const DeformationFit& fit) {
    const Extent pooled = lattice_.pooled();
    const std::size_t stride = lattice_.stride();
    frame_.resize(pooled);
    const auto gain = static_cast<float>(fit.gain);
    const auto offset = static_cast<float>(fit.offset);
    for (std::size_t y = 0; y < pooled.height; ++y) {
      const float* from = warped + y * stride;
      const float* prediction = reference.prediction(y);
      float* to = frame_.row(y);
      for (std::size_t x = 0; x < pooled.width; ++x) {
        const float residual = from[x] - (gain * prediction[x] + offset);
        to[x] = std::isfinite(residual) ? from[x] - offset : gain * prediction[x];
      }
    }
    frame_.pad(Border::nearest, 0.0F);
    const Extent half = {pooled.height / 2, pooled.width / 2};
    coarse_frame_.resize(half);
    coarse_detail_.resize(half);
    for (std::size_t y = 0; y < half.height; ++y) {
      const auto& halve = pixel_kernels<float>().halve;
      halve(frame_.row(2 * y), frame_.row(2 * y + 1), half.width, 0.0, coarse_frame_.row(y));
      halve(reference.detail(2 * y), reference.detail(2 * y + 1), half.width, 0.0,
            coarse_detail_.row(y));
    }
    coarse_frame_.pad(Border::nearest, 0.0F);
  }

  void look_for(const Patch& patch, const DeformationTemplate& reference, int reach,
                const DeformationFit& fit) {
    double energy = 0.0;
    for (std::size_t y = patch.top; y < patch.bottom; ++y) {
      const float* row = reference.detail(y) + patch.left;
      energy += static_cast<double>(float_kernels().dot(row, row, patch.right - patch.left));
    }
    if (!(energy > 0.0)) return;
    // The coarse peak, and the best place beyond its neighbours.
    const Patch coarse = {0, 0, patch.top / 2, patch.bottom / 2, patch.left / 2, patch.right / 2};
    const int side = 2 * reach + 1;
    std::vector<double>& values = values_;
    values.assign(static_cast<std::size_t>(side * side), 0.0);
    const auto value_at = [&](int dy, int dx) -> double& {
      return values[static_cast<std::size_t>((dy + reach) * side + dx + reach)];
    };
    int best_y = 0;
    int best_x = 0;
    for (int dy = -reach; dy <= reach; ++dy) {
      for (int dx = -reach; dx <= reach; ++dx) {
        value_at(dy, dx) = correlation(coarse, coarse_frame_, coarse_detail_, dy, dx);
        if (value_at(dy, dx) > value_at(best_y, best_x)) {
          best_y = dy;
          best_x = dx;
        }
      }
    }
    double rival = 0.0;
    for (int dy = -reach; dy <= reach; ++dy) {
      for (int dx = -reach; dx <= reach; ++dx) {
        if (std::max(std::abs(dy - best_y), std::abs(dx - best_x)) < 2) continue;
        rival = std::max(rival, value_at(dy, dx));
      }
    }
    if (!(value_at(best_y, best_x) > least_ratio * rival)) return;
    // The fine one near it.
    int y = 2 * best_y;
    int x = 2 * best_x;
    std::array<double, 9> window{};
    for (int climb = 0;; ++climb) {
      std::size_t top = 4;
      for (int dy = -1; dy <= 1; ++dy) {
        for (int dx = -1; dx <= 1; ++dx) {
          const auto at = static_cast<std::size_t>(3 * (dy + 1) + dx + 1);
          window[at] = fine_correlation(patch, reference, y + dy, x + dx);
          if (window[at] > window[top]) top = at;
        }
      }
      if (top == 4) break;
      if (climb >= 4) return;
      y += static_cast<int>(top / 3) - 1;
      x += static_cast<int>(top % 3) - 1;
    }
    const double shown = window[4] / (fit.gain * energy);
    if (!(shown > least_shown)) return;
    const auto side_px = static_cast<double>(lattice_.pooling());
    found_.push_back({patch, side_px * (y + top_of(window[1], window[4], window[7])),
                      side_px * (x + top_of(window[3], window[4], window[5])), shown, energy});
  }

  /// Where the parabola through three values has its top, from the middle one.
  static double top_of(double before, double here, double after) {
    return std::clamp(parabola_vertex(before - here, after - here), -1.0, 1.0);
  }

  double fine_correlation(const Patch& patch, const DeformationTemplate& reference, int dy,
                          int dx) {
    if (std::max(std::abs(dy), std::abs(dx)) >= static_cast<int>(sample_padding)) return 0.0;
    double sum = 0.0;
    const SampledFrame frame = frame_.view();
    for (std::size_t y = patch.top; y < patch.bottom; ++y) {
      const float* row = frame.pixels + (static_cast<std::ptrdiff_t>(y) + dy) * frame.stride +
                         static_cast<std::ptrdiff_t>(patch.left) + dx;
      sum += static_cast<double>(
          float_kernels().dot(reference.detail(y) + patch.left, row, patch.right - patch.left));
    }
    return sum;
  }

  static double correlation(const Patch& patch, PaddedFrame& frame, PaddedFrame& detail, int dy,
                            int dx) {
    double sum = 0.0;
    const SampledFrame view = frame.view();
    for (std::size_t y = patch.top; y < patch.bottom; ++y) {
      const float* row = view.pixels + (static_cast<std::ptrdiff_t>(y) + dy) * view.stride +
                         static_cast<std::ptrdiff_t>(patch.left) + dx;
      sum += static_cast<double>(
          float_kernels().dot(detail.row(y) + patch.left, row, patch.right - patch.left));
    }
    return sum;
  }

  /// Patches that lie elsewhere than their neighbours, and are not sure of it.
  void drop_outliers() {
    std::vector<bool> is_out(found_.size());
    for (std::size_t i = 0; i < found_.size(); ++i) {
      if (found_[i].shown >= surely_shown) continue;
      std::vector<double> heights;
      std::vector<double> widths;
      for (std::size_t j = 0; j < found_.size(); ++j) {
        const auto apart = [](std::size_t a, std::size_t b) { return a > b ? a - b : b - a; };
        const bool is_near = apart(found_[i].patch.row, found_[j].patch.row) < 2 &&
                             apart(found_[i].patch.column, found_[j].patch.column) < 2;
        if (!is_near || i == j) continue;
        heights.push_back(found_[j].height);
        widths.push_back(found_[j].width);
      }
      if (heights.empty()) continue;
      const auto middle = [](std::vector<double>& values) {
        const auto at = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
        std::nth_element(values.begin(), at, values.end());
        return *at;
      };
      is_out[i] = std::fabs(found_[i].height - middle(heights)) > far ||
                  std::fabs(found_[i].width - middle(widths)) > far;
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < found_.size(); ++i) {
      if (!is_out[i]) found_[kept++] = found_[i];
    }
    found_.resize(kept);
  }

  /// The smooth field nearest to the patches, each as sure as its share of the template's detail.
  bool add_field(const DeformationTemplate& reference, std::size_t step,
                 DeformationFit& fit) const {
    if (found_.empty()) return false;
    double energy = 0.0;
    for (const Found& found : found_) energy += found.energy;
    const double trace = 0.5 * (reference.half(0).trace() + reference.half(1).trace());
    const std::size_t n = lattice_.unknowns();
    BandedMatrix normal(n, lattice_.band());
    std::vector<double> move(n);
    normal.add(reference.weight(step), reference.prior().energy());
    if (fit.deviation.empty()) fit.deviation.assign(n, 0.0);
    reference.prior().energy().multiply(-reference.weight(step), fit.deviation, move);
    const auto weights = control_weights(0.5);
    for (const Found& found : found_) {
      const double weight = trace * found.energy / energy;
      for (std::size_t a = 0; a < 16; ++a) {
        const double share_a = weight * weights[a / 4] * weights[a % 4];
        const std::size_t i =
            lattice_.unknown(found.patch.row + a / 4, found.patch.column + a % 4, 0);
        move[i] += share_a * found.width;
        move[i + 1] += share_a * found.height;
        for (std::size_t b = 0; b <= a; ++b) {
          const double share = share_a * weights[b / 4] * weights[b % 4];
          const std::size_t j =
              lattice_.unknown(found.patch.row + b / 4, found.patch.column + b % 4, 0);
          normal(i, j) += share;
          normal(i + 1, j + 1) += share;
        }
      }
    }
    BandedCholesky(std::move(normal)).solve(move);
    for (std::size_t i = 0; i < n; ++i) fit.deviation[i] += move[i];
    return true;
  }

  const DeformationLattice& lattice_;
  std::vector<Patch> patches_;
  std::vector<Found> found_;
  std::vector<double> values_;
  PaddedFrame frame_;
  PaddedFrame coarse_frame_;
  PaddedFrame coarse_detail_;
};

}  // namespace stillscope
