// SPDX-License-Identifier: GPL-3.0-or-later
/// What a fit of a frame to a template is asked, and what it answers.
#pragma once

#include <array>
#include <cstddef>

#include "stillscope/core/types.hpp"

namespace stillscope {

/// How frames are fitted to a template.
struct FitSettings {
  /// Whether each frame has a brightness (gain and offset) of its own.
  bool has_brightness = true;
  /// Residuals count no more than this many standard deviations; 0: as they are.
  double robust = 3.0;
  /// A fit that moves a shift further than this [px] on an axis is not believed.
  double reach = 5.0;
  /// It ends with a step below this [px]: what is left after such a step is a fraction of it.
  double tolerance = 0.01;
};

/// What a frame's fit to a template found.
struct FrameFit {
  static constexpr std::size_t bands = 8;

  Shift shift;               ///< [px].
  double gain = 1.0;         ///< The frame is gain * template + offset.
  double offset = 0.0;       ///< Beyond the template's level.
  double sigma = 0.0;        ///< Standard deviation of the residual; 0: not known yet.
  double similarity = 0.0;   ///< Correlation of the frame and the moved template, robust.
  double uncertainty = 0.0;  ///< Standard error of the shift from the residual [px].
  bool has_converged = false;
  std::size_t evaluations = 0;
  // Of as many horizontal strips, from the top:
  std::array<Shift, bands> band_shifts{};      ///< How far each lies off the frame's shift [px].
  std::array<double, bands> band_residuals{};  ///< Its mean square residual.
  std::array<double, bands> band_gains{};      ///< Its own gain over the frame's.
};

}  // namespace stillscope
