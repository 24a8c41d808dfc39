// SPDX-License-Identifier: GPL-3.0-or-later
/// Takes the motion out of a movie.
#pragma once

#include <span>

#include "stillscope/core/executor.hpp"
#include "stillscope/core/types.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/warp/translation.hpp"

namespace stillscope {

/// How the values of a warped frame become integers: the nearest one, saturated; or toward zero, as
/// minian does. Floats are stored as they are.
enum class Rounding { nearest, truncate };

/// How values between pixels are made: from two pixels on each axis, or from four, which keeps fine
/// detail (and noise) better and may overshoot at edges. Both leave a constant as it is, and the
/// sum of a frame's pixels but for its borders.
enum class Interpolation { linear, cubic };

/// Side of a pixel of one movie in pixels of another.
struct PixelSize {
  double height = 1.0;
  double width = 1.0;
};

/// Options of `apply_motion`.
struct ApplySettings {
  /// Value of what lies outside the frame; for integer movies one that their type holds.
  double fill = 0.0;
  SamplingGrid grid = SamplingGrid::exact;
  Rounding rounding = Rounding::nearest;
  Interpolation interpolation = Interpolation::linear;
  Border border = Border::constant;
  /// Side of a pixel of this movie in pixels of the one on which the shifts were estimated, finite
  /// and above 0: 2 where this one is binned by 2, 0.5 where that one was. The shifts are divided
  /// by it. A translation has no centre, so that nothing else depends on it.
  PixelSize binning = {};
};

/// Translates each frame of `movie` (frame, height, width) by its shift [px] into `out`, in
/// float32. A shift that is not finite or larger than the frame gives a frame of `fill`, whatever
/// the border. `out` must not overlap `movie`. Throws `std::invalid_argument` where the sizes of
/// `movie`, `shifts` and `out` differ, where an integer type does not hold `fill`, or where
/// `binning` is out of range.
template <Pixel T>
void apply_motion(const MovieView<const T>& movie, std::span<const Shift> shifts,
                  const MovieView<T>& out, const ApplySettings& settings = {},
                  const Executor& executor = *make_executor());

}  // namespace stillscope
