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
#include "stillscope/nonrigid/deformation_fit.hpp"
#include "stillscope/nonrigid/deformation_lattice.hpp"
#include "stillscope/nonrigid/deformation_template.hpp"
#include "stillscope/nonrigid/patch_search.hpp"
#include "stillscope/nonrigid/spline_field.hpp"
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
        search_(lattice) {
    const std::size_t stride = lattice.stride();
    for (auto& sums : column_sums_) sums.reserve(stride);
    blocks_.resize(lattice.blocks().area());
    along_.resize(blocks_.size());
    gains_.resize(blocks_.size());
    cell_sums_.resize(lattice.grid().height.cells * lattice.grid().width.cells);
    for (auto& half : halves_) half.resize(lattice.unknowns());
    for (auto& sums : row_sums_) sums.resize(2 * lattice.grid().width.points());
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
  /// `lattice.stride()`; NaN where the frame has none. Returns whether there was a fit at all.
  void operator()(const DeformationTemplate& reference, std::size_t step, DeformationFit& fit,
                  float* warped) {
    iterate(reference, step, fit, warped);
    fit.has_patches = false;
    if (!settings_.has_patches || fit.lost_cells == 0) return;
    DeformationFit other = fit;
    // From the rigid shift: what has converged elsewhere may be anywhere.
    other.deviation.clear();
    other.sigma = 0.0;
    for (std::size_t k = 0; k < most_searches; ++k) {
      sample(other, warped);
      if (!search_(reference, warped, largest_step, k == 0 ? wide : narrow, other)) break;
    }
    other.has_patches = true;
    iterate(reference, largest_step, other, warped);
    const bool is_better =
        other.lost_cells < fit.lost_cells ||
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
    if (update_brightness(fit)) describe(reference, step, fit);
  }

  void iterate(const DeformationTemplate& reference, std::size_t step, DeformationFit& fit,
               float* warped) {
    const std::size_t n = lattice_.unknowns();
    fit.has_converged = false;
    fit.steps = 0;
    if (fit.deviation.empty()) fit.deviation.assign(n, 0.0);
    std::vector<double>& move = move_;
    move.resize(n);
    while (true) {
      const bool is_last = fit.steps + 1 >= settings_.most_steps;
      evaluate(reference, fit, warped);
      if (!update_brightness(fit)) return;
      for (std::size_t i = 0; i < n; ++i) move[i] = (halves_[0][i] + halves_[1][i]) / fit.gain;
      reference.prior().energy().multiply(-reference.weight(step), fit.deviation, move);
      reference.factor(step).solve(move);
      const Length length = length_of(move);
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

  struct Length {
    double longest = 0.0;  // component at any corner of the mesh [px]
    double usual = 0.0;    // their root mean square
  };
  [[nodiscard]] Length length_of(std::span<const double> move) const {
    Length length;
    const Extent corners = lattice_.corners();
    for (std::size_t y = 0; y < corners.height; ++y) {
      for (std::size_t x = 0; x < corners.width; ++x) {
        for (std::size_t axis = 0; axis < 2; ++axis) {
          const double at = std::fabs(lattice_.at_corner(move, y, x, axis));
          if (!(at <= length.longest)) length.longest = at;
          length.usual += at * at;
        }
      }
    }
    length.usual = std::sqrt(length.usual / static_cast<double>(2 * corners.area()));
    return length;
  }

  /// The total field of a fit, as coefficients.
  void set_field(const DeformationFit& fit) {
    const std::size_t points = lattice_.grid().points();
    if (fit.deviation.empty()) {
      std::fill(coefficients_.begin(), coefficients_.end(), 0.0);
    } else {
      lattice_.to_coefficients(fit.deviation, coefficients_);
    }
    for (std::size_t i = 0; i < points; ++i) {
      coefficients_[i] -= fit.shift.width;
      coefficients_[points + i] -= fit.shift.height;
    }
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
    sums_ = {};
    pixels_ = 0.0;
    DeformedRow row{};
    row.gain = static_cast<float>(fit.gain);
    row.offset = static_cast<float>(fit.offset);
    row.limit = settings_.robust > 0.0 && fit.sigma > 0.0
                    ? static_cast<float>(settings_.robust * fit.sigma)
                    : std::numeric_limits<float>::max();
    const DeformedSums columns{column_sums_[0].data(), column_sums_[1].data(),
                               column_sums_[2].data()};
    for (std::size_t i = 0; i < blocks.height; ++i) {
      for (auto& sums : column_sums_) std::fill_n(sums.data(), stride, 0.0F);
      const std::size_t end = std::min((i + 1) * side, lattice_.pooled().height);
      for (std::size_t y = i * side; y < end; ++y) {
        float* out = warped + y * stride;
        sample_row(y, out);
        row.sampled = out;
        row.prediction = reference.prediction(y);
        row.gradient_height = reference.gradient_height(y);
        row.gradient_width = reference.gradient_width(y);
        row.detail = reference.detail(y);
        pixels_ += float_kernels().deformed_residuals(row, stride, columns, &sums_);
      }
      for (std::size_t j = 0; j < blocks.width; ++j) {
        blocks_[i * blocks.width + j] = {block_sum(column_sums_[0], j),
                                         block_sum(column_sums_[1], j),
                                         block_sum(column_sums_[2], j)};
      }
    }
    find_gains(reference, fit);
    for (auto& half : halves_) std::fill(half.begin(), half.end(), 0.0);
    for (std::size_t i = 0; i < blocks.height; ++i) add_blocks(reference, i);
  }

  [[nodiscard]] double block_sum(const AlignedBuffer<float>& sums, std::size_t j) const {
    // Four sums, so that none waits for another. Rows are padded to eight.
    const std::size_t end = std::min((j + 1) * lattice_.block(), lattice_.stride());
    std::array<float, 4> four{};
    for (std::size_t k = j * lattice_.block(); k < end; k += 4) {
      for (std::size_t l = 0; l < 4; ++l) four[l] += sums.data()[k + l];
    }
    return static_cast<double>((four[0] + four[1]) + (four[2] + four[3]));
  }

  /// By how much the contrast round each block differs from the frame's: a vignette that stays
  /// while the scene moves below it makes it do so, which would look like a displacement. From the
  /// blocks up to two away; 0 where there is little to tell it from.
  void find_gains(const DeformationTemplate& reference, const DeformationFit& fit) {
    const Extent blocks = lattice_.blocks();
    const auto details = reference.block_details();
    const double noise = fit.sigma * fit.sigma / (usual_contrast * usual_contrast);
    const auto window = [](std::size_t i, std::size_t n) {
      return std::pair{i > near_blocks ? i - near_blocks : 0, std::min(i + near_blocks + 1, n)};
    };
    // Along the rows, then the columns: residuals times detail, detail squared.
    for (std::size_t i = 0; i < blocks.height; ++i) {
      for (std::size_t j = 0; j < blocks.width; ++j) {
        const auto [first, last] = window(j, blocks.width);
        std::array<double, 2> sum{};
        for (std::size_t k = i * blocks.width + first; k < i * blocks.width + last; ++k) {
          sum[0] += blocks_[k].detail;
          sum[1] += details[k].square;
        }
        along_[i * blocks.width + j] = sum;
      }
    }
    for (std::size_t i = 0; i < blocks.height; ++i) {
      const auto [first, last] = window(i, blocks.height);
      for (std::size_t j = 0; j < blocks.width; ++j) {
        std::array<double, 2> sum{};
        for (std::size_t k = first; k < last; ++k) {
          sum[0] += along_[k * blocks.width + j][0];
          sum[1] += along_[k * blocks.width + j][1];
        }
        gains_[i * blocks.width + j] = sum[1] > 0.0 ? sum[0] / (sum[1] + noise) : 0.0;
      }
    }
  }
  static constexpr std::size_t near_blocks = 2;
  /// Contrasts differ by about this share.
  static constexpr double usual_contrast = 0.1;

  /// Shares minus the sums of a row of blocks out to their control points: frames are sampled
  /// where the template's gradient says that they should be.
  void add_blocks(const DeformationTemplate& reference, std::size_t i) {
    const std::size_t row = 2 * lattice_.grid().width.points();
    const std::size_t columns = lattice_.blocks().width;
    for (auto& sums : row_sums_) std::fill(sums.begin(), sums.end(), 0.0);
    for (std::size_t j = 0; j < columns; ++j) {
      const auto& along = lattice_.block_column(j);
      const auto& detail = reference.block_details()[i * columns + j];
      const BlockSums& block = blocks_[i * columns + j];
      const double gain = gains_[i * columns + j];
      const double width = block.width - gain * detail.width;
      const double height = block.height - gain * detail.height;
      double* to = &row_sums_[(i + j) % 2][2 * along.first];
      for (std::size_t l = 0; l < 4; ++l) {
        to[2 * l] += along.weights[l] * width;
        to[2 * l + 1] += along.weights[l] * height;
      }
    }
    const auto& down = lattice_.block_row(i);
    for (std::size_t colour = 0; colour < 2; ++colour) {
      for (std::size_t k = 0; k < 4; ++k) {
        double* to = &halves_[colour][lattice_.unknown(down.first + k, 0, 0)];
        const double share = -down.weights[k];
        for (std::size_t l = 0; l < row; ++l) to[l] += share * row_sums_[colour][l];
      }
    }
  }

  /// Gain and offset by least squares, and what is left. False where there is no such gain.
  [[nodiscard]] bool update_brightness(DeformationFit& fit) const {
    if (!(pixels_ > 0.0)) return false;
    const ResidualSums& s = sums_;
    const double spread = s.pp - s.p * s.p / pixels_;
    const double covariance = s.rp - s.r * s.p / pixels_;
    if (!(spread > 0.0)) return false;
    double rest = s.rr - s.r * s.r / pixels_;
    if (settings_.has_brightness) {
      rest -= covariance * covariance / spread;
      fit.gain += covariance / spread;
      fit.offset += (s.r - covariance / spread * s.p) / pixels_;
    } else {
      fit.offset += s.r / pixels_;
    }
    fit.sigma = std::sqrt(std::max(rest, 0.0) / pixels_);
    if (!(fit.gain > 0.02 && fit.gain < 50.0)) return false;
    const double explained = fit.gain * fit.gain * spread / pixels_;
    fit.similarity = std::sqrt(explained / (explained + fit.sigma * fit.sigma));
    return true;
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
    fit.agreed_square = mean_product(halves_[0], halves_[1]);
    fit.held_back_square = highest_product(rests_[0], rests_[1]);
    count_lost(reference, fit);
  }

  /// Cells whose pixels show nothing of the template.
  void count_lost(const DeformationTemplate& reference, DeformationFit& fit) {
    const std::size_t cells = lattice_.grid().width.cells;
    for (auto& sum : cell_sums_) sum = {};
    for (std::size_t i = 0; i < lattice_.blocks().height; ++i) {
      for (std::size_t j = 0; j < lattice_.blocks().width; ++j) {
        const std::size_t k = i * lattice_.blocks().width + j;
        auto& sum =
            cell_sums_[lattice_.block_row(i).first * cells + lattice_.block_column(j).first];
        sum[0] += blocks_[k].detail;
        sum[1] += reference.block_details()[k].square;
      }
    }
    fit.lost_cells = 0;
    for (const auto& [shown, energy] : cell_sums_) {
      if (!(energy > 0.0)) continue;
      const double error = fit.sigma / (fit.gain * std::sqrt(energy));
      if (1.0 + shown / (fit.gain * energy) + sure * error < least_shown) ++fit.lost_cells;
    }
  }
  static constexpr double least_shown = 0.5;
  static constexpr double sure = 4.0;

  /// Mean over corners and axes of the product of two fields, each less its mean.
  [[nodiscard]] double mean_product(std::span<const double> a, std::span<const double> b) const {
    const Extent corners = lattice_.corners();
    const auto count = static_cast<double>(corners.area());
    double result = 0.0;
    for (std::size_t axis = 0; axis < 2; ++axis) {
      double sum_a = 0.0;
      double sum_b = 0.0;
      double sum = 0.0;
      for (std::size_t y = 0; y < corners.height; ++y) {
        for (std::size_t x = 0; x < corners.width; ++x) {
          const double in_a = lattice_.at_corner(a, y, x, axis);
          const double in_b = lattice_.at_corner(b, y, x, axis);
          sum_a += in_a;
          sum_b += in_b;
          sum += in_a * in_b;
        }
      }
      result += 0.5 * (sum - sum_a * sum_b / count) / count;
    }
    return result;
  }

  /// The highest product of two fields at a corner, mean over the axes.
  [[nodiscard]] double highest_product(std::span<const double> a, std::span<const double> b) const {
    const Extent corners = lattice_.corners();
    double highest = 0.0;
    for (std::size_t y = 0; y < corners.height; ++y) {
      for (std::size_t x = 0; x < corners.width; ++x) {
        double product = 0.0;
        for (std::size_t axis = 0; axis < 2; ++axis) {
          product += 0.5 * lattice_.at_corner(a, y, x, axis) * lattice_.at_corner(b, y, x, axis);
        }
        highest = std::max(highest, product);
      }
    }
    return highest;
  }

  const DeformationLattice& lattice_;
  DeformationFitSettings settings_;
  FieldRows field_;
  std::vector<double> coefficients_;
  PaddedFrame padded_;
  PatchSearch search_;
  std::array<AlignedBuffer<float>, 3> column_sums_;  // height, width, detail
  std::array<std::vector<double>, 2> halves_;
  std::array<std::vector<double>, 2> row_sums_;
  std::array<std::vector<double>, 2> rests_;
  std::vector<double> move_;
  struct BlockSums {
    double height = 0.0;  // residuals times gradients
    double width = 0.0;
    double detail = 0.0;  // times detail
  };
  std::vector<BlockSums> blocks_;
  std::vector<std::array<double, 2>> along_;
  std::vector<double> gains_;  // of each block, beyond the frame's
  std::vector<std::array<double, 2>> cell_sums_;
  ResidualSums sums_;
  double pixels_ = 0.0;
};

}  // namespace stillscope
