// SPDX-License-Identifier: GPL-3.0-or-later
/// On what a deformation is estimated: pooled pixels, blocks of them, and control points.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "stillscope/core/types.hpp"
#include "stillscope/nonrigid/banded_matrix.hpp"
#include "stillscope/nonrigid/control_grid.hpp"
#include "stillscope/nonrigid/spline_field.hpp"

namespace stillscope {

/// What pooled pixels of a frame say of a displacement is summed over blocks of 16 x 16 px, which
/// control points share by the weights at the blocks' middles. Unknowns are in the order of
/// the control points, two each: width, height.
class DeformationLattice {
 public:
  /// `pooling`: 1 or 2.
  DeformationLattice(Extent frame, const ControlGrid& grid, std::size_t pooling)
      : frame_(frame),
        grid_(grid),
        pooling_(pooling),
        pooled_{frame.height / pooling_, frame.width / pooling_},
        block_rows_(shares(grid.height, pooled_.height)),
        block_columns_(shares(grid.width, pooled_.width)) {}

  [[nodiscard]] Extent frame() const { return frame_; }
  [[nodiscard]] const ControlGrid& grid() const { return grid_; }
  /// Pooled pixels along a block's side: 8 or 16.
  [[nodiscard]] std::size_t block() const { return 16 / pooling_; }
  /// Side of a pooled pixel [px].
  [[nodiscard]] std::size_t pooling() const { return pooling_; }
  [[nodiscard]] Extent pooled() const { return pooled_; }
  /// Elements from a row of pooled pixels to the next: whole multiples of 16.
  [[nodiscard]] std::size_t stride() const { return (pooled_.width + 15) / 16 * 16; }
  [[nodiscard]] Extent blocks() const { return {block_rows_.size(), block_columns_.size()}; }
  [[nodiscard]] std::size_t unknowns() const { return grid_.coefficients(); }
  /// How far from one another unknowns that share a pixel are.
  [[nodiscard]] std::size_t band() const { return 2 * (3 * grid_.width.points() + 3) + 1; }
  [[nodiscard]] std::size_t unknown(std::size_t row, std::size_t column, std::size_t axis) const {
    return 2 * (row * grid_.width.points() + column) + axis;
  }

  /// Where pooled pixels lie in frames.
  [[nodiscard]] Positions rows() const { return positions(pooled_.height); }
  [[nodiscard]] Positions columns() const { return positions(pooled_.width); }

  /// The control points that a block belongs to along an axis, from the first on, and its shares.
  struct Share {
    std::size_t first;
    std::array<double, 4> weights;
  };
  [[nodiscard]] const Share& block_row(std::size_t i) const { return block_rows_[i]; }
  [[nodiscard]] const Share& block_column(std::size_t i) const { return block_columns_[i]; }

  /// From unknowns to coefficients (`ControlGrid`).
  void to_coefficients(std::span<const double> unknowns, std::span<double> coefficients) const {
    for (std::size_t i = 0; i < grid_.points(); ++i) {
      for (std::size_t axis = 0; axis < 2; ++axis) {
        coefficients[axis * grid_.points() + i] = unknowns[2 * i + axis];
      }
    }
  }
  /// The field of a frame that deviates so from its shift; `deviation`: unknowns, or nothing.
  void to_coefficients(std::span<const double> deviation, const Shift& shift,
                       std::span<double> coefficients) const {
    const std::size_t points = grid_.points();
    if (deviation.empty()) {
      std::fill(coefficients.begin(), coefficients.end(), 0.0);
    } else {
      to_coefficients(deviation, coefficients);
    }
    for (std::size_t i = 0; i < points; ++i) {
      coefficients[i] -= shift.width;
      coefficients[points + i] -= shift.height;
    }
  }

  /// The corners of the mesh's cells, which lie on the frame or just beside it: what a field is
  /// measured by. (rows, columns).
  [[nodiscard]] Extent corners() const { return {grid_.height.cells + 1, grid_.width.cells + 1}; }
  /// Of unknowns, at a corner, along an axis: the second points' shares are 1/6, 2/3, 1/6.
  [[nodiscard]] double at_corner(std::span<const double> unknowns, std::size_t row,
                                 std::size_t column, std::size_t axis) const {
    constexpr std::array<double, 3> weights = {1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0};
    double sum = 0.0;
    for (std::size_t j = 0; j < 3; ++j) {
      for (std::size_t k = 0; k < 3; ++k) {
        sum += weights[j] * weights[k] * unknowns[unknown(row + j, column + k, axis)];
      }
    }
    return sum;
  }

 private:
  [[nodiscard]] Positions positions(std::size_t count) const {
    const auto side = static_cast<double>(pooling_);
    return {0.5 * (side - 1.0), side, count};
  }

  [[nodiscard]] std::vector<Share> shares(const GridAxis& axis, std::size_t count) const {
    std::vector<Share> result;
    const Positions at = positions(count);
    for (std::size_t begin = 0; begin < count; begin += block()) {
      const std::size_t end = std::min(begin + block(), count);
      const GridAxis::Place place = axis.place(0.5 * (at[begin] + at[end - 1]));
      result.push_back({place.cell, control_weights(place.fraction)});
    }
    return result;
  }

  Extent frame_;
  ControlGrid grid_;
  std::size_t pooling_;
  Extent pooled_;
  std::vector<Share> block_rows_;
  std::vector<Share> block_columns_;
};

}  // namespace stillscope
