// SPDX-License-Identifier: GPL-3.0-or-later
/// What fields are measured by: their values at the corners of the mesh's cells.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include "stillscope/nonrigid/deformation_lattice.hpp"

namespace stillscope {

/// How long a field's components are [px].
struct FieldLength {
  double longest = 0.0;  ///< Of any corner; not a number where one is none.
  double usual = 0.0;    ///< Their root mean square.
};

[[nodiscard]] inline FieldLength length_of(const DeformationLattice& lattice,
                                           std::span<const double> field) {
  FieldLength length;
  const Extent corners = lattice.corners();
  for (std::size_t y = 0; y < corners.height; ++y) {
    for (std::size_t x = 0; x < corners.width; ++x) {
      for (std::size_t axis = 0; axis < 2; ++axis) {
        const double at = std::fabs(lattice.at_corner(field, y, x, axis));
        if (!(at <= length.longest)) length.longest = at;
        length.usual += at * at;
      }
    }
  }
  length.usual = std::sqrt(length.usual / static_cast<double>(2 * corners.area()));
  return length;
}

/// Mean over corners and axes of the product of two fields, each less its mean.
[[nodiscard]] inline double mean_product(const DeformationLattice& lattice,
                                         std::span<const double> a, std::span<const double> b) {
  const Extent corners = lattice.corners();
  const auto count = static_cast<double>(corners.area());
  double result = 0.0;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    double sum_a = 0.0;
    double sum_b = 0.0;
    double sum = 0.0;
    for (std::size_t y = 0; y < corners.height; ++y) {
      for (std::size_t x = 0; x < corners.width; ++x) {
        const double in_a = lattice.at_corner(a, y, x, axis);
        const double in_b = lattice.at_corner(b, y, x, axis);
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
[[nodiscard]] inline double highest_product(const DeformationLattice& lattice,
                                            std::span<const double> a, std::span<const double> b) {
  const Extent corners = lattice.corners();
  double highest = 0.0;
  for (std::size_t y = 0; y < corners.height; ++y) {
    for (std::size_t x = 0; x < corners.width; ++x) {
      double product = 0.0;
      for (std::size_t axis = 0; axis < 2; ++axis) {
        product += 0.5 * lattice.at_corner(a, y, x, axis) * lattice.at_corner(b, y, x, axis);
      }
      highest = std::max(highest, product);
    }
  }
  return highest;
}

}  // namespace stillscope
