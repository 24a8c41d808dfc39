// SPDX-License-Identifier: GPL-3.0-or-later
/// A field of displacements from its control points: a tensor product of cubic B-splines.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/nonrigid/control_grid.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// Displacement of where a frame is sampled, at a position (y, x) [px]. Eq. (11).
struct Displacement {
  double height = 0.0;  ///< [px].
  double width = 0.0;   ///< [px].
};

/// The field of `coefficients` at one position; outside the mesh, 0, as in ITK.
[[nodiscard]] inline Displacement field_at(const ControlGrid& grid, const double* coefficients,
                                           double y, double x) {
  const GridAxis::Place row = grid.height.place(y);
  const GridAxis::Place column = grid.width.place(x);
  if (!row.is_inside || !column.is_inside) return {};
  const auto down = control_weights(row.fraction);
  const auto along = control_weights(column.fraction);
  double sums[2] = {};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const double* plane = coefficients + axis * grid.points();
    for (std::size_t j = 0; j < 4; ++j) {
      const double* from = plane + (row.cell + j) * grid.width.points() + column.cell;
      double sum = 0.0;
      for (std::size_t k = 0; k < 4; ++k) sum += along[k] * from[k];
      sums[axis] += down[j] * sum;
    }
  }
  return {sums[1], sums[0]};
}

/// Positions along an axis: first, first + step, ... [px].
struct Positions {
  double first = 0.0;
  double step = 1.0;
  std::size_t count = 0;

  [[nodiscard]] double operator[](std::size_t i) const {
    return first + step * static_cast<double>(i);
  }
};

/// Makes a field on a lattice of positions, a row at a time: four rows of control points become
/// one, whose cells are cubic polynomials along the row. One object a thread.
class FieldRows {
 public:
  /// Displacements are counted in the steps of the positions.
  FieldRows(const ControlGrid& grid, const Positions& rows, const Positions& columns)
      : grid_(grid),
        rows_(rows),
        columns_(columns),
        blended_(grid.width.points()),
        polynomials_(8 * grid.width.cells) {
    find_runs();
    const std::size_t padded = columns.count + 16;
    height_.reserve(padded);
    width_.reserve(padded);
    std::fill_n(height_.data(), padded, 0.0F);
    std::fill_n(width_.data(), padded, 0.0F);
  }

  /// From here on, rows of the field of `coefficients`, which must outlive it.
  void begin(const double* coefficients) {
    coefficients_ = coefficients;
    look();
  }
  /// Whether displacements are as `SampledRow` has it. A field is nowhere longer than its longest
  /// coefficient, nor steeper than between its control points.
  [[nodiscard]] bool is_calm() const { return is_calm_; }

  /// Makes row `y`; `height()` and `width()` hold it, and seven times the last
  /// value behind it.
  void operator()(std::size_t y) {
    const GridAxis::Place place = grid_.height.place(rows_[y]);
    const std::array<float*, 2> outs = {width_.data(), height_.data()};
    if (place.is_inside) {
      const std::size_t cells = grid_.width.cells;
      for (std::size_t axis = 0; axis < 2; ++axis) {
        blend(axis, place);
        find_polynomials(polynomials_.data() + 4 * cells * axis);
      }
      const auto step = static_cast<float>(columns_.step / grid_.width.spacing);
      float_kernels().cubics({runs_.data(), runs_.size(), step, polynomials_.data() + 4 * cells,
                              polynomials_.data(), cells},
                             outs[1], outs[0]);
    }
    for (float* out : outs) {
      if (place.is_inside) {
        std::fill_n(out, first_inside_, 0.0F);
        std::fill(out + end_inside_, out + columns_.count, 0.0F);
      } else {
        std::fill_n(out, columns_.count, 0.0F);
      }
      // Kernels take positions by eight: in the last run's, the others lie where the last one does.
      if (columns_.count > 0) std::fill_n(out + columns_.count, 7, out[columns_.count - 1]);
    }
  }
  [[nodiscard]] const float* height() const { return height_.data(); }
  [[nodiscard]] const float* width() const { return width_.data(); }

 private:
  void find_runs() {
    first_inside_ = columns_.count;
    end_inside_ = columns_.count;
    for (std::size_t x = 0; x < columns_.count; ++x) {
      const GridAxis::Place place = grid_.width.place(columns_[x]);
      if (!place.is_inside) {
        if (first_inside_ < columns_.count && end_inside_ == columns_.count) end_inside_ = x;
        continue;
      }
      if (first_inside_ == columns_.count) first_inside_ = x;
      if (runs_.empty() || runs_.back().cell != place.cell) {
        runs_.push_back({x, 0, place.cell, static_cast<float>(place.fraction)});
      }
      ++runs_.back().count;
    }
  }

  void look() {
    const std::size_t rows = grid_.height.points();
    const std::size_t columns = grid_.width.points();
    double longest = 0.0;
    double steepest = 0.0;
    for (std::size_t axis = 0; axis < 2; ++axis) {
      const double* plane = coefficients_ + axis * grid_.points();
      double axis_longest = 0.0;
      double axis_steepest = 0.0;
      for (std::size_t i = 0; i < rows * columns; ++i) {
        axis_longest = std::max(axis_longest, std::fabs(plane[i]));
        if (i % columns > 0) {
          axis_steepest = std::max(axis_steepest, std::fabs(plane[i] - plane[i - 1]));
        }
      }
      const double unit = axis == 0 ? columns_.step : rows_.step;
      longest = std::max(longest, axis_longest / unit);
      steepest = std::max(steepest, axis_steepest / unit);
    }
    const double spread = 7.0 * steepest * columns_.step / grid_.width.spacing;
    // At the mesh's ends the field may jump to 0.
    const bool is_covered = first_inside_ == 0 && end_inside_ == columns_.count;
    is_calm_ = longest <= calm_length && spread <= calm_spread && is_covered;
  }

  void blend(std::size_t axis, const GridAxis::Place& place) {
    const std::size_t points = grid_.width.points();
    const double* from = coefficients_ + axis * grid_.points() + place.cell * points;
    auto weights = control_weights(place.fraction);
    for (double& weight : weights) weight /= axis == 0 ? columns_.step : rows_.step;
    double* out = blended_.data();
    for (std::size_t i = 0; i < points; ++i) {
      out[i] = (weights[0] * from[i] + weights[1] * from[i + points]) +
               (weights[2] * from[i + 2 * points] + weights[3] * from[i + 3 * points]);
    }
  }

  /// Of a spline in its cells: between the second and the third of four coefficients.
  void find_polynomials(float* out) const {
    const std::size_t cells = grid_.width.cells;
    const double* c = blended_.data();
    for (std::size_t k = 0; k < cells; ++k) {
      out[k] = static_cast<float>((1.0 / 6.0) * (c[k] + 4.0 * c[k + 1] + c[k + 2]));
      out[k + cells] = static_cast<float>(0.5 * (c[k + 2] - c[k]));
      out[k + 2 * cells] = static_cast<float>(0.5 * (c[k] - 2.0 * c[k + 1] + c[k + 2]));
      out[k + 3 * cells] =
          static_cast<float>((1.0 / 6.0) * (c[k + 3] - c[k]) + 0.5 * (c[k + 1] - c[k + 2]));
    }
  }

  ControlGrid grid_;
  Positions rows_;
  Positions columns_;
  const double* coefficients_ = nullptr;
  std::vector<CubicRun> runs_;
  std::size_t first_inside_ = 0;
  std::size_t end_inside_ = 0;
  bool is_calm_ = false;
  std::vector<double> blended_;     // control points of the row, along an axis
  std::vector<float> polynomials_;  // of its cells: the width's four, the height's
  AlignedBuffer<float> height_;
  AlignedBuffer<float> width_;
};

}  // namespace stillscope
