// SPDX-License-Identifier: GPL-3.0-or-later
/// Where the control points of a deformation lie: the grid of ITK's `BSplineTransform` of order 3.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "stillscope/core/types.hpp"

namespace stillscope {

/// The control points along one axis. Point i lies at origin + i spacing [px]. The mesh of `cells`
/// cells begins at the second point and ends at the last but one; three points more than cells.
struct GridAxis {
  static constexpr std::size_t order = 3;

  std::size_t cells = 1;
  double origin = 0.0;   ///< [px].
  double spacing = 1.0;  ///< [px], above 0.

  [[nodiscard]] std::size_t points() const { return cells + order; }

  /// A position on the mesh: its cell, and how far it is into it, from 0 to 1.
  struct Place {
    std::size_t cell = 0;
    double fraction = 0.0;
    bool is_inside = false;
  };
  /// Of a position [px]; outside the mesh, the nearest end of it.
  [[nodiscard]] Place place(double position) const {
    const double along = (position - origin) / spacing - 1.0;
    const auto end = static_cast<double>(cells);
    const double inside = std::clamp(along, 0.0, end);
    const double cell = std::min(std::floor(inside), end - 1.0);
    return {static_cast<std::size_t>(cell), inside - cell, along >= 0.0 && along <= end};
  }
  friend bool operator==(const GridAxis&, const GridAxis&) = default;
};

/// The shares of the four control points of a cell, from the first on, at `t` in [0, 1] into it.
/// Their sum is 1.
[[nodiscard]] inline std::array<double, 4> control_weights(double t) {
  const double s = 1.0 - t;
  return {s * s * s / 6.0, 2.0 / 3.0 - 0.5 * t * t * (2.0 - t), 2.0 / 3.0 - 0.5 * s * s * (2.0 - s),
          t * t * t / 6.0};
}

/// The control points of a deformation. Its coefficients are displacements of where a frame is
/// sampled [px], `(2, height.points(), width.points())` in C order: first all along the width
/// (ITK's x), then all along the height. `registered(p) = frame(p + u(p))`; the correction is -u.
struct ControlGrid {
  GridAxis height;
  GridAxis width;

  /// The mesh of so many cells that ITK's `BSplineTransformInitializer` lays over a frame: from 5/8
  /// px before its first pixel to as far beyond its last.
  static ControlGrid over(Extent frame, Extent cells) {
    const auto axis = [](std::size_t pixels, std::size_t n) {
      GridAxis result;
      result.cells = std::max<std::size_t>(n, 1);
      result.spacing = (static_cast<double>(pixels) + 0.25) / static_cast<double>(result.cells);
      result.origin = -0.625 - result.spacing;
      return result;
    };
    return {axis(frame.height, cells.height), axis(frame.width, cells.width)};
  }
  /// The same with cells as near as possible to `spacing` [px].
  static ControlGrid with_spacing(Extent frame, double spacing) {
    const auto cells = [&](std::size_t pixels) {
      const double n = std::nearbyint(static_cast<double>(pixels) / spacing);
      return static_cast<std::size_t>(std::clamp(n, 1.0, static_cast<double>(pixels)));
    };
    return over(frame, {cells(frame.height), cells(frame.width)});
  }

  /// Number of control points.
  [[nodiscard]] std::size_t points() const { return height.points() * width.points(); }
  /// Number of coefficients: two a point.
  [[nodiscard]] std::size_t coefficients() const { return 2 * points(); }

  friend bool operator==(const ControlGrid&, const ControlGrid&) = default;
};

}  // namespace stillscope
