// SPDX-License-Identifier: GPL-3.0-or-later
/// What is known of deformations before any frame is seen: they are smooth.
#pragma once

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "stillscope/nonrigid/banded_matrix.hpp"
#include "stillscope/nonrigid/deformation_lattice.hpp"

namespace stillscope {

/// The energy u^t R u of control points: the squares of their third differences, a tenth of those
/// of their second, less of their first, and a trace of their own. Scaled so that fields of which
/// it is minus twice the log probability have a root mean square of 1 px, what all of the frame has
/// in common not counted. Eq. (13).
class DeformationPrior {
 public:
  explicit DeformationPrior(const DeformationLattice& lattice)
      : lattice_(lattice), energy_(lattice.unknowns(), lattice.band()) {
    const std::size_t rows = lattice.grid().height.points();
    const std::size_t columns = lattice.grid().width.points();
    for (std::size_t y = 0; y < rows; ++y) {
      for (std::size_t x = 0; x < columns; ++x) {
        add(own, {{y, x, 1.0}});
        add_differences(stretching, 1, y, x);
        add_differences(bending, 2, y, x);
        add_differences(twisting, 3, y, x);
      }
    }
    const double variance = field_variance();
    BandedMatrix scaled(lattice.unknowns(), lattice.band());
    scaled.add(variance, energy_);
    energy_ = std::move(scaled);
  }

  [[nodiscard]] const BandedMatrix& energy() const { return energy_; }

 private:
  // A field of the frame's size is held back little, one of a few cells much.
  static constexpr double own = 0.002;
  static constexpr double stretching = 0.03;
  static constexpr double bending = 0.1;
  static constexpr double twisting = 1.0;

  struct Term {
    std::size_t row;
    std::size_t column;
    double factor;
  };

  /// weight times the squares of all differences of an order that end at a control point, mixed
  /// ones as often as there are orders of taking them.
  void add_differences(double weight, std::size_t order, std::size_t y, std::size_t x) {
    constexpr double binomials[4][4] = {{1.0}, {1.0, 1.0}, {1.0, 2.0, 1.0}, {1.0, 3.0, 3.0, 1.0}};
    for (std::size_t down = 0; down <= order; ++down) {
      const std::size_t along = order - down;
      if (y < down || x < along) continue;
      std::vector<Term> terms;
      for (std::size_t j = 0; j <= down; ++j) {
        for (std::size_t k = 0; k <= along; ++k) {
          const double sign = (j + k) % 2 == 0 ? 1.0 : -1.0;
          terms.push_back({y - j, x - k, sign * binomials[down][j] * binomials[along][k]});
        }
      }
      add(weight * binomials[order][down], terms);
    }
  }

  /// weight (sum of terms)^2, along both axes.
  void add(double weight, const std::vector<Term>& terms) {
    for (const Term& a : terms) {
      for (const Term& b : terms) {
        for (std::size_t axis = 0; axis < 2; ++axis) {
          const std::size_t i = lattice_.unknown(a.row, a.column, axis);
          const std::size_t j = lattice_.unknown(b.row, b.column, axis);
          if (j <= i) energy_(i, j) += weight * a.factor * b.factor;
        }
      }
    }
  }

  /// Mean over corners of the variance of one axis' field less its mean over the corners.
  [[nodiscard]] double field_variance() const {
    const BandedCholesky factor(energy_);
    const Extent corners = lattice_.corners();
    const auto count = static_cast<double>(corners.area());
    // The row of the linear map from unknowns to a field's value at a corner.
    const auto value_at = [&](std::size_t row, std::size_t column, double weight,
                              std::vector<double>& map) {
      constexpr double weights[3] = {1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0};
      for (std::size_t j = 0; j < 3; ++j) {
        for (std::size_t k = 0; k < 3; ++k) {
          map[lattice_.unknown(row + j, column + k, 0)] += weight * weights[j] * weights[k];
        }
      }
    };
    const std::size_t n = lattice_.unknowns();
    std::vector<double> mean(n);
    for (std::size_t row = 0; row < corners.height; ++row) {
      for (std::size_t column = 0; column < corners.width; ++column) {
        value_at(row, column, 1.0 / count, mean);
      }
    }
    double sum = 0.0;
    for (std::size_t row = 0; row < corners.height; ++row) {
      for (std::size_t column = 0; column < corners.width; ++column) {
        std::vector<double> map(n);
        value_at(row, column, 1.0, map);
        for (std::size_t i = 0; i < n; ++i) map[i] -= mean[i];
        factor.solve_lower(map);
        for (const double value : map) sum += value * value;
      }
    }
    return sum / count;
  }

  const DeformationLattice& lattice_;
  BandedMatrix energy_;
};

}  // namespace stillscope
