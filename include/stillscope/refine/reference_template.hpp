// SPDX-License-Identifier: GPL-3.0-or-later
/// A template made ready for frames to be fitted to it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>

#include "stillscope/blur/box_blur.hpp"
#include "stillscope/blur/gaussian.hpp"
#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/refine/area.hpp"
#include "stillscope/simd/row_kernels.hpp"
#include "stillscope/warp/cubic_spline.hpp"

namespace stillscope {

/// A symmetric or nearly symmetric 2 x 2 matrix: what a shift changes in the sums over residuals
/// times gradients.
struct Normal {
  double hh = 0.0;
  double hw = 0.0;
  double wh = 0.0;
  double ww = 0.0;

  [[nodiscard]] double determinant() const { return hh * ww - hw * wh; }
  /// False where the template has no structure to tell a shift on some axis.
  [[nodiscard]] bool is_regular() const {
    const double trace = hh + ww;
    return trace > 0.0 && determinant() > 1e-6 * trace * trace;
  }
  /// The shift that makes these sums.
  [[nodiscard]] Shift solve(double height, double width) const {
    const double scale = 1.0 / determinant();
    return {scale * (ww * height - hw * width), scale * (hh * width - wh * height)};
  }
  /// Root mean square over the axes of the error of a shift, where the noise of a pixel is 1.
  [[nodiscard]] double error() const { return std::sqrt(0.5 * (hh + ww) / determinant()); }
};

/// The mean of a movie's registered frames as the coefficients of a spline, and the gradients that
/// turn residuals into shifts. Eq. (8), (9).
class ReferenceTemplate {
 public:
  /// Predictions at up to half a pixel's distance need this many pixels round them.
  static constexpr std::ptrdiff_t reach = 2;

  /// `mean` (height, width), C order, finite; only `area`, a part of it, is believed. `weights`:
  /// how much each pixel counts, or nothing. `highpass`: gradients are freed from what is smoother
  /// than about this [px], `lowpass` and from what is finer than that; 0: not. The executor may
  /// share the rows out.
  ReferenceTemplate(FrameView<const float> mean, const Area& area, std::span<const float> weights,
                    double highpass, double lowpass = 0.0,
                    const Executor& executor = SerialExecutor())
      : extent_(mean.extent()),
        area_(area & Area::of(mean.extent()).inset(reach)),
        level_(mean_over(mean, area)),
        stride_((extent_.width + pad - 1) / pad * pad + pad),
        coefficients_(stride_ * extent_.height + 4 * pad),
        gradient_height_(coefficients_.size()),
        gradient_width_(coefficients_.size()),
        detail_(extent_.area()),
        sums_((extent_.height + 1) * (extent_.width + 1)),
        block_sums_((extent_.height / rows_at_once + 1) * (extent_.width + 1)) {
    AlignedBuffer<float> plane(extent_.area());
    extend(mean, area, plane.data(), executor);
    std::copy_n(plane.data(), extent_.area(), detail_.data());
    if (highpass > 0.0) {
      BoxBlur blur(extent_);
      blur(detail_.data(), highpass, executor);
      for_each_run(extent_.area(), rows_at_once * stride_, executor,
                   [&](std::size_t begin, std::size_t end) {
                     for (std::size_t i = begin; i < end; ++i) {
                       detail_.data()[i] = plane.data()[i] - detail_.data()[i];
                     }
                   });
    }
    to_spline_coefficients(plane.data(), extent_, executor);
    for (auto* rows : {&coefficients_, &gradient_height_, &gradient_width_}) {
      // What pads the rows, too.
      for_each_run(rows->size(), rows_at_once * stride_, executor,
                   [&](std::size_t begin, std::size_t end) {
                     std::fill(rows->data() + begin, rows->data() + end, 0.0F);
                   });
    }
    for_each_run(extent_.height, rows_at_once, executor, [&](std::size_t begin, std::size_t end) {
      for (std::size_t y = begin; y < end; ++y) {
        std::copy_n(plane.data() + y * extent_.width, extent_.width,
                    coefficients_.data() + offset(static_cast<std::ptrdiff_t>(y)));
      }
    });
    make_gradients(plane.data(), weights, lowpass, executor);
  }

  [[nodiscard]] Extent extent() const { return extent_; }
  /// Where frames can be compared with it.
  [[nodiscard]] const Area& area() const { return area_; }
  /// The mean over the area, which coefficients have been freed from.
  [[nodiscard]] double level() const { return level_; }
  /// What follows is aligned and padded as `FittedRow` has it.
  [[nodiscard]] const float* coefficients(std::ptrdiff_t y) const {
    return coefficients_.data() + offset(y);
  }
  [[nodiscard]] const float* gradient_height(std::ptrdiff_t y) const {
    return gradient_height_.data() + offset(y);
  }
  [[nodiscard]] const float* gradient_width(std::ptrdiff_t y) const {
    return gradient_width_.data() + offset(y);
  }
  /// The template less what is smooth in it, extended beyond its area.
  [[nodiscard]] FrameView<const float> detail() const { return {detail_.data(), extent_}; }

  /// Over an area within `area()`.
  [[nodiscard]] Normal normal(const Area& area) const {
    const auto at = [&](std::ptrdiff_t row, std::ptrdiff_t column) {
      const auto y = static_cast<std::size_t>(row);
      const auto x = static_cast<std::size_t>(column);
      const std::size_t stride = extent_.width + 1;
      Sums sums = block_sums_.data()[y / rows_at_once * stride + x];
      add(sums_.data()[y * stride + x], sums);
      return sums;
    };
    const Sums a = at(area.top, area.left);
    const Sums b = at(area.top, area.right);
    const Sums c = at(area.bottom, area.left);
    const Sums d = at(area.bottom, area.right);
    const auto sum = [&](std::size_t i) { return (d[i] - c[i]) - (b[i] - a[i]); };
    return {sum(0), sum(1), sum(2), sum(3)};
  }

 private:
  using Sums = std::array<double, 4>;
  static constexpr std::size_t pad = fit_padding;
  static constexpr std::size_t rows_at_once = 32;

  [[nodiscard]] std::size_t offset(std::ptrdiff_t y) const {
    return pad + static_cast<std::size_t>(y) * stride_;
  }

  static double mean_over(const FrameView<const float>& mean, const Area& area) {
    double sum = 0.0;
    for (std::ptrdiff_t y = area.top; y < area.bottom; ++y) {
      const float* row = mean.row(static_cast<std::size_t>(y));
      for (std::ptrdiff_t x = area.left; x < area.right; ++x) sum += static_cast<double>(row[x]);
    }
    return area.is_empty() ? 0.0 : sum / static_cast<double>(area.size());
  }

  /// The template less its level; outside the area, as at the nearest pixel in it.
  void extend(const FrameView<const float>& mean, const Area& area, float* plane,
              const Executor& executor) const {
    if (area.is_empty()) {
      std::fill_n(plane, extent_.area(), 0.0F);
      return;
    }
    const auto level = static_cast<float>(level_);
    const auto left = static_cast<std::size_t>(area.left);
    const auto right = static_cast<std::size_t>(area.right);
    for_each_run(extent_.height, rows_at_once, executor, [&](std::size_t begin, std::size_t end) {
      for (std::size_t y = begin; y < end; ++y) {
        const auto row = std::clamp(static_cast<std::ptrdiff_t>(y), area.top, area.bottom - 1);
        const float* from = mean.row(static_cast<std::size_t>(row));
        float* to = plane + y * extent_.width;
        std::fill_n(to, left, from[left] - level);
        for (std::size_t x = left; x < right; ++x) to[x] = from[x] - level;
        std::fill_n(to + right, extent_.width - right, from[right - 1] - level);
      }
    });
  }

  /// Gradients of the spline, and of its detail times the weights; the sums of their products.
  void make_gradients(const float* full, std::span<const float> weights, double lowpass,
                      const Executor& executor) {
    AlignedBuffer<float> fine(extent_.area());
    std::copy_n(detail_.data(), extent_.area(), fine.data());
    if (lowpass > 0.0) GaussianBlur(extent_, lowpass)(detail_.data(), fine.data(), executor);
    to_spline_coefficients(fine.data(), extent_, executor);
    // Within blocks of rows, in which one thread works, and then from block to block.
    const std::size_t stride = extent_.width + 1;
    for_each_run(extent_.height, rows_at_once, executor, [&](std::size_t begin, std::size_t end) {
      AlignedBuffer<float> scratch(2 * extent_.width);
      Sums* above = sums_.data() + begin * stride;
      std::fill_n(above, stride, Sums{});
      for (std::size_t y = begin; y < end; ++y) {
        const bool is_full = (y + 1) % rows_at_once == 0;
        Sums* sums =
            is_full ? block_sums_.data() + (y + 1) / rows_at_once * stride : above + stride;
        gradient_row(y, full, fine.data(), weights, scratch.data(), above, sums);
        above = sums;
      }
    });
    if (extent_.height % rows_at_once == 0) {
      std::fill_n(sums_.data() + extent_.height * stride, stride, Sums{});
    }
    std::fill_n(block_sums_.data(), stride, Sums{});
    for (std::size_t i = stride; i < block_sums_.size(); ++i) {
      add(block_sums_.data()[i - stride], block_sums_.data()[i]);
    }
  }

  static void add(const Sums& more, Sums& sums) {
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += more[i];
  }

  /// `sums`: those `above`, and of this row's products up to each column. `scratch`: two rows.
  void gradient_row(std::size_t y, const float* full, const float* fine,
                    std::span<const float> weights, float* scratch, const Sums* above, Sums* sums) {
    std::copy_n(above, extent_.width + 1, sums);
    const auto in_rows = static_cast<std::ptrdiff_t>(y);
    if (in_rows < area_.top || in_rows >= area_.bottom || area_.is_empty()) return;
    const auto left = static_cast<std::size_t>(area_.left);
    const std::size_t size = area_.width();
    const std::size_t begin = y * extent_.width + left;
    float* heights = gradient_height_.data() + offset(in_rows) + left;
    float* widths = gradient_width_.data() + offset(in_rows) + left;
    gradients(fine + begin, size, heights, widths);
    if (!weights.empty()) {
      for (std::size_t x = 0; x < size; ++x) heights[x] *= weights[begin + x];
      for (std::size_t x = 0; x < size; ++x) widths[x] *= weights[begin + x];
    }
    // A row that is brighter than it should be, as rows of sensors are, says nothing.
    double height_sum = 0.0;
    double width_sum = 0.0;
    double weight_sum = weights.empty() ? static_cast<double>(size) : 0.0;
#pragma omp simd reduction(+ : height_sum, width_sum)
    for (std::size_t x = 0; x < size; ++x) {
      height_sum += static_cast<double>(heights[x]);
      width_sum += static_cast<double>(widths[x]);
    }
    if (!weights.empty()) {
      for (std::size_t x = 0; x < size; ++x) weight_sum += static_cast<double>(weights[begin + x]);
    }
    const double share = weight_sum > 0.0 ? 1.0 / weight_sum : 0.0;
    const auto height_mean = static_cast<float>(share * height_sum);
    const auto width_mean = static_cast<float>(share * width_sum);
    for (std::size_t x = 0; x < size; ++x) {
      const float weight = weights.empty() ? 1.0F : weights[begin + x];
      heights[x] -= weight * height_mean;
      widths[x] -= weight * width_mean;
    }
    float* full_heights = scratch;
    float* full_widths = scratch + size;
    gradients(full + begin, size, full_heights, full_widths);
    Sums row{};
    for (std::size_t x = 0; x < size; ++x) {
      add(row, sums[left + x]);
      const auto height = static_cast<double>(heights[x]);
      const auto width = static_cast<double>(widths[x]);
      const auto full_height = static_cast<double>(full_heights[x]);
      const auto full_width = static_cast<double>(full_widths[x]);
      row[0] += height * full_height;
      row[1] += height * full_width;
      row[2] += width * full_height;
      row[3] += width * full_width;
    }
    for (std::size_t x = left + size; x <= extent_.width; ++x) add(row, sums[x]);
  }

  /// Of a spline at `n` of its coefficients in a row: differences along one axis, smoothed along
  /// the other.
  void gradients(const float* at, std::size_t n, float* __restrict heights,
                 float* __restrict widths) const {
    const float* above = at - extent_.width;
    const float* below = at + extent_.width;
    constexpr float scale = 1.0F / 12.0F;
    for (std::size_t x = 0; x < n; ++x) {
      heights[x] = scale * (((below + x)[-1] - (above + x)[-1]) + 4.0F * (below[x] - above[x]) +
                            (below[x + 1] - above[x + 1]));
    }
    for (std::size_t x = 0; x < n; ++x) {
      widths[x] = scale * ((above[x + 1] - (above + x)[-1]) + 4.0F * (at[x + 1] - (at + x)[-1]) +
                           (below[x + 1] - (below + x)[-1]));
    }
  }

  Extent extent_;
  Area area_;
  double level_;
  std::size_t stride_;
  AlignedBuffer<float> coefficients_;
  AlignedBuffer<float> gradient_height_;
  AlignedBuffer<float> gradient_width_;
  AlignedBuffer<float> detail_;
  // Up to each pixel, with a first row and column of zeros: of the block of rows that it lies in,
  // and of those above that.
  AlignedBuffer<Sums> sums_;
  AlignedBuffer<Sums> block_sums_;
};

}  // namespace stillscope
