// SPDX-License-Identifier: GPL-3.0-or-later
/// Takes motion that differs across the frame out of a movie.
#pragma once

#include <span>

#include "stillscope/core/executor.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/movie/apply_motion.hpp"
#include "stillscope/nonrigid/control_grid.hpp"
#include "stillscope/nonrigid/spline_warp.hpp"

namespace stillscope {

/// Options of `apply_deformation`.
struct DeformSettings {
  /// Value of what lies outside the frame; for integer movies one that their type holds.
  double fill = 0.0;
  Rounding rounding = Rounding::nearest;
  Interpolation interpolation = Interpolation::linear;
  SampleBorder border = SampleBorder::constant;
  /// Side of a pixel of this movie in pixels of the one on which the deformation was estimated,
  /// finite and above 0.
  PixelSize binning = {};
};

/// Deforms each frame of `movie` (frame, height, width) by its coefficients on `grid` [px of the
/// movie on which they were estimated] into `out`, in float32: out(p) = frame(p + u(p)). What lies
/// outside the mesh is not displaced. A frame with a coefficient that is not finite becomes `fill`.
/// `coefficients`: grid.coefficients() a frame. `out` must not overlap `movie`. Throws
/// `std::invalid_argument` where sizes differ, where an integer type does not hold `fill`, or where
/// an option is out of range.
template <Pixel T>
void apply_deformation(const MovieView<const T>& movie, const ControlGrid& grid,
                       std::span<const double> coefficients, const MovieView<T>& out,
                       const DeformSettings& settings = {},
                       const Executor& executor = *make_executor());

}  // namespace stillscope
