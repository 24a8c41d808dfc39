// SPDX-License-Identifier: GPL-3.0-or-later
/// A template made ready for deformed frames to be fitted to it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/nonrigid/banded_matrix.hpp"
#include "stillscope/nonrigid/deformation_lattice.hpp"
#include "stillscope/nonrigid/deformation_prior.hpp"
#include "stillscope/refine/area.hpp"
#include "stillscope/refine/reference_template.hpp"

namespace stillscope {

/// How large deformations are taken to be: a root mean square [px] from a ladder of powers of two.
class ExpectedSize {
 public:
  static constexpr std::size_t steps = 9;
  [[nodiscard]] static double of(std::size_t step) {
    return std::ldexp(1.0, static_cast<int>(step) - 5);
  }
  /// The nearest step.
  [[nodiscard]] static std::size_t nearest(double size) {
    const double step = std::nearbyint(std::log2(std::max(size, 1e-6)) + 5.0);
    return static_cast<std::size_t>(std::clamp(step, 0.0, static_cast<double>(steps - 1)));
  }
};

/// Pooled pixels of a template with their gradients; the normal matrix of the control points and
/// its factors. Eq. (12), (13). Everything about it is known before the first frame is fitted.
class DeformationTemplate {
 public:
  /// `mean`: of pooled pixels, C order, finite; what lies outside `area` [pooled px] is not
  /// believed. `weights`: how much each pooled pixel counts, or nothing. `highpass`, `lowpass`
  /// [px]: as of `ReferenceTemplate`. `noise`: standard deviation of a frame's pooled pixel over
  /// its gain.
  DeformationTemplate(const DeformationLattice& lattice, const DeformationPrior& prior,
                      FrameView<const float> mean, const Area& area, std::span<const float> weights,
                      double highpass, double lowpass, double noise, const Executor& executor)
      : lattice_(lattice),
        prior_(prior),
        noise_(noise),
        size_(lattice.stride() * lattice.pooled().height),
        prediction_(size_),
        gradient_height_(size_),
        gradient_width_(size_),
        detail_(size_),
        block_details_(lattice.blocks().area()) {
    const auto side = static_cast<double>(lattice.pooling());
    const ReferenceTemplate reference(mean, area, weights, highpass / side, lowpass / side,
                                      executor);
    level_ = reference.level();
    area_ = reference.area();
    for (auto& half : halves_) half = BandedMatrix(lattice.unknowns(), lattice.band());
    copy(reference, mean, area);
    add_blocks(reference);
    factors_.resize(ExpectedSize::steps);
    executor.for_each(ExpectedSize::steps, [&](std::size_t step) {
      BandedMatrix sum = halves_[0];
      sum.add(1.0, halves_[1]);
      sum.add(weight(step), prior_.energy());
      factors_[step] = BandedCholesky(std::move(sum));
    });
  }

  [[nodiscard]] const DeformationLattice& lattice() const { return lattice_; }
  [[nodiscard]] const DeformationPrior& prior() const { return prior_; }
  /// The mean over the area, which predictions have been freed from.
  [[nodiscard]] double level() const { return level_; }
  /// Where frames are compared with it [pooled px].
  [[nodiscard]] const Area& area() const { return area_; }
  [[nodiscard]] const float* prediction(std::size_t y) const { return row(prediction_, y); }
  [[nodiscard]] const float* gradient_height(std::size_t y) const {
    return row(gradient_height_, y);
  }
  [[nodiscard]] const float* gradient_width(std::size_t y) const { return row(gradient_width_, y); }
  /// Without what is smooth; 0 outside the area.
  [[nodiscard]] const float* detail(std::size_t y) const { return row(detail_, y); }
  /// Sums over the pixels of a block.
  struct BlockDetail {
    double square = 0.0;  ///< Of the detail.
    double height = 0.0;  ///< Of the detail times the gradient.
    double width = 0.0;
  };
  /// One a block (rows, columns).
  [[nodiscard]] std::span<const BlockDetail> block_details() const { return block_details_; }

  /// The normal matrix of the blocks of one colour of a chessboard.
  [[nodiscard]] const BandedMatrix& half(std::size_t colour) const { return halves_[colour]; }
  /// How much the prior weighs beside the normal matrix where deformations are expected to be of
  /// this size: the noise over it, squared.
  [[nodiscard]] double weight(std::size_t step) const {
    const double ratio = noise_ / ExpectedSize::of(step);
    return ratio * ratio;
  }
  [[nodiscard]] const BandedCholesky& factor(std::size_t step) const { return factors_[step]; }

  /// Standard error [px] of the field of a frame at each corner (rows, columns), mean over the
  /// axes, where its noise is as given. The executor shares the corners out.
  [[nodiscard]] std::vector<double> errors(std::size_t step, const Executor& executor) const {
    const Extent corners = lattice_.corners();
    std::vector<double> result(corners.area());
    executor.for_each(result.size(), [&](std::size_t at) {
      const std::size_t y = at / corners.width;
      const std::size_t x = at % corners.width;
      double variance = 0.0;
      for (std::size_t axis = 0; axis < 2; ++axis) {
        std::vector<double> map(lattice_.unknowns());
        constexpr std::array<double, 3> shares = {1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0};
        for (std::size_t j = 0; j < 3; ++j) {
          for (std::size_t k = 0; k < 3; ++k) {
            map[lattice_.unknown(y + j, x + k, axis)] = shares[j] * shares[k];
          }
        }
        factors_[step].solve_lower(map);
        for (const double value : map) variance += 0.5 * value * value;
      }
      result[at] = noise_ * std::sqrt(variance);
    });
    return result;
  }

 private:
  [[nodiscard]] const float* row(const AlignedBuffer<float>& plane, std::size_t y) const {
    return plane.data() + y * lattice_.stride();
  }

  void copy(const ReferenceTemplate& reference, const FrameView<const float>& mean,
            const Area& area) {
    for (auto* plane : {&prediction_, &gradient_height_, &gradient_width_, &detail_}) {
      std::fill_n(plane->data(), size_, 0.0F);
    }
    if (area.is_empty()) return;
    const auto level = static_cast<float>(level_);
    const Extent pooled = lattice_.pooled();
    for (std::size_t y = 0; y < pooled.height; ++y) {
      const auto row = static_cast<std::ptrdiff_t>(y);
      const std::size_t to = y * lattice_.stride();
      const float* from =
          mean.row(static_cast<std::size_t>(std::clamp(row, area.top, area.bottom - 1)));
      for (std::size_t x = 0; x < pooled.width; ++x) {
        const auto column = std::clamp(static_cast<std::ptrdiff_t>(x), area.left, area.right - 1);
        prediction_.data()[to + x] = from[column] - level;
      }
      // A pixel, not a pooled one, is the unit of displacements.
      const float scale = 1.0F / static_cast<float>(lattice_.pooling());
      for (std::size_t x = 0; x < pooled.width; ++x) {
        gradient_height_.data()[to + x] = scale * reference.gradient_height(row)[x];
        gradient_width_.data()[to + x] = scale * reference.gradient_width(row)[x];
      }
      if (row < area_.top || row >= area_.bottom || area_.is_empty()) continue;
      const float* detail = reference.detail().row(y);
      std::copy(detail + area_.left, detail + area_.right, detail_.data() + to + area_.left);
    }
  }

  void add_blocks(const ReferenceTemplate& reference) {
    const Extent blocks = lattice_.blocks();
    const auto side = static_cast<std::ptrdiff_t>(lattice_.block());
    for (std::size_t i = 0; i < blocks.height; ++i) {
      for (std::size_t j = 0; j < blocks.width; ++j) {
        const Area all{
            static_cast<std::ptrdiff_t>(i) * side, static_cast<std::ptrdiff_t>(i + 1) * side,
            static_cast<std::ptrdiff_t>(j) * side, static_cast<std::ptrdiff_t>(j + 1) * side};
        const Area area = all & area_;
        if (area.is_empty()) continue;
        BlockDetail& sums = block_details_[i * blocks.width + j];
        for (std::ptrdiff_t y = area.top; y < area.bottom; ++y) {
          const auto row = static_cast<std::size_t>(y);
          for (std::ptrdiff_t x = area.left; x < area.right; ++x) {
            const auto value = static_cast<double>(detail(row)[x]);
            sums.square += value * value;
            sums.height += value * static_cast<double>(gradient_height(row)[x]);
            sums.width += value * static_cast<double>(gradient_width(row)[x]);
          }
        }
        add_block(i, j, definite(per_pixel(reference.normal(area))));
      }
    }
  }

  /// From sums over products of gradients a pooled pixel to those a pixel.
  [[nodiscard]] Normal per_pixel(const Normal& normal) const {
    const double scale = 1.0 / static_cast<double>(lattice_.pooling() * lattice_.pooling());
    return {scale * normal.hh, scale * normal.hw, scale * normal.wh, scale * normal.ww};
  }

  /// The nearest matrix that is symmetric and has no negative eigenvalue, as (ww, hw, hh).
  static std::array<double, 3> definite(const Normal& normal) {
    const double hw = 0.5 * (normal.hw + normal.wh);
    const double middle = 0.5 * (normal.hh + normal.ww);
    const double apart = 0.5 * (normal.hh - normal.ww);
    const double radius = std::hypot(apart, hw);
    const double high = std::max(middle + radius, 0.0);
    const double low = std::max(middle - radius, 0.0);
    if (radius <= 0.0) return {high, 0.0, high};
    const double new_middle = 0.5 * (high + low);
    const double scale = 0.5 * (high - low) / radius;
    return {new_middle - scale * apart, scale * hw, new_middle + scale * apart};
  }

  void add_block(std::size_t i, std::size_t j, const std::array<double, 3>& normal) {
    const auto& down = lattice_.block_row(i);
    const auto& along = lattice_.block_column(j);
    BandedMatrix& to = halves_[(i + j) % 2];
    for (std::size_t a = 0; a < 16; ++a) {
      const double share_a = down.weights[a / 4] * along.weights[a % 4];
      const std::size_t first = lattice_.unknown(down.first + a / 4, along.first + a % 4, 0);
      for (std::size_t b = 0; b <= a; ++b) {
        const double share = share_a * down.weights[b / 4] * along.weights[b % 4];
        const std::size_t second = lattice_.unknown(down.first + b / 4, along.first + b % 4, 0);
        to(first, second) += share * normal[0];
        to(first + 1, second) += share * normal[1];
        to(first + 1, second + 1) += share * normal[2];
        if (first != second) to(first, second + 1) += share * normal[1];
      }
    }
  }

  const DeformationLattice& lattice_;
  const DeformationPrior& prior_;
  double noise_;
  double level_ = 0.0;
  Area area_;
  std::size_t size_;
  AlignedBuffer<float> prediction_;
  AlignedBuffer<float> gradient_height_;
  AlignedBuffer<float> gradient_width_;
  AlignedBuffer<float> detail_;
  std::vector<BlockDetail> block_details_;
  std::array<BandedMatrix, 2> halves_;
  std::vector<BandedCholesky> factors_;
};

}  // namespace stillscope
