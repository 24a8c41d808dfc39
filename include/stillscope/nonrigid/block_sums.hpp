// SPDX-License-Identifier: GPL-3.0-or-later
/// What a frame's residual says of the control points, by blocks of pixels.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/nonrigid/deformation_fit.hpp"
#include "stillscope/nonrigid/deformation_lattice.hpp"
#include "stillscope/nonrigid/deformation_template.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// Sums over the blocks of a lattice: rows of pixels are added to columns, columns to blocks, and
/// blocks shared out to control points.
class BlockSums {
 public:
  explicit BlockSums(const DeformationLattice& lattice) : lattice_(lattice) {
    for (auto& sums : column_sums_) sums.reserve(lattice.stride());
    blocks_.resize(lattice.blocks().area());
    along_.resize(blocks_.size());
    gains_.resize(blocks_.size());
    cell_sums_.resize(lattice.grid().height.cells * lattice.grid().width.cells);
    for (auto& sums : row_sums_) sums.resize(2 * lattice.grid().width.points());
  }

  /// Where the next row of blocks sums its columns.
  [[nodiscard]] DeformedSums begin_row() {
    for (auto& sums : column_sums_) std::fill_n(sums.data(), lattice_.stride(), 0.0F);
    return {column_sums_[0].data(), column_sums_[1].data(), column_sums_[2].data()};
  }
  /// Makes row `i` of the blocks of these columns.
  void end_row(std::size_t i) {
    const std::size_t columns = lattice_.blocks().width;
    for (std::size_t j = 0; j < columns; ++j) {
      blocks_[i * columns + j] = {block_sum(column_sums_[0], j), block_sum(column_sums_[1], j),
                                  block_sum(column_sums_[2], j)};
    }
  }

  /// halves = the right sides of the normal equations of either half of the pixels, as unknowns.
  void share_out(const DeformationTemplate& reference, const DeformationFit& fit,
                 std::array<std::vector<double>, 2>& halves) {
    find_gains(reference, fit);
    for (auto& half : halves) std::fill(half.begin(), half.end(), 0.0);
    for (std::size_t i = 0; i < lattice_.blocks().height; ++i) add_blocks(reference, i, halves);
  }

  /// How many cells there are whose pixels show nothing of the template.
  [[nodiscard]] std::size_t lost_cells(const DeformationTemplate& reference,
                                       const DeformationFit& fit) {
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
    std::size_t lost = 0;
    for (const auto& [shown, energy] : cell_sums_) {
      if (!(energy > 0.0)) continue;
      const double error = fit.sigma / (fit.gain * std::sqrt(energy));
      if (1.0 + shown / (fit.gain * energy) + sure * error < least_shown) ++lost;
    }
    return lost;
  }

 private:
  static constexpr double least_shown = 0.5;
  static constexpr double sure = 4.0;

  [[nodiscard]] double block_sum(const AlignedBuffer<float>& sums, std::size_t j) const {
    // Four sums, so that none waits for another. Rows are padded to sixteen.
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
    const double ratio = fit.sigma / (fit.gain * usual_contrast);
    const double noise = ratio * ratio;
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
  void add_blocks(const DeformationTemplate& reference, std::size_t i,
                  std::array<std::vector<double>, 2>& halves) {
    const std::size_t row = 2 * lattice_.grid().width.points();
    const std::size_t columns = lattice_.blocks().width;
    for (auto& sums : row_sums_) std::fill(sums.begin(), sums.end(), 0.0);
    for (std::size_t j = 0; j < columns; ++j) {
      const auto& along = lattice_.block_column(j);
      const auto& detail = reference.block_details()[i * columns + j];
      const Block& block = blocks_[i * columns + j];
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
        double* to = &halves[colour][lattice_.unknown(down.first + k, 0, 0)];
        const double share = -down.weights[k];
        for (std::size_t l = 0; l < row; ++l) to[l] += share * row_sums_[colour][l];
      }
    }
  }

  struct Block {
    double height = 0.0;  // residuals times gradients
    double width = 0.0;
    double detail = 0.0;  // times detail
  };

  const DeformationLattice& lattice_;
  std::array<AlignedBuffer<float>, 3> column_sums_;  // height, width, detail
  std::array<std::vector<double>, 2> row_sums_;
  std::vector<Block> blocks_;
  std::vector<std::array<double, 2>> along_;
  std::vector<double> gains_;  // of each block, beyond the frame's
  std::vector<std::array<double, 2>> cell_sums_;
};

}  // namespace stillscope
